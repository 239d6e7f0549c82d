"""What the tools share: the files of the repository, its notebooks in order, and their hashes."""

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
# A path that exists on one machine only. Relative paths and web addresses do not match: something
# stands before their slash.
MACHINE_PATH = re.compile(
    r"(?<![\w.:/~\-])/(?:home|root|tmp|Users|work|mnt|opt|private|var)/[\w.]|\b[A-Z]:\\\\?Users\b"
)
RESULTS = re.compile(r"[\"'](?:\.\./)*(results(?:/[\w./-]+)?)[\"']")  # a file or a folder


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
    """Tracked files and new ones that git does not ignore, relative to the root, in order."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others"]
    command += ["--exclude-standard"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    return [Path(name) for name in sorted(set(names)) if name and (root / name).exists()]


def copy_tree(root: Path, target: Path) -> None:
    """Copy the repository's files, without .git and what git ignores."""
    for path in repository_files(root):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / path, target / path, follow_symlinks=False)


def notebooks(root: Path) -> list[Path]:
    """The notebooks of all folders in the order of their numbers; those without a number last."""
    found = [p for p in repository_files(root) if p.suffix == ".ipynb" and p.parts[0] == "nbs"]

    def place(path: Path) -> tuple[bool, int, int, str]:
        own = number(path)
        return own is None, own or 0, len(path.parts), path.as_posix()

    return [root / path for path in sorted(found, key=place)]


def number(path: Path) -> int | None:
    """The number at the start of a notebook's name: 40 of `40_forecaster.ipynb`."""
    match = re.match(r"(\d+)_", path.name)
    return int(match[1]) if match else None


def stem(path: Path) -> str:
    """A notebook's name without its number, which names its page and its module: `forecaster`."""
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
    """nbdev's directives of a cell: `#| eval: false` gives {"eval": "false"}."""
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
    """Whether nbdev's tests run a code cell.

    They leave out cells marked `eval: false` or with a flag to skip, and the call of nbdev_export.
    """
    marks = directives(text)
    if marks.get("eval", "").lower() == "false" or marks.keys() & set(skip_flags):
        return False
    return bool(body(text)) and "nbdev_export(" not in text


def source_hash(path: Path, root: Path) -> str:
    """Hash of a notebook's code cells and of the files and folders of `results/` that they name."""
    texts = [source(cell) for cell in code_cells(read_notebook(path))]
    parts = [text.encode() for text in texts]
    for name in sorted({name for text in texts for name in RESULTS.findall(text)}):
        # Of a folder the tables count; `make readme` may draw its pictures anew.
        below = sorted(f for f in (root / name).rglob("*") if f.suffix in (".csv", ".json"))
        files = [root / name] if (root / name).is_file() else below
        parts += [name.encode(), *(file.read_bytes() for file in files)]
    return hashlib.sha256(b"\0\0".join(parts)).hexdigest()[:16]


def write_atomically(path: Path, text: str) -> None:
    """Write under a temporary name, then rename: a reader sees the old file or the new one."""
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
    """The environment in which notebooks run: the checkout's package, one thread, no display."""
    modules = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    found = [str(Path(sys.executable).parent), *filter(None, [os.environ.get("PATH")])]
    fixed = {
        "PYTHONPATH": modules,
        "PATH": os.pathsep.join(found),
        "MPLBACKEND": "agg",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",  # idle threads sleep
    }
    return {**{k: v for k, v in os.environ.items() if k != "IN_TEST"}, **fixed}
