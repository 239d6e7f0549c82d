"""Run one experiment, `make run NAME=transfer`: its tables and a manifest, in runs/NAME.

Every piece is kept in the cache, so that a run that was killed resumes. Without a name the
experiments are listed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from common import ROOT


def main() -> int:
    """Run the experiment, or list those that there are."""
    parser = argparse.ArgumentParser(description="Run an experiment of the replication.")
    parser.add_argument("name", nargs="?", default="", help="of the experiment")
    parser.add_argument("--output", type=Path, default=None, help="folder (default: runs/NAME)")
    parser.add_argument("--only", nargs="+", default=[], metavar="PIECE", help="make these alone")
    parser.add_argument("--pieces", action="store_true", help="list the pieces and run nothing")
    parser.add_argument("--keep", action="store_true", help="write where the pages read: results/")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from hybrid_iv.replication.experiments import EXPERIMENTS, run_experiment
    from hybrid_iv.surface import HybridIVError

    if not args.name:
        lines = (f"{name:12} {experiment.about}" for name, experiment in EXPERIMENTS.items())
        print("\n".join(lines))
        return 0
    try:
        if args.pieces and args.name in EXPERIMENTS:
            print("\n".join(EXPERIMENTS[args.name].pieces()))
            return 0
        folder = run_experiment(args.name, args.output, args.only, args.keep)
    except HybridIVError as error:
        parser.error(str(error))
    print(f"tables and manifest in {folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
