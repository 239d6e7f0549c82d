"""How half-life and caution of the shipped hybrid's gate were chosen, `make gate-choice`: results/transfer/gate_choice.csv.

Every pair is tried where nothing is tested later: on markets of a kind that the forecasting network was trained without, and on the S&P 500
factor surfaces before 2000 (where `HYBRID_IV_DATA` is set). Errors are those of gated steps, unprojected, over persistence's.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import ROOT, write_atomically

HALF_LIVES, CAUTIONS, MARKETS = (90.0, 180.0, 365.0, 730.0), (0.0, 0.5, 1.0, 2.0), 12


def tried(pretrained: Any, panel: Any, first: int, stride: int) -> Any:
    """Error over persistence's by half-life, caution and horizon, from row `first` on; half-life 0: every step whole."""
    import numpy as np
    import pandas as pd

    from hybrid_iv.models.pretraining import GateConfig, PretrainedHybrid, interpolated
    from hybrid_iv.replication.transfer import STUDY_HORIZONS

    rows = np.arange(first, panel.sizes["date"] - max(STUDY_HORIZONS), stride)
    hybrid = PretrainedHybrid(pretrained).fit(panel.isel(date=slice(first - first // 5)), panel.isel(date=slice(first - first // 5, first)))
    hybrid.record, hybrid.gate = hybrid.grown(hybrid.record, panel), None  # each share is still settled on what came before its month
    today, whole = hybrid.moves(panel, rows, STUDY_HORIZONS)
    ahead = rows[:, None] + np.array(STUDY_HORIZONS)
    target = panel["iv"].values[ahead]
    counts = panel["observed"].values[ahead] & np.isfinite(today[:, None]) & np.isfinite(target)

    def error(steps: Any) -> Any:
        return np.where(counts, np.abs(np.exp(today[:, None] + steps) - target), 0.0).sum((0, 2, 3, 4))

    still, out = error(np.zeros_like(whole)), [(0.0, 0.0, error(whole))]
    for half_life in HALF_LIVES:
        for caution in CAUTIONS:
            hybrid.gate = GateConfig(half_life, caution)
            shares = interpolated(hybrid.shares(panel, rows), STUDY_HORIZONS)
            out.append((half_life, caution, error(shares[..., None, None, None] * whole)))
    return pd.concat([pd.DataFrame({"half_life": a, "caution": b, "horizon": STUDY_HORIZONS, "ratio": e / still}) for a, b, e in out])


def main() -> int:
    """Try every pair and write the table."""
    parser = argparse.ArgumentParser(description="Try half-lives and cautions of the gate.")
    parser.add_argument("--left-out", type=Path, required=True, help="a network trained without one kind, by tools/pretrain.py --without")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "transfer", help="folder of the table")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    import pandas as pd

    from hybrid_iv.data.datasets import load_dataset
    from hybrid_iv.market.prior import PriorConfig, draw_market
    from hybrid_iv.models.pretraining import load_pretrained
    from hybrid_iv.surface import progress

    other = load_pretrained(args.left_out)
    kinds = tuple(kind for kind in PriorConfig().dynamics if kind not in other.manifest["settings"]["prior"]["dynamics"])
    prior = replace(PriorConfig(assets=6, days=900), dynamics=kinds)
    panels = (draw_market([9_000_000, number], prior).panel() for number in progress(range(MARKETS), "markets"))
    tables = [tried(other, panel, 540, 4).assign(dataset="left-out") for panel in panels]
    if os.environ.get("HYBRID_IV_DATA"):
        early = load_dataset("spx-factors").sel(date=slice(None, "1999-12-31"))
        tables.append(tried(load_pretrained(), early, 252, 1).assign(dataset="spx-factors, 1996 to 1999"))
    table = pd.concat(tables).groupby(["dataset", "half_life", "caution", "horizon"], as_index=False)["ratio"].mean()
    write_atomically(args.output / "gate_choice.csv", table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    print(table.pivot_table(index=["dataset", "half_life", "caution"], columns="horizon", values="ratio").round(4).to_string())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
