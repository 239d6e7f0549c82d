"""Check that a replication can be repeated, `make check-replication`: the same bytes each time.

The small profile runs twice, and a third time while it is killed at three moments. All three must
leave the same bytes in every table. Each run has its own cache; the killed one resumes from what it
finds there. The check takes about half an hour on two cores and is not part of the gate.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil  # comes with ipykernel

from common import ROOT


def start(profile: str, dataset: str, folder: Path) -> subprocess.Popen[bytes]:
    """Begin a run."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "papermill",
        str(ROOT / "nbs" / "replication" / "90_replication.ipynb"),
        str(folder / "replication.ipynb"),
    ]
    command += [
        "--no-progress-bar",
        "-p",
        "profile",
        profile,
        "-p",
        "dataset",
        dataset,
        "-p",
        "run_dir",
        str(folder),
    ]
    environment = {**os.environ, "HYBRID_IV_CACHE": str(folder / "cache"), "HYBRID_IV_QUIET": "1"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )


def finished(profile: str, dataset: str, folder: Path) -> float:
    """Run to the end; seconds."""
    begin = time.monotonic()
    if code := start(profile, dataset, folder).wait():
        raise SystemExit(f"{folder}: the run ended with exit code {code}")
    return time.monotonic() - begin


def written_tables(folder: Path) -> dict[str, bytes]:
    """Every table of a finished run, by the name of its file."""
    tables = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    if not tables:
        raise SystemExit(f"{folder}: holds no table")
    return tables


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a run, its kernel and its workers, each of which has a session of its own."""
    for one in [*psutil.Process(process.pid).children(recursive=True), process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()


def main() -> int:
    """0 if all runs agree."""
    parser = argparse.ArgumentParser(
        description="Check that a replication gives the same bytes, also after kill -9."
    )
    parser.add_argument("--profile", default="small", help="profile of the runs (default: small)")
    parser.add_argument(
        "--dataset", default="default", help="dataset of the runs (default: what the profile runs)"
    )
    parser.add_argument(
        "--against",
        type=Path,
        default=None,
        help="folder of a run that began without a cache, in place of two fresh ones",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=None,
        help="of the moments at which the run is killed (default: the clock)",
    )
    args = parser.parse_args()
    moments = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        killed, fresh = (
            Path(name, "killed"),
            [args.against] if args.against else [Path(name, turn) for turn in ("first", "second")],
        )
        taken = [
            finished(args.profile, args.dataset, folder) for folder in fresh if not args.against
        ]
        print(f"fresh runs: {[round(one) for one in taken]} s", flush=True)
        seconds = min(taken, default=300.0)
        for _ in range(3):
            process, wait = (
                start(args.profile, args.dataset, killed),
                moments.uniform(0.05, 0.6) * seconds,
            )
            try:
                print(
                    f"not killed: it ended with {process.wait(wait)} within {wait:.0f} s",
                    flush=True,
                )
            except subprocess.TimeoutExpired:
                kill(process)
                print(f"killed after {wait:.0f} s", flush=True)
        print(f"resumed: {finished(args.profile, args.dataset, killed):.0f} s more", flush=True)
        first, *others = (written_tables(folder) for folder in (*fresh, killed))
        different = sum(first != other for other in others)
        for table in sorted(first.keys() | {name for other in others for name in other}):
            same = all(first.get(table) == other.get(table) for other in others)
            print(f"  {table}: {'the same bytes' if same else 'DIFFERENT'}")
    return int(different > 0)


if __name__ == "__main__":
    raise SystemExit(main())
