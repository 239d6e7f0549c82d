"""The mixture head is free of arbitrage by construction: many inputs, fine grids, and fits."""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_iv.arbitrage.constraints import breaches, time_value
from hybrid_iv.arbitrage.mixture import MixtureHead, fit_mixture, time_value_of, volatility_of
from hybrid_iv.market.simulation import MarketConfig, simulate_market, true_surfaces
from hybrid_iv.surface import PAPER_GRID, Grid

FINE = Grid(
    tuple(np.interp(np.arange(101) / 10, np.arange(11), PAPER_GRID.maturities)),
    tuple(np.linspace(0.7, 1.3, 121)),
)


def wild(count: int, size: int, seed: int = 0) -> np.ndarray:
    "Random and adversarial inputs: normal, huge, of one sign, sparse, and mixtures of them."
    rng = np.random.default_rng(seed)
    scale = rng.choice([0.3, 1.0, 3.0, 30.0, 1e4], (count, 1))
    raw = scale * rng.standard_normal((count, size))
    raw[1::4] = scale[1::4] * rng.choice([-1.0, 1.0], (len(raw[1::4]), size))
    raw[2::4] = np.where(rng.random((len(raw[2::4]), size)) < 0.05, raw[2::4], 0.0)
    raw[3::4] = np.abs(raw[3::4]) * rng.choice([-1.0, 1.0], (len(raw[3::4]), 1))
    return raw


def worst_breach(price: np.ndarray, strike: np.ndarray) -> float:
    """Largest breach of call prices (..., T, I).

    A price may not fall with maturity, its slope lies between -1 and 0, and no node lies above the
    chord of its neighbours.
    """
    full = np.concatenate([np.ones_like(price[..., :1]), price], -1)
    gap = np.diff(np.append(0.0, strike))
    slope = np.diff(full, axis=-1) / gap
    above = -np.diff(slope, axis=-1) * gap[:-1] * gap[1:] / (gap[:-1] + gap[1:])
    calendar = -np.diff(price, axis=-2)
    return float(max(above.max(), calendar.max(), (slope * gap).max(), (-(slope + 1) * gap).max()))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_ten_thousand_inputs_on_the_grid(dtype: torch.dtype, tolerance: float) -> None:
    head = MixtureHead(PAPER_GRID)
    for start in range(0, 10_000, 2_500):
        raw = torch.tensor(wild(2_500, head.size, start), dtype=dtype)
        iv = head(raw).double().numpy()
        assert np.isfinite(iv).all() and iv.min() > 0.001 and iv.max() < 10
        for found in breaches(iv, PAPER_GRID, tolerance=0.0).values():
            assert found.size_price.max() < tolerance


def test_a_grid_ten_times_finer() -> None:
    head, strike, tau = MixtureHead(PAPER_GRID), np.array(FINE.moneyness), np.array(FINE.maturities)
    count = int(os.environ.get("HYBRID_IV_MANY", "300"))  # 10000 for the whole check, some minutes
    for start in range(0, count, 50):
        with torch.no_grad():
            mixture = head.mixture(torch.tensor(wild(50, head.size, start)), tau)
            call = time_value_of(mixture, torch.tensor(strike)).numpy() + np.maximum(1 - strike, 0)
        assert worst_breach(call, strike) < 1e-10


def test_a_finer_grid_in_float32() -> None:
    head, strike, tau = MixtureHead(PAPER_GRID), np.array(FINE.moneyness), np.array(FINE.maturities)
    count = int(os.environ.get("HYBRID_IV_MANY", "300"))
    for start in range(0, count, 50):
        with torch.no_grad():
            raw = torch.tensor(wild(50, head.size, start), dtype=torch.float32)
            mixture = head.mixture(raw, tau)
            exact = volatility_of(mixture, torch.tensor(strike), torch.tensor(FINE.tau))
            iv = exact.float().double().numpy()  # as the head returns it
        price = time_value(iv, strike, FINE.tau) + np.maximum(1 - strike, 0)
        assert worst_breach(price, strike) < 1e-5


def test_the_check_of_fine_grids_can_fail() -> None:
    strike = np.linspace(0.7, 1.3, 13)
    price = np.maximum(1 - strike, 0) + 0.05 * np.exp(-30 * (strike - 1) ** 2)
    both = np.stack([price, 0.999 * price])
    assert worst_breach(both, strike) > 1e-4


def test_fit_to_simulated_truth() -> None:
    assets = {"indices": 1, "stocks": 5, "illiquid": 1, "late": 0}
    config = MarketConfig(**assets, start="2020-01-01", end="2020-12-31", seed=3)
    surfaces = true_surfaces(simulate_market(config), exact=False)
    truth = surfaces[10::80].reshape(-1, *PAPER_GRID.shape)
    error = fit_mixture(MixtureHead(PAPER_GRID), truth, steps=800)[1]
    print(f"simulated truth: {error.mean():.3f} vol points on {len(truth)} surfaces")
    assert error.mean() < 0.12


def spx_surfaces(folder: Path, count: int) -> tuple[Grid, np.ndarray]:
    """S&P 500 factor surfaces of days spread over 1996-2018.

    Only where they can be trusted: K/S from 0.8 to 1.2, and maturities of 30 days and longer.
    """
    factors = pd.read_csv(folder / "spx_factors" / "spx_factors.csv")
    days = np.linspace(0, len(factors) - 1, count).astype(int)
    b = [factors[f"beta_{i}"].to_numpy()[days][:, None, None] for i in range(1, 6)]
    grid = Grid(PAPER_GRID.maturities[2:], PAPER_GRID.moneyness[2:-2])
    m, tau = -np.log(np.asarray(grid.moneyness)) / np.sqrt(grid.tau), grid.tau
    low, term = np.minimum(m, 0), np.log(tau / 5)
    iv = (
        b[0]
        + b[1] * np.exp(-np.sqrt(tau / 0.25))
        + b[2] * np.where(m >= 0, m, np.tanh(low))
        + b[3] * (1 - np.exp(-(m**2))) * term
        + b[4] * (1 - np.exp((3 * low) ** 3)) * term * (m < 0)
    )
    return grid, np.where(iv > 0.01, iv, np.nan)


def test_fit_to_spx_factor_surfaces() -> None:
    if "HYBRID_IV_DATA" not in os.environ:
        pytest.skip("HYBRID_IV_DATA is not set: no S&P 500 factor surfaces")
    grid, iv = spx_surfaces(Path(os.environ["HYBRID_IV_DATA"]), 24)
    error = fit_mixture(MixtureHead(grid), iv, steps=500)[1]
    print(f"S&P 500 factor surfaces: {error.mean():.3f} vol points on {len(iv)} surfaces")
    assert error.mean() < 0.25


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 2**31), st.floats(-3, 3), st.sampled_from([0.1, 1.0, 10.0]))
def test_moves_of_a_surface_stay_arbitrage_free(seed: int, share: float, size: float) -> None:
    rng, head = np.random.default_rng(seed), MixtureHead(PAPER_GRID)
    today, change = rng.standard_normal(head.size), size * rng.standard_normal(head.size)
    surface = head(torch.tensor(today + share * change)).numpy()
    found = breaches(surface, PAPER_GRID, tolerance=1e-9)
    assert not any(kind.found.any() for kind in found.values())


def test_speed() -> None:
    head = MixtureHead(PAPER_GRID)
    raw = (0.3 * torch.randn(128, head.size, dtype=torch.float64)).requires_grad_()
    head(raw).sum().backward()
    seconds = []
    for _ in range(3):
        start = time.process_time()
        head(raw).sum().backward()
        seconds.append(time.process_time() - start)
    assert min(seconds) / 128 < 2.5e-3
    alone = []
    for _ in range(3):
        start = time.process_time()
        with torch.no_grad():
            head(raw)
        alone.append(time.process_time() - start)
    forward, both = (1000 * min(times) / 128 for times in (alone, seconds))
    print(f"a surface: {forward:.2f} ms forward, {both:.2f} ms forward and backward")
    assert min(alone) / 128 < 1e-3
