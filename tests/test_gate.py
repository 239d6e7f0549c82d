"""The gate fails when it must: each test breaks one thing in a small copy of the repository and calls the gate's functions."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import check  # noqa: E402
import gate  # noqa: E402
import readme  # noqa: E402
from common import Check, copy_tree, number, source_hash, stem  # noqa: E402

SURFACE = Path("nbs") / "00_surface.ipynb"
MODULE = Path("hybrid_iv") / "surface.py"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with its first notebook and the home page only, so that each test is quick."""
    root = tmp_path_factory.mktemp("original") / "copy"
    copy_tree(ROOT, root)
    for path in [*(root / "nbs").rglob("*.ipynb"), *(root / "hybrid_iv").glob("*.py")]:
        if path.name not in ("00_surface.ipynb", "index.ipynb", "surface.py", "__init__.py"):
            path.unlink()
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    code, printed = gate.run([sys.executable, "-c", "from nbdev.doclinks import nbdev_export; nbdev_export()"], root)
    assert code == 0, printed
    return root


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    """A copy for each test."""
    return Path(shutil.copytree(original, tmp_path / "copy", symlinks=True))


def failed(checks: list[Check]) -> str:
    """The problems of all checks, one after another; empty where all passed."""
    return "\n".join(problem for outcome in checks for problem in outcome.problems)


def change(path: Path, edit: Callable[[dict], None], indent: int = 1) -> None:
    """Edit a notebook as a dictionary."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    edit(notebook)
    path.write_text(json.dumps(notebook, indent=indent, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def add_cell(text: str, output: str = "") -> Callable[[dict], None]:
    """An edit that adds a code cell, with something it printed."""
    outputs = [{"name": "stdout", "output_type": "stream", "text": [output]}] if output else []
    cell = {"cell_type": "code", "execution_count": None, "id": "addedbyt", "metadata": {}, "outputs": outputs, "source": [text]}
    return lambda notebook: notebook["cells"].append(cell)


def test_a_sound_copy_passes(copy: Path) -> None:
    """Without this the tests below would prove nothing."""
    assert failed(gate.sync(copy)) == ""
    assert failed(gate.notebook_tests(copy)) == ""


def test_broken_assertion(copy: Path) -> None:
    """The notebook's own message is shown."""
    change(copy / SURFACE, add_cell("assert 1 + 1 == 3, 'sums are broken'"))
    assert "sums are broken" in gate.notebook_check(copy / SURFACE, copy).problems[0]


@pytest.mark.parametrize("code", ["import os; os._exit(0)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_process_that_ends_early(code: str, copy: Path) -> None:
    """An exit code of 0 is not enough: the notebook must reach its end."""
    change(copy / SURFACE, add_cell(code))
    assert "before the notebook did" in gate.notebook_check(copy / SURFACE, copy).problems[0]


def test_notebook_that_hangs(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended after its time."""
    monkeypatch.setattr(gate, "NOTEBOOK_SECONDS", 6)
    change(copy / SURFACE, add_cell("import time; time.sleep(60)"))
    assert "took more than 6 s" in gate.notebook_check(copy / SURFACE, copy).problems[0]


@pytest.mark.parametrize("way", ["skip_exec", "language"])
def test_notebook_that_runs_nothing(way: str, copy: Path) -> None:
    """nbdev calls these a success."""

    def skip(notebook: dict) -> None:
        if way == "language":
            notebook["metadata"]["kernelspec"].update(name="ir", language="R")
        else:
            notebook["cells"].insert(0, {"cell_type": "raw", "id": "frontmat", "metadata": {}, "source": ["---\nskip_exec: true\n---"]})

    change(copy / SURFACE, skip)
    assert "ran 0 of" in gate.notebook_check(copy / SURFACE, copy).problems[0]
    assert check.notebook_form(copy)


def test_no_notebook(copy: Path) -> None:
    """Nothing tested is not success."""
    for path in (copy / "nbs").glob("*.ipynb"):
        path.unlink()
    assert "no notebook" in failed(gate.notebook_tests(copy))


def test_hand_edited_module(copy: Path) -> None:
    """The message names the file and the mend."""
    (copy / MODULE).write_text((copy / MODULE).read_text(encoding="utf-8") + "\nEXTRA = 1\n", encoding="utf-8")
    assert failed(gate.sync(copy)).startswith("hybrid_iv/surface.py is not what its notebook gives: edit the notebook")


def test_change_that_was_not_exported(copy: Path) -> None:
    """A new exported cell, without nbdev_export."""
    change(copy / SURFACE, add_cell("#| export\nEXTRA = 1"))
    assert "hybrid_iv/surface.py" in failed(gate.sync(copy))


def test_new_module_that_was_not_exported(copy: Path) -> None:
    """A notebook whose module is missing."""
    (copy / MODULE).unlink()
    assert "hybrid_iv/surface.py is missing" in failed(gate.sync(copy))


def test_unclean_notebook(copy: Path) -> None:
    """An execution count is enough."""
    change(copy / SURFACE, lambda notebook: next(c for c in notebook["cells"] if c["cell_type"] == "code").update(execution_count=7))
    assert failed(gate.sync(copy)) == "nbs/00_surface.ipynb is not clean: run nbdev_clean"


def test_deleted_notebook_whose_module_stays(copy: Path) -> None:
    """nbdev_export leaves the module where it is."""
    (copy / SURFACE).unlink()
    assert "hybrid_iv.surface was made from 00_surface.ipynb, which is gone" in "\n".join(check.module_sources(copy))


def test_module_without_a_notebook(copy: Path) -> None:
    """Written by hand."""
    (copy / "hybrid_iv" / "extra.py").write_text("x = 1\n", encoding="utf-8")
    assert check.module_sources(copy) == ["hybrid_iv.extra names no notebook: write it in a notebook and run nbdev_export, or delete it"]


def test_stale_readme(copy: Path) -> None:
    """The home page has moved on."""
    change(copy / "nbs" / "index.ipynb", lambda notebook: notebook["cells"][1].update(source=["Another text."]))
    assert "run `make readme`" in failed(gate.sync(copy))
    (copy / "README.md").write_text(readme.convert(copy), encoding="utf-8")
    assert readme.problems(copy) == []


def test_readme_links_and_pictures() -> None:
    """Links in texts and outputs hold from the top of the repository; hidden cells stay hidden."""
    markdown = {"data": {"text/markdown": ["![p](../results/small/p.png)"]}, "metadata": {}, "output_type": "display_data"}
    code = {"cell_type": "code", "metadata": {}, "source": "#| echo: false\nshow()", "outputs": [markdown]}
    assert readme.cell_text(code) == ["![p](results/small/p.png)"]
    assert readme.cell_text({**code, "source": "#| hide\nshow()"}) == []
    text = {"cell_type": "markdown", "source": "[a](00_surface.ipynb) [b](https://x.org/y) [c](#d)"}
    assert readme.cell_text(text) == ["[a](nbs/00_surface.ipynb) [b](https://x.org/y) [c](#d)"]


def test_stale_outputs(copy: Path) -> None:
    """The hash goes by the code cells, and by the results that they read, but not by the prose."""
    path = copy / SURFACE
    change(path, lambda notebook: notebook["metadata"].update(source_hash=source_hash(path, copy)))
    change(path, lambda notebook: notebook["cells"][0].update(source=["# Another title\n", "\n", "> and subtitle"]))
    assert not any("00_surface" in problem for problem in check.fresh_outputs(copy))
    (copy / "results").mkdir(exist_ok=True)
    (copy / "results" / "probe.csv").write_text("1\n", encoding="utf-8")
    change(path, add_cell("open('../results/probe.csv').read()"))
    assert any("00_surface" in problem for problem in check.fresh_outputs(copy))
    before = source_hash(path, copy)
    (copy / "results" / "probe.csv").write_text("2\n", encoding="utf-8")
    assert source_hash(path, copy) != before


MODULE_TEXT = "# AUTOGENERATED! DO NOT EDIT! File to edit: ../nbs/{number}_{name}.ipynb.\n{text}\n"


@pytest.mark.parametrize(
    ("rule", "number_", "text", "message"),
    [
        (check.import_order, 10, "def f():\n    from hybrid_iv.later import x", "imports point to lower numbers"),
        (check.import_order, 10, "from .later import x", "imports point to lower numbers"),
        (check.import_order, 10, "from . import later", "imports point to lower numbers"),
        (check.import_order, 10, "from hybrid_iv import Grid", "import from the module that defines the name"),
        (check.late_torch, 10, "try:\n    import torch.nn as nn\nexcept ImportError:\n    pass", "imports torch.nn at module level"),
        (check.documented, 10, "def f(\n    x: int,\n) -> int:  # out\n    'Doc.'\n    return x", "x has no comment"),
        (check.documented, 10, "def f(x: int) -> int:  # out\n    'Doc.'\n    return x", "x shares its line"),
        (check.documented, 10, "def f(x, y):  # both\n    'Doc.'", "x shares its line"),
        (check.documented, 10, "def f():\n    pass", "no docstring"),
        (check.documented, 10, "def f(**options):\n    'Doc.'", "takes **options"),
        (check.documented, 10, "class A:\n    'Doc.'\n    size: int", "size has no comment"),
    ],
)
def test_rules_on_modules(rule: Callable[[Path], list[str]], number_: int, text: str, message: str, copy: Path) -> None:
    """Each rule finds what breaks it."""
    assert not any("probe" in problem for problem in rule(copy))
    for name, its_number, its_text in (("probe", number_, text), ("later", 20, "x = 1")):
        (copy / "nbs" / f"{its_number}_{name}.ipynb").write_text('{"cells": [], "metadata": {}}', encoding="utf-8")
        (copy / "hybrid_iv" / f"{name}.py").write_text(MODULE_TEXT.format(number=its_number, name=name, text=its_text), encoding="utf-8")
    assert message in "\n".join(problem for problem in rule(copy) if "probe" in problem)


def test_rules_allow_what_is_right(copy: Path) -> None:
    """Torch inside a function or for type checkers, comments on parameters, private names without."""
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\nfrom hybrid_iv.surface import Grid\n"
        "def f(\n    x: int,  # a count\n) -> int:  # another\n    'Doc.'\n    import torch\n    return x\ndef _g(y): pass"
    )
    (copy / "nbs" / "10_probe.ipynb").write_text('{"cells": [], "metadata": {}}', encoding="utf-8")
    (copy / "hybrid_iv" / "probe.py").write_text(MODULE_TEXT.format(number=10, name="probe", text=text), encoding="utf-8")
    for rule in (check.import_order, check.late_torch, check.documented):
        assert not any("probe" in problem for problem in rule(copy))


@pytest.mark.parametrize(
    ("rule", "text", "output", "message"),
    [
        (check.cell_lengths, "#| export\n" + "x = 1\n" * 46, "", "46 exported lines, at most 45"),
        (check.notebook_form, "#| eval: false\nx = 1", "", "2 cells with `#| eval: false`"),
        (check.no_machine_paths, "x = 1", "saved in /ho" "me/someone/x.csv", "is a path of one machine"),
        (check.lonely_imports, "import math\nprint(math.pi)", "", "an import beside other code"),
        (check.import_order, "from hybrid_iv.later import x", "", "imports point to lower numbers"),
    ],
)
def test_rules_on_notebooks(rule: Callable[[Path], list[str]], text: str, output: str, message: str, copy: Path) -> None:
    """Each rule finds what breaks it."""
    assert not any("00_surface" in problem for problem in rule(copy))
    (copy / "nbs" / "20_later.ipynb").write_text('{"cells": [], "metadata": {}}', encoding="utf-8")
    (copy / "hybrid_iv" / "later.py").write_text(MODULE_TEXT.format(number=20, name="later", text="x = 1"), encoding="utf-8")
    for _ in range(2):
        change(copy / SURFACE, add_cell(text, output))
    assert message in "\n".join(problem for problem in rule(copy) if "00_surface" in problem)


def test_two_notebooks_with_one_name(copy: Path) -> None:
    """They would share a page."""
    (copy / "nbs" / "10_surface.ipynb").write_text((copy / SURFACE).read_text(encoding="utf-8"), encoding="utf-8")
    assert "would both be surface.html" in check.unique_stems(copy)[0]


def test_names_of_notebooks() -> None:
    """Number and stem."""
    assert (number(SURFACE), stem(SURFACE)) == (0, "surface")
    assert (number(Path("nbs/index.ipynb")), stem(Path("nbs/index.ipynb"))) == (None, "index")


def test_last_line_and_exit_code(copy: Path) -> None:
    """One failure makes the exit code 1 and is counted in the last line."""
    (copy / "README.md").write_text("another text", encoding="utf-8")
    done = subprocess.run([sys.executable, str(ROOT / "tools" / "gate.py"), "sync", "--root", str(copy)], capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "2 passed, 1 failed")
