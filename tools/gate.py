"""The gate, `make test`: every step runs, also after a failure.

The last line is `N passed, M failed`.

    python tools/gate.py              # everything
    python tools/gate.py sync rules   # some steps

Nothing here changes the work tree: what exports, cleans or runs does so in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import check
import notebooks as stored
from common import PACKAGE, ROOT, Check, copy_tree, notebooks, quiet_environment, repository_files

NOTEBOOK_SECONDS = 120  # a notebook that takes longer is ended, and fails
STEP_SECONDS = 900  # so does any other command
SIDE_BY_SIDE = 2  # notebooks at a time
REPLICATION = Path("nbs") / "replication" / "90_replication.ipynb"
REPLICATION_FILES = (
    "metrics.csv",
    "violations.csv",
    "significance.csv",
    "forecasts.nc",
    "manifest.json",
    "replication.ipynb",
)


def run(
    command: list[str],
    root: Path,
    seconds: float = STEP_SECONDS,
    environment: dict[str, str] | None = None,
) -> tuple[int | None, str]:
    """Run a command in `root`: its exit code and what it printed.

    The code is None if the command took too long. Its children end with it.
    """
    process = subprocess.Popen(
        command,
        cwd=root,
        env=environment or quiet_environment(root),
        text=True,
        errors="replace",
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with process:
        try:
            printed, _ = process.communicate(timeout=seconds)
            return process.returncode, printed
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            printed, _ = process.communicate()
            return None, printed


def command_check(
    name: str, command: list[str], root: Path, seconds: float = STEP_SECONDS
) -> Check:
    """One test: a command that must exit with 0."""
    start = time.monotonic()
    code, printed = run(command, root, seconds)
    note = f"{time.monotonic() - start:.0f} s"
    if code == 0:
        return Check(name, note=note)
    end = f"took more than {seconds:.0f} s and was ended" if code is None else f"exit code {code}"
    return Check(name, [f"{end}: {' '.join(command[:4])} ...\n{tail(printed)}"], note)


def tail(text: str, lines: int = 40) -> str:
    """The last lines of an output."""
    return "\n".join(text.strip().splitlines()[-lines:])


def sync(root: Path) -> list[Check]:
    """Export, clean and README are in step: doing them again in a copy changes nothing."""
    exported = Check("generated modules are what nbdev_export makes")
    cleaned = Check("notebooks are clean")
    steps = (
        (exported, "nbdev.doclinks", "nbdev_export"),
        (cleaned, "nbdev.clean", "nbdev_clean"),
    )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copy_tree(root, copy)
        env = {**quiet_environment(copy), "PYTHONWARNINGS": "ignore"}
        for outcome, module, function in steps:
            code = f"from {module} import {function}; {function}()"
            done, printed = run([sys.executable, "-c", code], copy, environment=env)
            if done != 0:
                outcome.problems.append(f"{function} failed:\n{tail(printed)}")
        for path, what in differences(root, copy):
            if path.suffix == ".ipynb":
                cleaned.problems.append(f"{path} {what}: run nbdev_clean")
            else:
                mend = "edit the notebook, not the module, then run nbdev_export"
                exported.problems.append(f"{path} {what}: {mend}")
    readme = Check("README.md is what `make readme` writes", stored.readme_problems(root))
    return [exported, cleaned, readme]


def differences(root: Path, copy: Path) -> list[tuple[Path, str]]:
    """Modules and notebooks that differ between the checkout and the copy, with how."""
    here, there = generated(root) & set(repository_files(root)), generated(copy)
    found = [(path, "is missing") for path in there - here]
    for path in here & there:
        if (root / path).read_bytes() != (copy / path).read_bytes():
            module = path.suffix == ".py"
            found.append((path, "is not what its notebook gives" if module else "is not clean"))
    return sorted(found)


def generated(top: Path) -> set[Path]:
    """The modules of the package and the notebooks of all folders, relative to the top."""
    found = [*(top / PACKAGE).rglob("*.py"), *(top / "nbs").rglob("*.ipynb")]
    inside = [path.relative_to(top) for path in found]
    hidden = (".", "_proc", "__pycache__")
    return {path for path in inside if not any(part.startswith(hidden) for part in path.parts)}


def rules(root: Path) -> list[Check]:
    """The house rules, after the rhythm of each notebook."""
    print(check.table(root), flush=True)
    return check.rules(root)


def notebook_check(path: Path, root: Path) -> Check:
    """One test: the tests of one notebook, in a process of its own."""
    outcome = Check(str(path.relative_to(root)))
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, str(ROOT / "tools" / "notebooks.py"), str(path)]
        command += ["--root", str(root), "--test", str(result)]
        code, printed = run(command, root, NOTEBOOK_SECONDS)
        counts = json.loads(result.read_text()) if result.exists() else None
    outcome.note = f"{time.monotonic() - start:.0f} s"
    if code is None:
        outcome.problems.append(f"took more than {NOTEBOOK_SECONDS} s and was ended")
    elif counts is None:
        outcome.problems.append(
            f"its process ended (exit code {code}) before the notebook did\n{tail(printed)}"
        )
    elif not counts["passed"] or code != 0:
        outcome.problems.append(tail(printed))
    elif not counts["expected"] or counts["executed"] != counts["expected"]:
        ran = f"ran {counts['executed']} of {counts['expected']} code cells"
        must = "it must have some, and run them all, on a Python kernel, without skip_exec"
        outcome.problems.append(f"{ran}: {must}")
    else:
        outcome.note += f", {counts['executed']} cells"
    return outcome


def notebook_tests(root: Path) -> list[Check]:
    """The tests of every notebook, side by side."""
    found = notebooks(root)
    if not found:
        return [Check("notebooks", ["there is no notebook to test"])]
    before = set(repository_files(root))
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        outcomes = list(pool.map(lambda path: notebook_check(path, root), found))
    seconds = [float(outcome.note.split()[0]) for outcome in outcomes]
    left = [
        f"{path}: written by a notebook; write to a temporary folder"
        for path in sorted(set(repository_files(root)) - before)
    ]
    note = f"median {statistics.median(seconds):.0f} s a notebook"
    return [*outcomes, Check("notebooks leave no files behind", left, note)]


def pytest_tests(root: Path) -> list[Check]:
    """The tests of tests/, each counted."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"]
        command += [f"--junitxml={report}", "tests"]
        code, printed = run(command, root)
        written = report.exists()
        cases = ElementTree.parse(report).getroot().findall(".//testcase") if written else []
    outcomes = []
    for case in cases:
        name = f"{case.get('classname', '').removeprefix('tests.')}::{case.get('name')}"
        bad = [*case.findall("failure"), *case.findall("error")]
        skipped = case.find("skipped")
        said = [tail(part.text or part.get("message") or "") for part in bad]
        outcome = Check(name, said, f"{float(case.get('time', 0)):.1f} s")
        if skipped is not None and not bad:
            outcome.note = f"SKIPPED: {skipped.get('message')}"
        outcomes.append(outcome)
    if code not in (0, 1) or not cases or (code == 1 and not any(o.problems for o in outcomes)):
        end = "a time-out" if code is None else f"exit code {code}"
        outcomes.append(Check("pytest", [f"pytest ended with {end}\n{tail(printed)}"]))
    return outcomes


def lint(root: Path) -> list[Check]:
    """ruff and mypy."""
    ruff = [sys.executable, "-m", "ruff", "check", "--quiet", "--no-cache"]
    mypy = [sys.executable, "-m", "mypy", "--no-error-summary"]
    return [
        command_check("ruff", [*ruff, PACKAGE, "tools", "tests", "setup.py"], root),
        command_check("mypy", [*mypy, PACKAGE], root),
    ]


def smoke(root: Path) -> list[Check]:
    """The replication, smallest profile, through papermill."""
    notebook = root / REPLICATION
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "papermill", str(notebook)]
        command += [f"{folder}/replication.ipynb", "--no-progress-bar"]
        parameters = {"profile": "smoke", "dataset": "default", "seed": "0", "run_dir": folder}
        command += [word for name, value in parameters.items() for word in ("-p", name, value)]
        outcome = command_check("replication, profile smoke", command, root, 300)
        if not outcome.problems:
            missing = [name for name in REPLICATION_FILES if not (Path(folder) / name).exists()]
            outcome.problems += [f"it left no {name}" for name in missing]
    return [outcome]


def docs(root: Path) -> list[Check]:
    """The site renders, without a warning and without a request to another machine."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(root / "tools" / "docs.py"), "--strict"]
        command += ["--output", f"{folder}/site"]
        return [command_check("docs render, strict", command, root)]


STEPS: dict[str, Callable[[Path], list[Check]]] = {
    "sync": sync,
    "rules": rules,
    "notebooks": notebook_tests,
    "pytest": pytest_tests,
    "lint": lint,
    "smoke": smoke,
    "docs": docs,
}


def report(outcomes: list[Check]) -> None:
    """Print one line for each test, and what failed below it."""
    for outcome in outcomes:
        skipped = outcome.note.startswith("SKIPPED")
        word = "FAIL" if outcome.problems else "skip" if skipped else "ok"
        print(f"  {word:4} {outcome.name}{f'  ({outcome.note})' if outcome.note else ''}")
        for problem in outcome.problems:
            print("       " + problem.replace("\n", "\n       "))
    sys.stdout.flush()


def step(name: str, root: Path) -> list[Check]:
    """Run and report one step; one that breaks down is a failed test, and the others still run."""
    start = time.monotonic()
    print(f"{name}: {(STEPS[name].__doc__ or '').strip()}", flush=True)
    try:
        found = STEPS[name](root)
    except Exception as error:
        found = [Check(name, [f"the step itself failed: {type(error).__name__}: {error}"])]
    report(found)
    print(f"  {time.monotonic() - start:.0f} s", flush=True)
    return found


def main() -> int:
    """Run the steps; 0 if every test passed."""
    parser = argparse.ArgumentParser(description="Run the gate, or some of its steps.")
    parser.add_argument("steps", nargs="*", help=f"of {', '.join(STEPS)} (default: all)")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    args = parser.parse_args()
    if unknown := [step for step in args.steps if step not in STEPS]:
        parser.error(f"no step {', '.join(unknown)}: the steps are {', '.join(STEPS)}")
    with tempfile.TemporaryDirectory() as cache:
        os.environ.setdefault("HYBRID_IV_CACHE", cache)  # nothing left from earlier runs may help
        root = args.root.resolve()
        outcomes = [outcome for name in args.steps or STEPS for outcome in step(name, root)]
    failed = sum(bool(outcome.problems) for outcome in outcomes)
    skipped = sum(one.note.startswith("SKIPPED") and not one.problems for one in outcomes)
    if skipped:
        print(f"{skipped} skipped")
    print(f"{len(outcomes) - failed - skipped} passed, {failed} failed")
    return int(failed > 0 or len(outcomes) == skipped)


if __name__ == "__main__":
    raise SystemExit(main())
