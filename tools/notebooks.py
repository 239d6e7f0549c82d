"""Run notebooks and keep what they show: stored outputs, results, and README.md.

    python tools/notebooks.py                  # `make outputs`: those with stale outputs
    python tools/notebooks.py --all            # every notebook
    python tools/notebooks.py nbs/x.ipynb      # the notebooks named
    python tools/notebooks.py nbs/x.ipynb --test result.json    # as the gate does, in this process
    python tools/notebooks.py --readme         # `make readme`: README.md from the home page
    python tools/notebooks.py --keep runs/full results/full    # `make results`

What is stored is what the docs show, so warnings and progress bars are left out. Each notebook then
carries the hash of its code, by which the gate tells stale outputs from fresh ones.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import check
from common import (
    MACHINE_PATH,
    ROOT,
    body,
    code_cells,
    directives,
    notebooks,
    quiet_environment,
    read_notebook,
    runs,
    settings,
    source,
    source_hash,
    stem,
    write_atomically,
)

if TYPE_CHECKING:
    import pandas as pd

SKIP = "skip-execution"  # the tag by which nbclient knows a cell that is not to be run
HOME = Path("nbs") / "index.ipynb"
PICTURE = Path("results") / "architecture.png"
SHOWN = "forecast_surface.png"  # the picture of a run that the home page shows


# Stored outputs


def store(path: Path, root: Path, seconds: int) -> str | None:
    """Run one notebook in its folder and store the outputs; the reason if that failed."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    flags = settings(root).get("tst_flags", "").split()
    notebook = nbformat.read(path, as_version=4)
    tags = [list(cell.metadata.get("tags", [])) for cell in notebook.cells]
    for cell in notebook.cells:
        if cell.cell_type == "code" and not runs(cell.source, flags):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), SKIP]
    client = NotebookClient(
        notebook,
        timeout=seconds,
        kernel_name="python3",
        coalesce_streams=True,  # else what is printed breaks into pieces, each time elsewhere
        skip_cells_with_tag=SKIP,
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute(env=kernel_environment(root))
    except (CellExecutionError, CellTimeoutError) as error:
        return str(error)
    for cell, kept in zip(notebook.cells, tags, strict=True):
        cell.metadata.pop("tags", None)
        if kept:
            cell.metadata["tags"] = kept
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
            for output in cell.outputs:
                if match := MACHINE_PATH.search(shown := check.output_text(output)):
                    found = shown[match.start() : match.end() + 30]
                    return f"cell {cell.id} shows {found!r}, a path of this machine; not stored"
    notebook.metadata["source_hash"] = source_hash(path, root)
    write_atomically(path, nbformat.writes(notebook) + "\n")
    clean = "import sys; from nbdev.clean import nbdev_clean; nbdev_clean(fname=sys.argv[1])"
    command = [sys.executable, "-c", clean, str(path)]
    subprocess.run(command, cwd=root, env=quiet_environment(root), check=True)
    return None


def kernel_environment(root: Path) -> dict[str, str]:
    """The environment of the kernel: quiet, and drawing inline as in Jupyter."""
    quiet = {"HYBRID_IV_QUIET": "1", "PYTHONWARNINGS": "ignore", "TQDM_DISABLE": "1"}
    env = {**quiet_environment(root), **quiet}
    del env["MPLBACKEND"]
    return env


def stale(path: Path, root: Path) -> bool:
    """Whether the stored outputs come from other code or other results."""
    return bool(read_notebook(path)["metadata"].get("source_hash") != source_hash(path, root))


def store_all(chosen: list[Path], root: Path, seconds: int, jobs: int) -> int:
    """Store the outputs of several notebooks side by side; how many failed."""
    failed = 0
    with ThreadPoolExecutor(jobs) as pool:
        reasons = pool.map(lambda path: store(path, root, seconds), chosen)
        for path, reason in zip(chosen, reasons, strict=True):
            said = "stored" if reason is None else reason
            print(f"{path.relative_to(root)}: {said}", flush=True)
            failed += reason is not None
    print(f"{len(chosen) - failed} stored, {failed} failed")
    return failed


# The tests of one notebook


def test(path: Path, root: Path, result: Path) -> None:
    """Run a notebook's tests in this process, and write how many cells ran.

    nbdev's own `test_nb` does the work. The file is written last: where it is missing, the process
    ended on the way.
    """
    from execnb.shell import CaptureShell
    from nbdev.test import test_nb

    flags = settings(root).get("tst_flags", "").split()
    expected = sum(runs(source(cell), flags) for cell in code_cells(read_notebook(path)))
    executed = 0
    run_cell = CaptureShell.cell

    def counted(self, cell, *rest, **options):  # type: ignore[no-untyped-def]
        nonlocal executed
        run_cell(self, cell, *rest, **options)
        executed += cell.cell_type == "code" and bool(body(cell.source))

    CaptureShell.cell = counted
    passed, _ = test_nb(path.resolve(), skip_flags=flags, basepath=root)
    counts = {"passed": bool(passed), "executed": executed, "expected": expected}
    write_atomically(result, json.dumps(counts))


# Results: the part of a run that pages read


def keep_results(run: Path, folder: Path) -> list[str]:
    """Keep the tables of a run, cut to what pages read, its manifest and the picture that is shown.

    Returns the names of the files written. Values are copied as they are written, digit by digit.
    """
    import pandas as pd
    from PIL import Image

    if not (run / "manifest.json").is_file():
        raise SystemExit(f"{run} holds no manifest.json: `make replicate` writes one")
    written = []
    for path in sorted(run.glob("*.csv")):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        kept = kept_rows(path.stem, table)
        write_atomically(folder / path.name, kept.to_csv(index=False, lineterminator="\n"))
        written.append(path.name)
    manifest = (run / "manifest.json").read_text(encoding="utf-8")
    write_atomically(folder / "manifest.json", manifest)
    if (run / SHOWN).is_file():
        image = Image.open(run / SHOWN).convert("RGB").quantize(128, dither=Image.Dither.NONE)
        image.save(folder / SHOWN, optimize=True)
        written.append(SHOWN)
    return [*written, "manifest.json"]


def kept_rows(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table, by its name, that pages and claims read; of most tables all.

    Errors are kept at the report horizons, over quoted cells: all metrics over the whole, and `mae`
    by one of asset, region and regime. Of the tests, the one that is read: Diebold-Mariano with
    fixed smoothing, on absolute errors.
    """
    from hybrid_iv.metrics import REPORT_HORIZONS

    if name == "metrics":
        divided = (table[["asset", "region", "regime"]] != "all").sum(axis=1)
        reported = table["horizon"].isin([str(horizon) for horizon in REPORT_HORIZONS])
        shown = (divided == 0) | ((divided == 1) & (table["metric"] == "mae"))
        return table[reported & (table["cells"] == "observed") & shown]
    if name == "significance":
        return table[(table["loss"] == "absolute") & (table["test"] == "dm-ewc")]
    return table


# README.md, made from the home page as stored


def readme_text(root: Path) -> str:
    """The text of README.md."""
    cells = read_notebook(root / HOME)["cells"]
    parts = [text for cell in cells for text in cell_text(cell)]
    return re.sub(r"\n{3,}", "\n\n", "\n\n".join(parts)).strip() + "\n"


def cell_text(cell: dict[str, Any]) -> list[str]:
    """A cell as blocks of Markdown: a hidden one gives none; then the code and the outputs."""
    text = source(cell)
    if cell["cell_type"] != "code":
        return [relative_links(text)]
    marks = directives(text)
    hidden = marks.keys() & {"hide", "default_exp", "export"} or marks.get("include") == "false"
    if hidden or not body(text):
        return []
    silent = marks.get("echo") == "false" or "hide_input" in marks
    shown = [] if silent else [f"```python\n{body(text)}\n```"]
    if marks.get("output") == "false" or "hide_output" in marks:
        return shown
    as_is = "asis" in marks.values()
    blocks = [output_block(output, as_is) for output in cell.get("outputs", [])]
    return shown + [relative_links(block) for block in blocks if block]


def output_block(output: dict[str, Any], as_is: bool) -> str:
    """One output: Markdown as it is, text in a block. Pictures must be files."""
    data = output.get("data", {})
    joined = {kind: "".join(value) for kind, value in data.items() if kind != "application/json"}
    if "text/markdown" in joined:
        return joined["text/markdown"]
    if any(kind.startswith("image/") for kind in joined):
        raise SystemExit(
            f"{HOME}: README.md shows files only: save the picture under results/ and refer to it "
            "in Markdown"
        )
    text = "".join(output["text"]) if "text" in output else joined.get("text/plain", "")
    return text if as_is or not text.strip() else f"```text\n{text.rstrip()}\n```"


def relative_links(text: str) -> str:
    """Links that hold from the top of the repository instead of from nbs/."""

    def target(match: re.Match[str]) -> str:
        place = match[2]
        if place.startswith("../"):
            return f"{match[1]}{place.removeprefix('../')})"
        return match[0] if re.match(r"[a-z]+:|#|/", place) else f"{match[1]}nbs/{place})"

    return re.sub(r"(\]\()([^)\s]+)\)", target, text)


def readme_problems(root: Path) -> list[str]:
    """What is wrong with README.md, if anything."""
    if not (root / HOME).exists():
        return [f"{HOME} is missing: README.md is made from it"]
    readme = root / "README.md"
    if readme.exists() and readme.read_text(encoding="utf-8") == readme_text(root):
        return []
    mend = f"edit {stem(HOME)}.ipynb, then run `make readme`"
    return [f"README.md differs from what {HOME} gives: {mend}"]


def draw_architecture(root: Path) -> None:
    """Draw the network that ships; the file keeps the table of its layers for a test."""
    import matplotlib
    from PIL import Image, PngImagePlugin

    matplotlib.use("agg")
    from hybrid_iv.models.architecture import layer_table, plot_architecture
    from hybrid_iv.models.pretraining import shipped_hybrid

    network = shipped_hybrid().network
    layers = layer_table(network).to_csv(index=False, lineterminator="\n")
    axes = plot_architecture(network, title="The hybrid as shipped")
    drawn, facts = io.BytesIO(), PngImagePlugin.PngInfo()
    axes.get_figure(root=True).savefig(drawn, dpi=130, bbox_inches="tight")
    facts.add_text("Description", layers)
    image = Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    image.save(root / PICTURE, optimize=True, pnginfo=facts)


def main() -> int:
    """Store outputs, test or write the README; 1 if a notebook fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="notebooks (default: stale ones)")
    parser.add_argument("--all", action="store_true", help="run every notebook")
    parser.add_argument("--test", type=Path, metavar="FILE", help="test one notebook, result here")
    parser.add_argument("--readme", action="store_true", help=f"write README.md and {PICTURE}")
    parser.add_argument(
        "--keep", nargs=2, type=Path, metavar=("RUN", "FOLDER"), help="keep the results of a run"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    parser.add_argument("--seconds", type=int, default=600, help="limit for a cell (default: 600)")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks at a time (default: 2)")
    args = parser.parse_args()
    root, named = args.root.resolve(), [path.resolve() for path in args.notebooks]
    if args.readme:
        write_atomically(root / "README.md", readme_text(root))
        draw_architecture(root)
        print(f"README.md and {PICTURE} written")
        return 0
    if args.keep:
        print(f"{args.keep[1]}: {', '.join(keep_results(*args.keep))}")
        return 0
    if args.test:
        if len(named) != 1:
            parser.error("--test takes one notebook")
        test(named[0], root, args.test)
        return 0
    known = notebooks(root)
    if unknown := [str(path) for path in named if path not in known]:
        parser.error(f"not notebooks of this repository: {', '.join(unknown)}")
    chosen = named or [path for path in known if args.all or stale(path, root)]
    return int(store_all(chosen, root, args.seconds, args.jobs) > 0)


if __name__ == "__main__":
    raise SystemExit(main())
