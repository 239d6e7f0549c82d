"""Measure how pretraining carries over, `make transfer`: runs/transfer/transfer.csv, gates.csv and manifest.json.

Unseen simulated markets, the US stocks, and, where `HYBRID_IV_DATA` is set, the S&P 500 factor surfaces from 2000 on and the SSE 50ETF
chain from 2016 on, year by year. With `--left-out`, markets of the kind that a second network was trained without, `make pretrain` with
`--without`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from common import ROOT, write_atomically

KINDS = ("affine", "lognormal", "rough")


def sse50etf() -> Any:
    """The panel of the SSE 50ETF chain, from raw closes."""
    import polars as pl

    from hybrid_iv.data.gridding import quotes_to_panel
    from hybrid_iv.data.quotes import QuoteInfo, clean_quotes, read_table
    from hybrid_iv.surface import DAYS_PER_YEAR, Grid

    columns = {"date": "date", "asset": "asset", "expiry": "expiry", "is_call": "type", "strike": "strike", "price": "close"}
    closes = pl.scan_csv(Path(os.environ["HYBRID_IV_DATA"], "sse50etf", "option_closes.csv.gz"), infer_schema=False)
    info = QuoteInfo("SSE 50ETF closes", "european", "close", "XSHG", "CNY")
    quotes, _ = clean_quotes(read_table(closes.with_columns(asset=pl.lit("SSE50ETF")), columns, info))
    moneyness = (0.85, 0.90, 0.95, 0.975, 1.0, 1.025, 1.05, 1.10, 1.15)
    return quotes_to_panel(quotes, Grid(tuple(days / DAYS_PER_YEAR for days in (30, 60, 91, 182)), moneyness))[0]


def main() -> int:
    """Run, print and write the tables."""
    parser = argparse.ArgumentParser(description="Measure the pretrained hybrid on markets that it never saw.")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "transfer", help="the folder to write")
    parser.add_argument("--markets", type=int, default=20, help="unseen simulated markets")
    parser.add_argument("--only", nargs="*", default=None, help="some of the datasets; the rows of the others stay as --output has them")
    parser.add_argument("--left-out", type=Path, default=None, help="a network trained without one kind of dynamics")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    import numpy as np
    import pandas as pd

    from hybrid_iv.data.datasets import load_dataset
    from hybrid_iv.data.features import default_split
    from hybrid_iv.market.prior import PriorConfig
    from hybrid_iv.models.pretraining import PretrainedHybrid, load_pretrained
    from hybrid_iv.replication.transfer import error_ratios, prior_markets, walk_forward
    from hybrid_iv.replication.study import git_commit
    from hybrid_iv.surface import panel_hash

    commit, begin, pretrained = git_commit(), time.perf_counter(), load_pretrained()
    tables: list[Any] = []
    gates: list[Any] = []
    hashes: dict[str, str] = {}
    prior = PriorConfig(assets=12, days=1000)

    def wanted(name: str) -> bool:
        return args.only is None or name in args.only

    def walked(name: str, panel: Any, begins: list[int], labels: list[str]) -> None:
        errors = walk_forward(PretrainedHybrid(pretrained), panel, begins)
        block = errors["block"].values
        for number, label in [(None, "all"), *(enumerate(labels) if len(labels) > 1 else [])]:
            part = errors if number is None else errors.isel(origin=block == number)
            tables.append(error_ratios(part).assign(dataset=name, part=label))
            share = pd.Series(part["gate"].mean("origin").values, errors["gate_horizon"].values, name="share")
            gates.append(share.rename_axis("horizon").reset_index().assign(dataset=name, part=label))
            if number is None:
                print(name, tables[-1].round(4).to_string(), flush=True)
        hashes[name] = panel_hash(panel)

    def by_year(name: str, panel: Any, first: int) -> None:
        years = [str(year) for year in range(first, int(str(panel["date"].values[-1])[:4]) + 1)]
        walked(name, panel, [int(np.searchsorted(panel["date"].values, np.datetime64(f"{year}-01-01"))) for year in years], years)

    def simulated(name: str, network: Any, prior: PriorConfig, markets: int) -> None:
        found = prior_markets(network, prior, range(markets))
        part = "market " + found.pop("market").astype(str) + " " + found.pop("dynamics")
        tables.append(found.assign(dataset=name, part=part))
        print(name, tables[-1].groupby("horizon").mean(numeric_only=True).round(4).to_string(), flush=True)

    if wanted("us-stocks"):
        stocks = load_dataset("us-stocks")
        first = int(np.searchsorted(stocks["date"].values, np.datetime64(default_split(stocks).valid_end), side="right"))
        walked("us-stocks", stocks, [first], ["test"])
    if os.environ.get("HYBRID_IV_DATA") and wanted("spx-factors"):
        by_year("spx-factors", load_dataset("spx-factors"), 2000)
    if os.environ.get("HYBRID_IV_DATA") and wanted("sse50etf"):
        by_year("sse50etf", sse50etf(), 2016)
    if wanted("prior"):
        simulated("prior", pretrained, prior, args.markets)
    left_out: dict[str, Any] = {}
    if args.left_out is not None and wanted("left-out"):
        other = load_pretrained(args.left_out)
        settings = other.manifest["settings"]
        kinds = tuple(kind for kind in KINDS if kind not in settings["prior"]["dynamics"])
        left_out = {"dynamics": kinds, "stopped": other.manifest.get("stopped", ""), "markets_seen": other.manifest["markets_seen"],
                    "settings": settings}
        simulated("left-out", other, replace(prior, dynamics=kinds), 8)
    if not gates:
        gates.append(pd.DataFrame(columns=["dataset", "part", "horizon", "share"]))
    order = ["dataset", "part", "horizon", "ratio", "low", "high", "mae", "projected_over_plain", "ungated", "admissible", "breaches", "n"]
    args.output.mkdir(parents=True, exist_ok=True)
    written = {"transfer.csv": pd.concat(tables)[order], "gates.csv": pd.concat(gates)[["dataset", "part", "horizon", "share"]]}
    for name, table in written.items():
        if (args.output / name).is_file():
            before = pd.read_csv(args.output / name, dtype={"part": str})
            table = pd.concat([before[~before["dataset"].isin(pd.concat(tables)["dataset"])], table])
        write_atomically(args.output / name, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    path = args.output / "manifest.json"
    runs = json.loads(path.read_text(encoding="utf-8")).get("runs", {}) if path.is_file() else {}
    run = {"git_commit": commit, "packages": pretrained.manifest["packages"], "seconds": round(time.perf_counter() - begin)}
    more = {"prior": {"prior": asdict(prior)}, "left-out": left_out}
    for name in pd.concat(tables)["dataset"].unique():
        runs[name] = {**run, **({"panel_hash": hashes[name]} if name in hashes else {}), **more.get(name, {})}
    write_atomically(path, json.dumps({"runs": runs}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
