"""The S&P 500 factor surfaces year by year, `make refit`: results/transfer/refit.csv.

The shipped hybrid as it is, `hybrid-panel` trained anew at the beginning of each year on all that came before (the last year of it for
validation and the gate), and the mean of the two, projected. Needs `HYBRID_IV_DATA`. A year that is done is not run again unless the code
of the hybrid has changed.
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

FIRST, LAST, VALID_ROWS = 2000, 2018, 252


def year_of(year: int, folder: Path) -> None:
    """Forecasts of `hybrid-panel` from the days of one year, kept as `folder`/year.npy."""
    import numpy as np
    import torch

    from hybrid_iv.data.datasets import load_dataset
    from hybrid_iv.models.hybrid import Hybrid
    from hybrid_iv.replication.transfer import STUDY_HORIZONS
    from hybrid_iv.replication.study import PROFILES

    if (folder / f"{year}.npy").is_file():
        return
    torch.set_num_threads(1)
    panel = load_dataset("spx-factors")
    begin, end = np.searchsorted(panel["date"].values, [np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01")])
    hybrid = Hybrid(PROFILES["seeds"].hybrid, "hybrid-panel")
    hybrid.fit(panel.isel(date=slice(begin - VALID_ROWS)), panel.isel(date=slice(begin - VALID_ROWS, begin)))
    iv = hybrid.forecast(panel.isel(date=slice(end)), panel["date"].values[begin:end], STUDY_HORIZONS).values
    np.save(folder / f"{year}.tmp.npy", iv)
    (folder / f"{year}.tmp.npy").replace(folder / f"{year}.npy")


def main() -> int:
    """Train what is missing, then write the table."""
    parser = argparse.ArgumentParser(description="Refit the hybrid each year.")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "transfer", help="folder of the table")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "refit", help="folder of the years that are done")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    import joblib
    import numpy as np
    import pandas as pd

    from hybrid_iv.arbitrage.constraints import breaches
    from hybrid_iv.data.datasets import load_dataset
    from hybrid_iv.data.features import last_known
    from hybrid_iv.models.pretraining import PretrainedHybrid
    from hybrid_iv.replication.transfer import STUDY_HORIZONS
    from hybrid_iv.arbitrage.projection import project
    from hybrid_iv.evaluation.significance import ratio_interval
    from hybrid_iv.replication.study import PROFILES, git_commit, package_versions, source_digest
    from hybrid_iv.surface import Grid, panel_hash

    commit, begin = git_commit(), time.perf_counter()
    work, years = args.work / source_digest("hybrid_iv.hybrid")[:16], range(FIRST, LAST + 1)
    work.mkdir(parents=True, exist_ok=True)
    joblib.Parallel(2)(joblib.delayed(year_of)(year, work) for year in years)
    panel = load_dataset("spx-factors")
    grid, dates, iv = Grid.of(panel), panel["date"].values, panel["iv"].values
    first = int(np.searchsorted(dates, np.datetime64(f"{FIRST}-01-01")))
    rows = np.arange(first, len(dates))
    today = last_known(iv)[rows]
    shipped = PretrainedHybrid().fit(panel.isel(date=slice(first - VALID_ROWS)), panel.isel(date=slice(first - VALID_ROWS, first)))
    models = {
        "hybrid": shipped.forecast(panel, dates[rows], STUDY_HORIZONS).values,
        "hybrid-panel, refit": np.concatenate([np.load(work / f"{year}.npy") for year in years]),
    }
    models["mean of both"] = project(np.mean(list(models.values()), 0), grid)
    out: list[tuple[Any, ...]] = []
    for name, forecast in models.items():
        assert not any(b.found.any() for b in breaches(forecast, grid).values()), name
        for h, ahead in enumerate(STUDY_HORIZONS):
            known = rows + ahead < len(dates)
            target, at = iv[rows[known] + ahead], dates[rows[known]].astype("datetime64[Y]").astype(int) + 1970
            came = np.isfinite(target).all((1, 2, 3))  # not on a day that the source leaves out
            own, still = (np.abs(x[known] - target).mean((1, 2, 3))[came] for x in (forecast[:, h], today))
            at = at[came]
            for part in ("all", *years):
                here = np.full(len(at), True) if part == "all" else at == part
                found = ratio_interval(own[here], still[here], ahead, "bootstrap")
                out.append((name, part, ahead, *found, 100 * own[here].mean(), here.sum()))
    table = pd.DataFrame(out, columns=["model", "part", "horizon", "ratio", "low", "high", "mae", "n"])
    write_atomically(args.output / "refit.csv", table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    manifest = {"git_commit": commit, "packages": package_versions(), "panel_hash": panel_hash(panel), "valid_rows": VALID_ROWS,
                "hybrid": asdict(PROFILES["seeds"].hybrid), "seconds": round(time.perf_counter() - begin)}  # fmt: skip
    write_atomically(args.output / "refit.json", json.dumps(manifest, indent=1, default=str) + "\n")
    print(table[table["part"] == "all"].pivot(index="model", columns="horizon", values="ratio").round(4).to_string())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
