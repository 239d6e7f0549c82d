"""Run notebooks and store their outputs, `make outputs`: the stale ones, those named, or `--all`.

What is stored is what the docs show, so warnings and progress bars are left out. Each notebook then carries the hash of
its code, by which the gate tells stale outputs from fresh ones.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from check import texts
from common import MACHINE_PATH, ROOT, notebooks, quiet_environment, read_notebook, runs, settings, source_hash, write_atomically

SKIP = "skip-execution"  # the tag by which nbclient knows a cell that is not to be run


def execute(path: Path, root: Path, seconds: int) -> str | None:
    """Run one notebook in its folder and store the outputs; the reason if that failed."""
    flags = settings(root).get("tst_flags", "").split()
    notebook = nbformat.read(path, as_version=4)
    tags = [list(cell.metadata.get("tags", [])) for cell in notebook.cells]
    for cell in notebook.cells:
        if cell.cell_type == "code" and not runs(cell.source, flags):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), SKIP]
    where = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=seconds, kernel_name="python3", skip_cells_with_tag=SKIP, resources=where)
    try:
        client.execute(env=environment(root))
    except (CellExecutionError, CellTimeoutError) as error:
        return str(error)
    for cell, kept in zip(notebook.cells, tags, strict=True):
        cell.metadata.pop("tags", None)
        if kept:
            cell.metadata["tags"] = kept
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata["source_hash"] = source_hash(path, root)
    text = nbformat.writes(notebook)
    for place, shown in output_texts(text):
        if match := MACHINE_PATH.search(shown):
            return f"{place} shows {shown[match.start() : match.end() + 30]!r}, a path of this machine; nothing was stored"
    write_atomically(path, text + "\n")
    clean = [sys.executable, "-c", "import sys; from nbdev.clean import nbdev_clean; nbdev_clean(fname=sys.argv[1])", str(path)]
    subprocess.run(clean, cwd=root, env=quiet_environment(root), check=True)
    return None


def output_texts(text: str) -> list[tuple[str, str]]:
    """Texts of a notebook that is not on disk yet."""
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".ipynb", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        return list(texts(Path(file.name)))


def environment(root: Path) -> dict[str, str]:
    """The environment of the kernel: quiet, and drawing inline as in Jupyter."""
    quiet = {"HYBRID_IV_QUIET": "1", "PYTHONWARNINGS": "ignore", "TQDM_DISABLE": "1"}
    env = {**quiet_environment(root), **quiet}
    del env["MPLBACKEND"]
    return env


def main() -> int:
    """Store the outputs; 1 if a notebook fails."""
    parser = argparse.ArgumentParser(description="Run notebooks and store their outputs.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="notebooks (default: those whose stored outputs are stale)")
    parser.add_argument("--all", action="store_true", help="run every notebook")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: this one)")
    parser.add_argument("--seconds", type=int, default=600, help="time limit for each cell (default: 600)")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks at a time (default: 2)")
    args = parser.parse_args()
    root = args.root.resolve()
    known = notebooks(root)
    if unknown := [str(path) for path in args.notebooks if path.resolve() not in known]:
        parser.error(f"not notebooks of this repository: {', '.join(unknown)}")
    chosen = [path.resolve() for path in args.notebooks] or [
        path for path in known if args.all or read_notebook(path)["metadata"].get("source_hash") != source_hash(path, root)
    ]
    failed = 0
    with ThreadPoolExecutor(args.jobs) as pool:
        for path, reason in zip(chosen, pool.map(lambda path: execute(path, root, args.seconds), chosen), strict=True):
            print(f"{path.relative_to(root)}: {'stored' if reason is None else reason}", flush=True)
            failed += reason is not None
    print(f"{len(chosen) - failed} stored, {failed} failed, {len(known) - len(chosen)} left as they were")
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
