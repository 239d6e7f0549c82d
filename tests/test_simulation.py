"""The simulated market: real figures that its notebook quotes, and equal markets elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hybrid_iv.data.datasets import us_stocks_delta_surfaces
from hybrid_iv.market.simulation import Market, MarketConfig, simulate_market, stylised_facts
from hybrid_iv.surface import Grid


@pytest.fixture
def data() -> Path:
    """The folder of real data."""
    folder = os.environ.get("HYBRID_IV_DATA")
    if not folder:
        pytest.skip("HYBRID_IV_DATA is not set: no real data to compare with")
    return Path(folder)


def factor_surfaces(factors: pd.DataFrame, grid: Grid) -> np.ndarray:
    """Closed-form S&P 500 surfaces (date, maturity, moneyness) from their five daily factors."""
    b = factors[[f"beta_{i}" for i in range(1, 6)]].to_numpy().T[:, :, None, None]
    m = -np.log(np.array(grid.moneyness)) / np.sqrt(grid.tau)
    n, term = np.minimum(m, 0), np.log(grid.tau / 5)
    level = b[0] + b[1] * np.exp(-np.sqrt(grid.tau / 0.25))
    slope = b[2] * np.where(m >= 0, m, np.tanh(n))
    wings = b[3] * (1 - np.exp(-(m**2))) * term + b[4] * (1 - np.exp((3 * n) ** 3)) * term * (m < 0)
    return level + slope + wings


def test_real_stylised_facts(data: Path) -> None:
    """The column of real figures in the notebook, to its last printed digit."""
    factors = pd.read_csv(data / "spx_factors" / "spx_factors.csv")
    maturities = tuple(days / 365 for days in (30, 60, 91, 182, 365))
    grid = Grid(maturities, tuple(np.arange(0.8, 1.21, 0.05).round(2)))
    returns = np.diff(np.log(factors["close"].to_numpy()))
    facts = stylised_facts(factor_surfaces(factors, grid), returns, grid)
    printed = {
        "atm 30 days, mean": (18.1, 0.06),
        "correlation of its change with the return": (-0.84, 0.006),
        "autocorrelation of its change": (-0.12, 0.006),
        "variance of its log over 30 days / 30 times one": (0.43, 0.006),
        "skew 90-110 %, 30 days": (11.0, 0.06),
        "skew 90-110 %, 1 year": (4.7, 0.06),
        "1 year - 30 days, calm": (3.4, 0.06),
        "1 year - 30 days, stress": (-7.4, 0.06),
        "first component": (0.71, 0.006),
        "first three components": (0.96, 0.006),
    }
    for name, (value, tolerance) in printed.items():
        assert facts[name] == pytest.approx(value, abs=tolerance), name


def test_size_of_earnings() -> None:
    """Earnings jumps are no larger than the largest one-day drops of variance of real stocks."""
    surfaces = us_stocks_delta_surfaces().isel(date=slice(0, 85), maturity=0)
    money = surfaces.sel(delta=[-0.5, 0.5]).mean("delta")
    total = (money**2 * float(surfaces["maturity"])).values  # at 30 days
    drops = np.sqrt(-np.diff(total, axis=0).min(0))
    low, high = MarketConfig().earnings_sd
    assert 0.02 <= low < drops.min() < high < drops.max()


def test_mean_of_vix(data: Path) -> None:
    """The mean close of VIX that the notebook quotes."""
    vix = pd.read_csv(data / "vix" / "vix.csv")
    vix.columns = vix.columns.str.lower()
    assert vix["close"].mean() == pytest.approx(19.5, abs=0.05)


def test_same_market_in_another_process() -> None:
    """The hash of a market does not depend on the process."""
    assets = {"indices": 1, "stocks": 2, "sectors": 1, "illiquid": 1, "late": 0}
    settings = {**assets, "start": "2020-01-01", "end": "2020-06-30", "seed": 5}
    code = f"""
from hybrid_iv.market.simulation import MarketConfig, simulate_market

print(simulate_market(MarketConfig(**{settings})).hash)
"""
    command = [sys.executable, "-c", code]
    other = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert simulate_market(MarketConfig(**settings)).hash == other


def test_stress_is_scripted_only_from_its_first_day() -> None:
    """With and without the scripted stress, one seed gives the same states until it begins."""
    assets = {"indices": 1, "stocks": 0, "sectors": 1, "illiquid": 0, "late": 0}

    def market(stress: bool) -> Market:
        config = MarketConfig(**assets, start="2020-01-01", end="2020-04-30", stress=stress)
        return simulate_market(config)

    calm, wild = market(False), market(True)
    first = calm.dates.get_loc("2020-02-24")
    np.testing.assert_array_equal(calm.variance[:first], wild.variance[:first])
    assert wild.variance[first:].sum() > 2 * calm.variance[first:].sum()
