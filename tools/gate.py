"""The gate, `make test`: every step runs, also after a failure, and the last line is `N passed, M failed`.

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
import readme
from common import PACKAGE, ROOT, Check, copy_tree, notebooks, quiet_environment, repository_files

NOTEBOOK_SECONDS = 120  # a notebook that takes longer is ended, and fails
STEP_SECONDS = 900  # so does any other command
SIDE_BY_SIDE = 2  # notebooks at a time


def run(command: list[str], root: Path, seconds: float = STEP_SECONDS, environment: dict[str, str] | None = None) -> tuple[int | None, str]:
    """Run a command in `root`: its exit code, None if it took too long, and what it printed. Its children end with it."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    env = environment or quiet_environment(root)
    with subprocess.Popen(command, cwd=root, env=env, text=True, errors="replace", start_new_session=True, **pipes) as process:
        try:
            printed, _ = process.communicate(timeout=seconds)
            return process.returncode, printed
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            printed, _ = process.communicate()
            return None, printed


def command_check(name: str, command: list[str], root: Path, seconds: float = STEP_SECONDS) -> Check:
    """One test: a command that must exit with 0."""
    start = time.monotonic()
    code, printed = run(command, root, seconds)
    end = f"took more than {seconds:.0f} s and was ended" if code is None else f"exit code {code}"
    return Check(name, [] if code == 0 else [f"{end}: {' '.join(command[:4])} ...\n{tail(printed)}"], f"{time.monotonic() - start:.0f} s")


def tail(text: str, lines: int = 40) -> str:
    """The last lines of an output."""
    return "\n".join(text.strip().splitlines()[-lines:])


def sync(root: Path) -> list[Check]:
    """Export, clean and README are in step: doing them again in a copy changes nothing."""
    exported, cleaned = Check("generated modules are what nbdev_export makes"), Check("notebooks are clean")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copy_tree(root, copy)
        for outcome, module, function in ((exported, "nbdev.doclinks", "nbdev_export"), (cleaned, "nbdev.clean", "nbdev_clean")):
            env = {**quiet_environment(copy), "PYTHONWARNINGS": "ignore"}
            code, printed = run([sys.executable, "-c", f"from {module} import {function}; {function}()"], copy, environment=env)
            if code != 0:
                outcome.problems.append(f"{function} failed:\n{tail(printed)}")
        for path, what in differences(root, copy):
            if path.suffix == ".ipynb":
                cleaned.problems.append(f"{path} {what}: run nbdev_clean")
            else:
                exported.problems.append(f"{path} {what}: edit the notebook, not the module, then run nbdev_export")
    return [exported, cleaned, Check("README.md is what `make readme` writes", readme.problems(root))]


def differences(root: Path, copy: Path) -> list[tuple[Path, str]]:
    """Files of the package and notebooks that differ between the checkout and the copy, with how."""
    def under(top: Path) -> set[Path]:
        found = [p.relative_to(top) for folder, suffix in ((PACKAGE, "py"), ("nbs", "ipynb")) for p in (top / folder).rglob(f"*.{suffix}")]
        return {p for p in found if not any(part.startswith((".", "_proc", "__pycache__")) for part in p.parts)}

    here = {path for path in under(root) if path in set(repository_files(root))}
    there = under(copy)
    missing = [(path, "is missing") for path in there - here]
    changed = [(path, "is not what its notebook gives" if path.suffix == ".py" else "is not clean") for path in here & there]
    return sorted(missing + [(path, what) for path, what in changed if (root / path).read_bytes() != (copy / path).read_bytes()])


def rules(root: Path) -> list[Check]:
    """The house rules."""
    return check.rules(root)


def notebook_check(path: Path, root: Path) -> Check:
    """One test: the tests of one notebook, in a process of its own."""
    outcome = Check(str(path.relative_to(root)))
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, str(ROOT / "tools" / "run_notebook.py"), str(path), "--root", str(root), "--result", str(result)]
        code, printed = run(command, root, NOTEBOOK_SECONDS)
        counts = json.loads(result.read_text()) if result.exists() else None
    outcome.note = f"{time.monotonic() - start:.0f} s"
    if code is None:
        outcome.problems.append(f"took more than {NOTEBOOK_SECONDS} s and was ended")
    elif counts is None:
        outcome.problems.append(f"its process ended (exit code {code}) before the notebook did\n{tail(printed)}")
    elif not counts["passed"] or code != 0:
        outcome.problems.append(tail(printed))
    elif not counts["expected"] or counts["executed"] != counts["expected"]:
        ran = f"ran {counts['executed']} of {counts['expected']} code cells"
        outcome.problems.append(f"{ran}: it must have some, and run them all, on a Python kernel, without skip_exec")
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
    left = [f"{path}: written by a notebook; write to a temporary folder" for path in sorted(set(repository_files(root)) - before)]
    return [*outcomes, Check("notebooks leave no files behind", left, f"median {statistics.median(seconds):.0f} s a notebook")]


def pytest_tests(root: Path) -> list[Check]:
    """The tests of tests/, each counted."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", f"--junitxml={report}", "tests"]
        code, printed = run(command, root)
        cases = ElementTree.parse(report).getroot().findall(".//testcase") if report.exists() else []
    outcomes = []
    for case in cases:
        name = f"{case.get('classname', '').removeprefix('tests.')}::{case.get('name')}"
        bad = [*case.findall("failure"), *case.findall("error")]
        skipped = case.find("skipped")
        outcome = Check(name, [tail(part.text or part.get("message", "")) for part in bad], f"{float(case.get('time', 0)):.1f} s")
        if skipped is not None and not bad:
            outcome.note = f"SKIPPED: {skipped.get('message')}"
        outcomes.append(outcome)
    if code not in (0, 1) or not cases or (code == 1 and not any(o.problems for o in outcomes)):
        outcomes.append(Check("pytest", [f"pytest ended with {'a time-out' if code is None else f'exit code {code}'}\n{tail(printed)}"]))
    return outcomes


def lint(root: Path) -> list[Check]:
    """ruff and mypy."""
    return [
        command_check("ruff", [sys.executable, "-m", "ruff", "check", "--quiet", "--no-cache", PACKAGE, "tools", "tests"], root),
        command_check("mypy", [sys.executable, "-m", "mypy", "--no-error-summary", PACKAGE], root),
    ]


def smoke(root: Path) -> list[Check]:
    """The replication, smallest profile, through papermill."""
    notebook = root / "nbs" / "60_replication.ipynb"
    if not notebook.exists():
        print("  nbs/60_replication.ipynb does not exist yet: nothing to replicate")
        return []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "papermill", str(notebook), f"{folder}/replication.ipynb", "--no-progress-bar"]
        parameters = {"profile": "smoke", "dataset": "default", "seed": "0", "run_dir": folder}
        command += [word for name, value in parameters.items() for word in ("-p", name, value)]
        outcome = command_check("replication, profile smoke", command, root, 300)
        wanted = ("metrics.csv", "violations.csv", "significance.csv", "forecasts.nc", "manifest.json", "replication.ipynb")
        if not outcome.problems:
            outcome.problems += [f"it left no {name}" for name in wanted if not (Path(folder) / name).exists()]
    return [outcome]


def docs(root: Path) -> list[Check]:
    """The site renders, without a warning and without a request to another machine."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(root / "tools" / "docs.py"), "--strict", "--output", f"{folder}/site"]
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
    """Run and report one step; if it breaks down itself, that is a failed test, and the others still run."""
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
    parser.add_argument("steps", nargs="*", help=f"the steps, of {', '.join(STEPS)} (default: all)")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: this one)")
    args = parser.parse_args()
    if unknown := [step for step in args.steps if step not in STEPS]:
        parser.error(f"no step {', '.join(unknown)}: the steps are {', '.join(STEPS)}")
    with tempfile.TemporaryDirectory() as cache:
        os.environ.setdefault("HYBRID_IV_CACHE", cache)  # nothing left over from earlier runs may help
        outcomes = [outcome for name in args.steps or STEPS for outcome in step(name, args.root.resolve())]
    failed = sum(bool(outcome.problems) for outcome in outcomes)
    skipped = sum(outcome.note.startswith("SKIPPED") and not outcome.problems for outcome in outcomes)
    if skipped:
        print(f"{skipped} skipped")
    print(f"{len(outcomes) - failed - skipped} passed, {failed} failed")
    return int(failed > 0 or len(outcomes) == skipped)


if __name__ == "__main__":
    raise SystemExit(main())
