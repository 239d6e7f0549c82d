"""Measure how pretraining carries over, `make transfer`: runs/transfer/transfer.csv, gates.csv and manifest.json.

Unseen simulated markets, the US stocks, and, where `HYBRID_IV_DATA` is set, the S&P 500 factor surfaces year by year from 2000 on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from common import ROOT, write_atomically


def main() -> int:
    """Run, print and write the tables."""
    parser = argparse.ArgumentParser(description="Measure the pretrained hybrid on markets that it never saw.")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "transfer", help="the folder to write")
    parser.add_argument("--markets", type=int, default=20, help="unseen simulated markets")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    import numpy as np
    import pandas as pd

    from hybrid_iv.datasets import load_dataset
    from hybrid_iv.features import default_split
    from hybrid_iv.market_prior import PriorConfig
    from hybrid_iv.pretraining import PretrainedHybrid, load_pretrained
    from hybrid_iv.pretraining_study import error_ratios, prior_markets, walk_forward
    from hybrid_iv.study import git_commit
    from hybrid_iv.surface import panel_hash

    begin, pretrained, tables, gates, hashes = time.perf_counter(), load_pretrained(), [], [], {}

    def walked(name: str, panel: object, begins: list[int], labels: list[str]) -> None:
        errors = walk_forward(lambda: PretrainedHybrid(pretrained), panel, begins)
        tables.append(error_ratios(errors).assign(dataset=name, part="all"))
        for number, label in enumerate(labels if len(labels) > 1 else []):
            tables.append(error_ratios(errors.isel(origin=errors["block"].values == number)).assign(dataset=name, part=label))
        gate = pd.DataFrame(errors["gate"].values, columns=errors["gate_horizon"].values).assign(dataset=name, part=labels)
        gates.append(gate.melt(["dataset", "part"], var_name="horizon", value_name="share"))
        hashes[name] = panel_hash(panel)
        print(name, tables[-len(labels) if len(labels) > 1 else -1].round(4).to_string(), flush=True)

    stocks = load_dataset("us-stocks")
    first = int(np.searchsorted(stocks["date"].values, np.datetime64(default_split(stocks).valid_end), side="right"))
    walked("us-stocks", stocks, [first], ["test"])
    if os.environ.get("HYBRID_IV_DATA"):
        index = load_dataset("spx-factors")
        years = range(2000, int(str(index["date"].values[-1])[:4]) + 1)
        rows = [int(np.searchsorted(index["date"].values, np.datetime64(f"{year}-01-01"))) for year in years]
        walked("spx-factors", index, rows, [str(year) for year in years])
    markets = prior_markets(pretrained, PriorConfig(assets=12, days=1000), range(args.markets))
    tables.append(markets.assign(dataset="prior", part="market " + markets.pop("market").astype(str) + " " + markets.pop("dynamics")))
    mean = tables[-1].groupby("horizon", as_index=False).mean(numeric_only=True)
    print(mean.round(4).to_string())
    order = ["dataset", "part", "horizon", "ratio", "low", "high", "mae", "projected_over_plain", "breaches", "n"]
    args.output.mkdir(parents=True, exist_ok=True)
    for name, table in {"transfer.csv": pd.concat(tables)[order], "gates.csv": pd.concat(gates)}.items():
        write_atomically(args.output / name, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    manifest = {"git_commit": git_commit(), "panel_hash": hashes, "prior": asdict(PriorConfig(assets=12, days=1000)),
                "packages": pretrained.manifest["packages"], "seconds": round(time.perf_counter() - begin)}
    write_atomically(args.output / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
