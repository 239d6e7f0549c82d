"""The real SSE 50ETF chain, from raw closes to a panel: needs `HYBRID_IV_DATA`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr

from hybrid_iv.arbitrage.constraints import panel_breaches, summarise_breaches
from hybrid_iv.data.gridding import GriddingReport, quotes_to_panel
from hybrid_iv.data.quotes import RULES, CleaningReport, QuoteInfo, Quotes, clean_quotes
from hybrid_iv.data.readers import read_table
from hybrid_iv.surface import DAYS_PER_YEAR, Grid

GRID = Grid(
    tuple(days / DAYS_PER_YEAR for days in (30, 60, 91, 182)),
    (0.85, 0.90, 0.95, 0.975, 1.0, 1.025, 1.05, 1.10, 1.15),
)
COLUMNS = {
    "date": "date",
    "asset": "asset",
    "expiry": "expiry",
    "is_call": "type",
    "strike": "strike",
    "price": "close",
}

pytestmark = pytest.mark.skipif(
    not os.environ.get("HYBRID_IV_DATA"), reason="HYBRID_IV_DATA is not set: no SSE 50ETF closes"
)


@pytest.fixture(scope="module")
def clean() -> tuple[Quotes, CleaningReport]:
    """The whole chain, cleaned."""
    closes = pl.scan_csv(
        Path(os.environ["HYBRID_IV_DATA"], "sse50etf", "option_closes.csv.gz"), infer_schema=False
    )
    info = QuoteInfo("SSE 50ETF closes", "european", "close", "XSHG", "CNY")
    return clean_quotes(read_table(closes.with_columns(asset=pl.lit("SSE50ETF")), COLUMNS, info))


@pytest.fixture(scope="module")
def gridded(clean: tuple[Quotes, CleaningReport]) -> tuple[xr.Dataset, GriddingReport]:
    """Every day of the chain on the grid."""
    return quotes_to_panel(clean[0], GRID)


def test_every_drop_is_counted(clean: tuple[Quotes, CleaningReport]) -> None:
    report = clean[1]
    assert report.rows == 288_756 == report.kept + sum(report.dropped.values())
    assert list(report.dropped) == list(RULES)
    # Contracts adjusted for dividends share the keys of others.
    assert report.dropped["duplicate"] >= 1_988
    assert report.kept > 0.9 * report.rows
    assert set(report.samples["rule"]) == {rule for rule, count in report.dropped.items() if count}


def test_forwards_by_parity_nearly_everywhere(gridded: tuple[xr.Dataset, GriddingReport]) -> None:
    panel, report = gridded
    refused = report.forwards[report.forwards["reason"] != "ok"]
    assert len(report.forwards) > 8_000 and len(refused) < 0.01 * len(report.forwards)
    spot = report.forwards["date"].map(panel["spot"].to_series().droplevel("asset"))
    growth = np.abs(np.log(report.forwards["forward"].to_numpy() / spot.to_numpy()))
    # Within half a year carry moves the forward by a few per cent at most.
    assert np.nanquantile(growth, 0.99) < 0.05


def test_panel_is_whole_and_plausible(gridded: tuple[xr.Dataset, GriddingReport]) -> None:
    panel, report = gridded
    assert panel.sizes["date"] == 2_254
    assert pd.Timestamp(panel["date"].values[-1]) == pd.Timestamp("2024-05-21")
    assert report.quotes == report.points + int(report.lost.to_numpy().sum())
    assert "iv_spread" not in panel  # closes have none
    w = panel["iv"] ** 2 * panel["maturity"]
    # No negative variance, and no hole where observed.
    assert bool((w.where(panel["observed"], 1.0) > 0).all())
    shortest = panel["iv"].where(panel["observed"]).isel(maturity=0, asset=0)
    money = shortest.sel(moneyness=1.0).to_series()
    assert money.notna().mean() > 0.8 and money.between(0.05, 0.9)[money.notna()].all()
    yearly = money.groupby(pd.DatetimeIndex(money.index).year).mean()
    assert yearly.idxmax() == 2015 and yearly.idxmin() == 2017  # the crash and the calmest year


def _raw_butterflies(table: pl.DataFrame, tick: float) -> float:
    """Share of neighbouring triples of raw call closes that are concave by more than one tick."""
    keys = ["date", "expiry"]
    calls = table.filter("is_call").sort(*keys, "strike")
    slope = pl.col("bid").diff().over(keys) / pl.col("strike").diff().over(keys)
    calls = calls.with_columns(slope=slope, width=pl.col("strike").diff().over(keys))
    bend = (pl.col("slope").shift(-1).over(keys) - pl.col("slope")) * pl.col("width")
    bends = calls.select(bend.alias("bend")).drop_nulls()
    return float(bends.select((pl.col("bend") < -tick).mean()).item())


def test_arbitrage_is_counted_raw_and_gridded(
    clean: tuple[Quotes, CleaningReport],
    gridded: tuple[xr.Dataset, GriddingReport],
    capsys: pytest.CaptureFixture[str],
) -> None:
    raw = _raw_butterflies(clean[0].collect(), tick=0.0001)
    table = summarise_breaches(panel_breaches(gridded[0]), resamples=0)
    with capsys.disabled():
        print(f"\nSSE 50ETF: raw butterfly breaches {100 * raw:.1f} % of triples; gridded:")
        print(table.to_string())
    assert 0 < raw < 0.5
    assert set(table.index) == {"calendar", "butterfly"} and (table["frequency_pct"] < 50).all()


def test_prefix(
    clean: tuple[Quotes, CleaningReport], gridded: tuple[xr.Dataset, GriddingReport]
) -> None:
    """Cleaning and gridding of the first days equal the first days of all, bit for bit."""
    last = pd.Timestamp(gridded[0]["date"].values[120]).date()
    closes = pl.scan_csv(
        Path(os.environ["HYBRID_IV_DATA"], "sse50etf", "option_closes.csv.gz"), infer_schema=False
    )
    early = closes.filter(pl.col("date") <= str(last)).with_columns(asset=pl.lit("SSE50ETF"))
    quotes, _ = clean_quotes(read_table(early, COLUMNS, clean[0].info))
    xr.testing.assert_identical(quotes_to_panel(quotes, GRID)[0], gridded[0].isel(date=slice(121)))
