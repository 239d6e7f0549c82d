"""Properties of the trading rules and of the pricing of held contracts, on random inputs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_iv.evaluation.trading import (
    TradingRules,
    hold_contracts,
    read_surface,
    relative_positions,
)
from hybrid_iv.surface import TOY_GRID, make_panel, toy_panel

SEEDS = st.integers(0, 2**32 - 1)
FREE = TradingRules(half_spread=0.0, hedge_cost_bp=0.0)


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.floats(0, 3))
def test_relative_positions_are_neutral_and_of_unit_size(seed: int, cost: float) -> None:
    rng = np.random.default_rng(seed)
    expected = np.where(rng.random((5, 8)) < 0.2, np.nan, rng.standard_normal((5, 8)))
    weights = relative_positions(expected, np.full((5, 8), cost))
    size = np.abs(weights).sum(1)
    np.testing.assert_allclose(weights.sum(1), 0, atol=1e-12)
    assert (np.isclose(size, 1) | (size == 0)).all() and not weights[np.isnan(expected)].any()


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_a_surface_is_read_exactly_at_its_nodes_and_between_them_elsewhere(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # total variance rises with maturity
    iv = np.cumsum(rng.uniform(0.01, 0.2, (1, 1, *TOY_GRID.shape)), axis=2)
    for j, tau in enumerate(TOY_GRID.maturities):
        for i, m in enumerate(TOY_GRID.moneyness):
            read = read_surface(iv, TOY_GRID, np.array([tau]), np.log([[m]]))
            np.testing.assert_allclose(read, iv[:, :, j, i], rtol=1e-12)
    tau, x = rng.uniform(0.001, 2.0, 1), rng.uniform(-0.5, 0.5, (1, 1))
    assert iv.min() - 1e-12 <= read_surface(iv, TOY_GRID, tau, x).item() <= iv.max() + 1e-12


@pytest.mark.parametrize("moneyness", [0.9, 1.0, 1.1])
def test_both_kinds_of_moneyness_agree_without_carry(moneyness: float) -> None:
    panel, rows = toy_panel(dates=60), np.arange(20)
    kinds = [
        hold_contracts(panel.assign_attrs(moneyness_kind=kind), rows, 10, moneyness)
        for kind in ("forward", "spot")
    ]
    np.testing.assert_allclose(kinds[0].gain, kinds[1].gain, rtol=1e-9)


def test_a_straddle_is_a_call_and_a_put_whose_hedged_gains_are_equal() -> None:
    """By put-call parity a hedged put gains what a hedged call of the same strike gains."""
    days, rng = 60, np.random.default_rng(0)
    tau = np.array(TOY_GRID.maturities)
    spot = 100 * np.exp(0.01 * rng.standard_normal((days, 1)).cumsum(0))
    level = 0.3 * np.exp(0.03 * rng.standard_normal((days, 1, 1, 1)).cumsum(0))
    iv = level * np.ones((days, 1, *TOY_GRID.shape))
    dates = pd.date_range("2024-01-01", periods=days)
    forward, rate = spot[..., None] * np.exp(0.02 * tau), np.full((days, 1, 4), 0.02)
    variables = {"forward": forward, "rate": rate}
    panel = make_panel(iv, spot, dates, ["A"], TOY_GRID, variables)
    both = hold_contracts(panel, np.arange(30), 10, 1.1, straddle=True, rules=FREE)
    call = hold_contracts(panel, np.arange(30), 10, 1.1, straddle=False, rules=FREE)
    np.testing.assert_allclose(both.gain, call.gain, rtol=1e-6, atol=1e-9)
