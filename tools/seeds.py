"""Several markets, `make seeds`: results/seeds.

For each seed of the simulated market at the paper's size the shipped hybrid, the hybrid trained on the panel and every econometric
benchmark, with the oracle: about fifteen minutes of one core a market. Stages are kept in the cache, so that a run that was killed goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import ROOT, write_atomically


def main() -> int:
    """Run every seed, then write tables and manifest."""
    parser = argparse.ArgumentParser(description="Run the hybrids and the benchmarks on several markets.")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "seeds", help="folder of the tables")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="of the markets and of the networks")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    import pandas as pd

    from hybrid_iv.replication.ablations import pool_seeds, pooled_share
    from hybrid_iv.evaluation.significance import significance_table, significant_share
    from hybrid_iv.replication.study import (
        PROFILES,
        evaluation_stage,
        git_commit,
        package_versions,
        run_jobs,
        study_jobs,
        unpack_table,
    )

    profile, commit, begin = PROFILES["seeds"], git_commit(), time.perf_counter()
    losses, metrics, gates, seconds, left_out, fallbacks = [], [], [], {}, {}, {}
    tests: dict[str, list[Any]] = {"hybrid": [], "hybrid-panel": []}
    for seed in args.seeds:
        jobs = study_jobs("simulated", profile, seed)
        reasons = run_jobs(jobs, profile, seed)
        left_out |= {f"{job.name}, market {seed}": reason for job, reason in reasons.items() if reason}
        by_part: dict[str, dict[str, Any]] = {"test": {}, "valid": {}}
        for job in (job for job in jobs if not reasons[job]):
            made = evaluation_stage(job, profile, seed).result()
            seconds[f"{job.name}, market {seed}"] = float(made.attrs["forecast_seconds"])
            if made.attrs.get("fallbacks") and job.part == "test":
                fallbacks[f"{job.model}, market {seed}"] = int(made.attrs["fallbacks"])
            if job.part == "test":
                table = unpack_table(made, "metrics")
                metrics.append(table[(table[["asset", "region", "regime"]] == "all").all(axis=1)])
                mean = made["absolute"].mean("asset").to_series().rename("loss").reset_index()
                losses.append(mean.assign(seed=seed, model=job.model))
                if job.model in tests:
                    shares = json.loads(made.attrs["gate"])
                    gates.append(pd.DataFrame({"seed": seed, "model": job.model, "horizon": profile.horizons, "share": shares}))
            if job.model != "oracle":
                by_part[job.part][job.model] = made[["absolute", "squared", "departure"]]
        for name, tables in tests.items():
            found = significance_table(by_part["test"], "simulated", name, valid_losses=by_part["valid"])
            tables.append(found[found["test"].str.startswith("dm")].assign(seed=seed))
    every, measures = pd.concat(losses, ignore_index=True), pd.concat(metrics, ignore_index=True)
    won = [significant_share(pd.concat(tables)).assign(model=name) for name, tables in tests.items()]
    single = pd.concat([table for tables in tests.values() for table in tables]).query("loss == 'absolute' and test == 'dm-ewc'")
    written = {
        "seeds.csv": pool_seeds(every, measures), "shares.csv": pooled_share(measures).rename_axis("model").reset_index(),
        "significance.csv": pd.concat(won), "gates.csv": pd.concat(gates),
        "dm.csv": single[["seed", "model", "benchmark", "asset", "horizon", "statistic", "p_value", "p_adjusted"]],
    }
    for name, table in written.items():
        write_atomically(args.output / name, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    manifest = {
        "git_commit": commit, "seeds": args.seeds, "profile": asdict(profile), "packages": package_versions(), "threads": 1,
        "left_out": left_out, "fallbacks": fallbacks, "seconds": seconds, "wall_seconds": round(time.perf_counter() - begin),
    }
    write_atomically(args.output / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True, default=str) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
