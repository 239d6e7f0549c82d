"""What the tools share: the files of the repository, the notebooks in order, and the hash of a notebook's code."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "hybrid_iv"
# A path that exists on one machine only. Relative paths and web addresses do not match: something stands before the slash.
MACHINE_PATH = re.compile(r"(?<![\w.:/~\-])/(?:home|root|tmp|Users|work|mnt|opt|private|var)/[\w.]|\b[A-Z]:\\\\?Users\b")
RESULT_FILE = re.compile(r"[\"'](?:\.\./)?(results/[\w./-]+)[\"']")


@dataclass
class Check:
    """The outcome of one test: it passed if it found no problem."""

    name: str
    problems: list[str] = field(default_factory=list)
    note: str = ""  # shown beside the name, for instance seconds


def settings(root: Path) -> dict[str, str]:
    """The options of settings.ini."""
    config = ConfigParser(delimiters=["="])
    if not config.read(root / "settings.ini", encoding="utf-8"):
        raise SystemExit(f"{root} has no settings.ini: run this from a checkout of the repository")
    return dict(config["DEFAULT"])


def repository_files(root: Path) -> list[Path]:
    """Files that are tracked, or new and not ignored, relative to the root, in order; deleted ones are left out."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    return [Path(name) for name in sorted(set(names)) if name and (root / name).exists()]


def copy_tree(root: Path, target: Path) -> None:
    """Copy the repository's files, without .git and what git ignores."""
    for path in repository_files(root):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / path, target / path, follow_symlinks=False)


def notebooks(root: Path) -> list[Path]:
    """The notebooks, in the order of their numbers, those without a number last."""
    found = [p for p in repository_files(root) if p.suffix == ".ipynb" and p.parts[0] == "nbs"]
    return [root / p for p in sorted(found, key=lambda p: (number(p) is None, len(p.parts), p.as_posix()))]


def number(path: Path) -> int | None:
    """The number at the start of a notebook's name: 30 of `30_forecaster.ipynb`."""
    match = re.match(r"(\d+)_", path.name)
    return int(match[1]) if match else None


def stem(path: Path) -> str:
    """The name of a notebook without its number, which is the name of its page: `forecaster` of `30_forecaster.ipynb`."""
    return re.sub(r"^\d+_", "", path.stem)


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook as a dictionary."""
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def source(cell: dict[str, Any]) -> str:
    """The text of a cell, which is stored as lines or as one string."""
    text = cell["source"]
    return text if isinstance(text, str) else "".join(text)


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The code cells of a notebook."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def directives(text: str) -> dict[str, str]:
    """nbdev's directives of a cell: `#| eval: false` gives {"eval": "false"}, `#| export` gives {"export": ""}."""
    found = {}
    for line in text.splitlines():
        if match := re.match(r"\s*#\s*\|\s*([\w-]+):?\s*(.*)$", line):
            found[match[1]] = match[2].strip()
        elif line.strip() and not line.lstrip().startswith(("#", "%")):
            break
    return found


def body(text: str) -> str:
    """The text of a cell without its directives."""
    return "\n".join(line for line in text.splitlines() if not re.match(r"\s*#\s*\|", line)).strip()


def runs(text: str, skip_flags: list[str]) -> bool:
    """Whether nbdev's tests run a code cell: not those marked `eval: false` or with a flag to skip, and no export call."""
    marks = directives(text)
    skipped = marks.get("eval", "").lower() == "false" or bool(marks.keys() & set(skip_flags)) or "nbdev_export(" in text
    return bool(body(text)) and not skipped


def source_hash(path: Path, root: Path) -> str:
    """Hash of what a notebook's stored outputs come from: its code cells, and the files of `results/` that they name."""
    texts = [source(cell) for cell in code_cells(read_notebook(path))]
    parts = [text.encode() for text in texts]
    for name in sorted({name for text in texts for name in RESULT_FILE.findall(text)}):
        file = root / name
        parts.append(name.encode() + b"\0" + (file.read_bytes() if file.is_file() else b""))
    return hashlib.sha256(b"\0\0".join(parts)).hexdigest()[:16]


def write_atomically(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it: a reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def quiet_environment(root: Path) -> dict[str, str]:
    """The environment in which notebooks run: the checkout's package, one thread, sleeping when idle, plots drawn nowhere."""
    modules = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    programs = os.pathsep.join([str(Path(sys.executable).parent), *filter(None, [os.environ.get("PATH")])])
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    fixed = {"PYTHONPATH": modules, "PATH": programs, "MPLBACKEND": "agg", "PYTHONHASHSEED": "0", **threads}
    return {**{k: v for k, v in os.environ.items() if k != "IN_TEST"}, **fixed}
