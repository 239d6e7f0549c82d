"""Quotes of a simulated market through cleaning and gridding, against the market's truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybrid_iv.arbitrage.constraints import panel_breaches, summarise_breaches
from hybrid_iv.data.gridding import GriddingReport, quotes_to_panel
from hybrid_iv.data.quotes import Quotes, clean_quotes
from hybrid_iv.data.readers import read_table
from hybrid_iv.market.chains import market_quotes
from hybrid_iv.market.simulation import Market, MarketConfig, simulate_market, true_surfaces
from hybrid_iv.surface import PAPER_GRID, VOL_POINTS, Grid

SMALL = {"indices": 1, "stocks": 3, "sectors": 1, "illiquid": 1, "late": 0}
CONFIG = MarketConfig(**SMALL, start="2021-01-01", end="2021-04-30", seed=3)


@pytest.fixture(scope="module")
def market() -> Market:
    """Four months, four assets."""
    return simulate_market(CONFIG)


@pytest.fixture(scope="module")
def quotes(market: Market) -> Quotes:
    """Clean quotes of the market."""
    table = market_quotes(market)
    clean, report = clean_quotes(read_table(table, {name: name for name in table.columns}))
    assert report.kept > 0.5 * report.rows
    return clean


def earnings(market: Market) -> pd.DataFrame:
    """Events as a calendar vendor gives them."""
    day, asset = np.nonzero(market.earnings)
    date = pd.bdate_range(CONFIG.start, periods=len(market.earnings))[day]
    names = np.array(market.assets)[asset]
    facts = {"known_on": pd.Timestamp("2020-01-01"), "kind": "earnings"}
    return pd.DataFrame({"asset": names, "date": date, **facts})


def error(panel: xr.Dataset, market: Market) -> np.ndarray:
    """Mean absolute error of each asset on its observed cells, vol points."""
    truth = true_surfaces(market, PAPER_GRID)
    rows = market.dates.get_indexer(pd.DatetimeIndex(panel["date"].values))
    gap = VOL_POINTS * abs(panel["iv"] - truth[rows]).where(panel["observed"])
    return gap.mean(["date", "maturity", "moneyness"]).values


def test_the_panel_is_near_the_truth(market: Market, quotes: Quotes) -> None:
    found: tuple[xr.Dataset, GriddingReport] = quotes_to_panel(quotes, events=earnings(market))
    panel, report = found
    assert report.lost.drop(columns="in_the_money").to_numpy().sum() < 0.02 * report.quotes
    aware, unaware = error(panel, market), error(quotes_to_panel(quotes)[0], market)
    assert (aware[:-1] < 1.0).all() and aware[-1] < 3.0  # the last name is illiquid
    assert aware[0] == pytest.approx(unaware[0])  # an index has no earnings
    assert aware[1:].mean() < unaware[1:].mean()


def test_spot_moneyness(market: Market, quotes: Quotes) -> None:
    """Quotes in K/S differ from those in K/F as the truth does, read at ln(K/S) less the carry."""
    panels = [
        quotes_to_panel(quotes, moneyness_kind=kind, events=earnings(market))[0]
        for kind in ("spot", "forward")
    ]
    assert [panel.attrs["moneyness_kind"] for panel in panels] == ["spot", "forward"]
    quoted = [panel["iv"].where(panel["observed"]) for panel in panels]
    spot, forward = (iv.sel(maturity=1.0).values for iv in quoted)  # at one year
    rows = market.dates.get_indexer(pd.DatetimeIndex(panels[0]["date"].values))
    fine = Grid((1.0,), tuple(np.linspace(0.6, 1.4, 161)))
    truth = true_surfaces(market, fine)[rows, :, 0]
    k, nodes = np.log(fine.moneyness), np.log(PAPER_GRID.moneyness)
    found = []
    for a in range(len(market.assets) - 1):  # the last one is illiquid
        carry = market.rate[rows] - market.law.dividend_yield[a]
        wanted = np.stack([
            np.interp(nodes - c, k, day) - np.interp(nodes, k, day)
            for c, day in zip(carry, truth[:, a])
        ])
        both = np.isfinite(spot[:, a] + forward[:, a])
        assert both.mean() > 0.3
        apart = (spot[:, a] - forward[:, a] - wanted, wanted)
        found.append([VOL_POINTS * np.abs(x[both]).mean() for x in apart])
    error, size = np.transpose(found)
    said = f"vol points between K/S and K/F: {size.round(3)}"
    print(f"\n{said}; not as in the truth: {error.round(3)}")
    assert error.mean() < 0.2 * size.mean() and (error < 0.1).all()


def test_prefix(market: Market, quotes: Quotes) -> None:
    """Gridding the first days gives the first days of gridding all, bit for bit, with events."""
    import polars as pl

    last = market.dates[20]
    early = Quotes(quotes.table.filter(pl.col("date") <= last.date()), quotes.info)
    whole = quotes_to_panel(quotes, events=earnings(market))[0]
    part = quotes_to_panel(early, events=earnings(market))[0]
    xr.testing.assert_identical(part, whole.sel(date=slice(None, last)))
    assert "iv_spread" in part


def test_quoted_spreads(market: Market, quotes: Quotes) -> None:
    """Spreads stand where quotes do, follow the quotes, and are what breaches are held against."""
    panel = quotes_to_panel(quotes, events=earnings(market))[0]
    np.testing.assert_array_equal(np.isfinite(panel["iv_spread"]), panel["observed"])
    points = quotes.collect().to_pandas()
    # At the money, in 60 to 120 days: spread of prices over vega, by hand.
    for name in market.assets:
        distance = np.abs(np.log(points["strike"] / points["forward"]))
        near = points[(points["asset"] == name) & (distance < 0.02)]
        tau = (pd.to_datetime(near["expiry"]) - pd.to_datetime(near["date"])).dt.days / 365
        near, tau = near[tau.between(0.15, 0.35)], tau[tau.between(0.15, 0.35)]
        vega = near["discount"] * near["forward"] * np.sqrt(tau / (2 * np.pi))
        by_hand = float(((near["ask"] - near["bid"]) / vega).median())
        gridded = float(panel["iv_spread"].sel(asset=name).isel(maturity=4, moneyness=6).median())
        assert gridded == pytest.approx(by_hand, rel=0.15), name
    table = summarise_breaches(panel_breaches(panel), resamples=0)
    half = summarise_breaches(panel_breaches(panel.drop_vars("iv_spread")), resamples=0)
    assert "beyond_half_spread_pct" not in half
    butterfly = table.loc["butterfly"]
    assert butterfly["quoted_breaches"] > 0 and 0 <= butterfly["beyond_half_spread_pct"] <= 100
