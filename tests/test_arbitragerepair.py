"""Our tests and repairs of arbitrage against those of the package arbitragerepair.

Its answers were stored by `data/make_arbitragerepair.py`.
"""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from hybrid_iv.arbitrage.constraints import breaches
from hybrid_iv.arbitrage.projection import project
from hybrid_iv.black import call_price
from hybrid_iv.surface import PAPER_GRID, Grid, toy_panel

TABLE = json.loads((Path(__file__).parent / "data" / "arbitragerepair.json").read_text())
GRID = Grid(tuple(TABLE["maturities"]), tuple(TABLE["moneyness"]))


def read(case: dict) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    "Volatilities, forward over spot (None for K/F) and strikes of one case."
    ratio = None if case["forward_ratio"] is None else np.array(case["forward_ratio"])
    strike = np.asarray(GRID.moneyness) / (np.ones((4, 1)) if ratio is None else ratio[:, None])
    return np.array(case["iv"]), ratio, strike


def calls(iv: np.ndarray, strike: np.ndarray) -> np.ndarray:
    "Undiscounted call prices over the forward."
    return call_price(np.log(strike), iv**2 * GRID.tau)


def test_the_table_has_both_kinds() -> None:
    infeasible = [sum(case["breaches"]) > 0 for case in TABLE["cases"]]
    assert 6 <= sum(infeasible) <= len(infeasible) - 6
    spot = [case for case in TABLE["cases"] if case["forward_ratio"]]
    at_unequal_strikes = [sum(case["breaches"][3:]) for case in spot]
    assert any(at_unequal_strikes), "no calendar arbitrage at unequal strikes in the table"


@pytest.mark.parametrize("case", TABLE["cases"])
def test_same_verdict(case: dict) -> None:
    iv, ratio, _ = read(case)
    found = breaches(iv, GRID, forward_ratio=ratio, tolerance=1e-7)
    assert bool(sum(case["breaches"])) == any(b.found.any() for b in found.values())
    if ratio is None:  # with common strikes the tests correspond one to one
        assert case["breaches"][2] == found["butterfly"].found.sum()
        assert case["breaches"][3] == found["calendar"].found.sum()


@pytest.mark.parametrize("case", [case for case in TABLE["cases"] if sum(case["breaches"])])
def test_each_repair_is_best_in_its_own_norm(case: dict) -> None:
    iv, ratio, strike = read(case)
    ours = (calls(project(iv, GRID, "even", ratio), strike) - calls(iv, strike)).ravel()
    theirs = np.array(case["change_of_price"])
    assert np.abs(theirs).sum() <= np.abs(ours).sum() + 1e-7  # theirs is least in absolute value
    assert np.linalg.norm(ours) <= np.linalg.norm(theirs) + 1e-7  # ours in squares


@pytest.mark.parametrize("case", [case for case in TABLE["cases"] if not sum(case["breaches"])])
def test_feasible_surfaces_stay(case: dict) -> None:
    iv, ratio, _ = read(case)
    assert np.array_equal(project(iv, GRID, forward_ratio=ratio), iv)


def test_twenty_times_faster() -> None:
    truth = toy_panel(dates=100, assets=1, grid=PAPER_GRID)["iv"].values
    noisy = truth * np.exp(0.03 * np.random.default_rng(1).standard_normal(truth.shape))
    project(noisy[:2], PAPER_GRID)
    start = time.process_time()
    project(noisy, PAPER_GRID)
    assert (time.process_time() - start) / len(noisy) < TABLE["seconds_for_one_11_by_13"] / 20
