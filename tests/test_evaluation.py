"""Properties of metrics, evaluation and tests of significance, on random inputs."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from hybrid_iv.data.features import Split, origin_rows
from hybrid_iv.evaluation.evaluation import (
    benchmark_evaluation,
    evaluate_forecast,
    oracle_share,
    persistence_forecast,
    result_table,
)
from hybrid_iv.evaluation.significance import (
    adjust_p_values,
    clark_west,
    cosine_count,
    diebold_mariano,
    giacomini_white,
    model_confidence_set,
    ratio_interval,
    significance_table,
)
from hybrid_iv.metrics import METRICS, error_terms, masked_sums, metric_values, pointwise_metrics
from hybrid_iv.surface import Grid, HybridIVError, make_panel

SEEDS = st.integers(0, 2**32 - 1)
GRID = Grid((30 / 365, 91 / 365, 1.0), (0.8, 0.9, 1.0, 1.1))


def random_panel(seed: int, days: int = 60, assets: int = 3) -> xr.Dataset:
    """Volatilities without any structure, with missing and with unobserved cells."""
    rng = np.random.default_rng(seed)
    shape = (days, assets, *GRID.shape)
    iv = rng.uniform(0.1, 0.9, shape)
    iv[rng.random(shape) < 0.1] = np.nan
    observed = np.isfinite(iv) & (rng.random(shape) < 0.7)
    dates, names = pd.bdate_range("2021-01-01", periods=days), [f"A{i}" for i in range(assets)]
    return make_panel(
        iv, rng.uniform(50, 150, (days, assets)), dates, names, GRID, {"observed": observed}
    )


def long_table(panel: xr.Dataset, forecast: xr.DataArray, split: Split) -> pd.DataFrame:
    """One row for each error, by pandas alone: no code is shared with the library."""
    dates, cell = pd.DatetimeIndex(panel["date"].values), ["asset", "maturity", "moneyness"]
    iv = panel["iv"].to_series().unstack(cell)
    filled = iv.ffill().stack(cell, future_stack=True)
    today = filled.rename("today").rename_axis(index={"date": "origin"})
    mean = iv[iv.index <= split.train_end].mean().rename("mean")
    target = panel[["iv", "observed"]].to_dataframe().reset_index()
    target = target[["date", *cell, "iv", "observed"]]
    parts = []
    for h in forecast["horizon"].values:
        shifted = pd.Series(dates[h:], index=dates[:-h], name="target_day")
        one = forecast.sel(horizon=h, drop=True).to_series().rename("forecast")
        part = one.to_frame().join(today).join(mean, on=cell).reset_index()
        part["date"] = part["origin"].map(shifted)
        parts.append(part.merge(target, on=["date", *cell]).assign(horizon=int(h)))
    return pd.concat(parts).dropna(subset=["iv", "today"])


def metrics_by_hand(part: pd.DataFrame) -> dict[str, float]:
    """Every metric but skill, from the rows of `long_table` at one horizon."""
    iv, tau = part["iv"], part["maturity"]
    ratio = (iv / part["forecast"]) ** 2
    d1 = (iv**2 * tau / 2 - np.log(part["moneyness"])) / (iv * tau**0.5)
    vega = norm.pdf(d1) * tau**0.5  # of the target, for a forward of one
    base = (1e4 * (part["today"] - iv) ** 2).sum()
    trained = part.dropna(subset=["mean"])
    spread = (1e4 * (trained["mean"] - trained["iv"]) ** 2).sum()
    return {
        "mae": part["absolute"].mean(),
        "rmse": part["squared"].mean() ** 0.5,
        "mape": (part["absolute"] / iv).mean(),
        "qlike": (ratio - np.log(ratio) - 1).mean(),
        "mae_vega": (vega * part["absolute"]).sum() / vega.sum(),
        "r2_persistence": 1 - part["squared"].sum() / base,
        "r2_mean": 1 - trained["squared"].sum() / spread,
    }


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_evaluation_equals_a_long_table_in_pandas(seed: int) -> None:
    panel, rng = random_panel(seed), np.random.default_rng(seed + 1)
    dates = pd.DatetimeIndex(panel["date"].values)
    split, horizons = Split(dates[24], dates[34]), [1, 5]
    origins = dates[origin_rows(split.rows(dates, "test"), horizons)]
    noise = rng.uniform(0.8, 1.2, (len(origins), 2, 3, *GRID.shape))
    forecast = persistence_forecast(panel, origins, horizons) * noise
    found = evaluate_forecast(forecast, panel, split, "random", "noise")
    table = long_table(panel, forecast, split)
    table["absolute"] = 100 * (table["forecast"] - table["iv"]).abs()
    table["squared"] = 1e4 * (table["forecast"] - table["iv"]) ** 2
    for cells, rows in (("observed", table[table["observed"]]), ("grid", table)):
        wanted = found.metrics[found.metrics["cells"] == cells]
        wanted = wanted.query("region == 'all' and regime == 'all'")
        values = wanted.set_index(["metric", "horizon", "asset"])["value"]
        for h, part in rows.groupby("horizon"):
            for name, expected in metrics_by_hand(part).items():
                tolerance = 1e-8 if name == "mae_vega" else 1e-9
                np.testing.assert_allclose(values[name, h, "all"], expected, rtol=tolerance)
            for asset, one in part.groupby("asset"):
                expected = one["absolute"].mean()
                np.testing.assert_allclose(values["mae", h, asset], expected, rtol=1e-9)
    observed = table[table["observed"]].groupby(["origin", "horizon", "asset"])
    seen = observed["absolute"].mean().to_xarray()
    xr.testing.assert_allclose(found.losses["absolute"], seen.reindex_like(found.losses), rtol=1e-9)


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(2, 60))
def test_metrics_do_not_depend_on_order_and_obey_their_bounds(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    forecast, target, before, mean = rng.uniform(0.05, 1.5, (4, count))
    seen = rng.random(count) < 0.8
    seen[0] = True
    cells, vega = (forecast, target, seen, mean, before), np.full(count, 0.3)
    one = pointwise_metrics(*cells, vega=vega)
    order = rng.permutation(count)
    other = pointwise_metrics(*(values[order] for values in cells), vega=vega)
    assert tuple(one) == METRICS
    np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-9)
    assert one["mae"] <= one["rmse"] * (1 + 1e-12) and one["qlike"] >= 0
    assert one["r2_mean"] <= 1 and one["r2_persistence"] <= 1
    np.testing.assert_allclose(one["mae_vega"], one["mae"], rtol=1e-9)  # equal weights
    assert (one["skill"] > 0) == (one["mae"] < pointwise_metrics(before, target, seen)["mae"])


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_sums_of_parts_are_sums_of_the_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    forecast, target = rng.uniform(0.05, 1.5, (2, 7, 3))
    terms, seen = error_terms(forecast, target), rng.random((7, 3)) < 0.7
    parts = masked_sums(terms, seen, "oa->a")
    whole = masked_sums(terms, seen, "oa->")
    for name, total in whole.items():
        np.testing.assert_allclose(parts[name].sum(), total, rtol=1e-9)
    assert set(metric_values(whole)) == {"mae", "rmse", "mape", "qlike"}


def overlapping(rng: np.random.Generator, n: int, h: int) -> np.ndarray:
    """Sums of h independent numbers, n of them."""
    return np.convolve(rng.standard_normal(n + h - 1), np.ones(h), "valid")


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(80, 400), st.integers(1, 30), st.sampled_from(["ewc", "hac"]))
def test_diebold_mariano_is_odd_and_sees_only_the_difference(
    seed: int, n: int, h: int, method: str
) -> None:
    rng = np.random.default_rng(seed)
    a, b = np.abs(overlapping(rng, n, h)), np.abs(overlapping(rng, n, h))
    here, there = diebold_mariano(a, b, h, method), diebold_mariano(b, a, h, method)
    shifted = diebold_mariano(1000 * a + 5, 1000 * b + 5, h, method)
    assert 0 <= here.p_value <= 1 and 0 < here.n_eff <= n
    swapped = [there.statistic, there.p_value]
    np.testing.assert_allclose(swapped, [-here.statistic, here.p_value], rtol=1e-9)
    np.testing.assert_allclose(shifted.statistic, here.statistic, rtol=1e-6)
    assert cosine_count(n, h) <= 0.4 * n / h + 1e-6


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_adjusted_p_values_are_larger_and_keep_their_order(p_values: list[float]) -> None:
    raw = np.array(p_values)
    adjusted = adjust_p_values(raw)
    assert (adjusted >= raw - 1e-12).all() and (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(raw, kind="stable")]) >= -1e-12).all()


@pytest.mark.parametrize("horizon", [1, 5, 30])
def test_size_of_the_conditional_and_the_nested_test_under_overlap(horizon: int) -> None:
    draws, n, rng = 1500, 345, np.random.default_rng(horizon)
    conditional = nested = 0
    for _ in range(draws):
        common, first, second, noise = (overlapping(rng, n, horizon) for _ in range(4))
        equal = giacomini_white(np.abs(common + first), np.abs(common + second), horizon)
        conditional += equal.p_value < 0.05
        larger = (common - 0.3 * noise) ** 2
        nested += clark_west(common**2, larger, (0.3 * noise) ** 2, horizon).p_value < 0.05
    # Four standard errors; rejecting less often than 5 % is allowed.
    most = 0.05 + 4 * np.sqrt(0.05 * 0.95 / draws)
    assert conditional / draws < most and nested / draws < most


@pytest.mark.parametrize("horizon", [1, 30])
def test_interval_of_a_ratio_covers_the_truth(horizon: int) -> None:
    rng, hits, draws = np.random.default_rng(horizon), 0, 1000
    for _ in range(draws):
        common = overlapping(rng, 345, horizon)
        a, b = (np.abs(common + overlapping(rng, 345, horizon)) for _ in range(2))
        _, low, high = ratio_interval(a, b, horizon)
        hits += low <= 1 <= high
    assert abs(hits / draws - 0.95) < 4 * np.sqrt(0.05 * 0.95 / draws)


def test_edge_cases_are_defined_or_refused() -> None:
    rng = np.random.default_rng(0)
    x = rng.random(100)
    with pytest.raises(HybridIVError, match="too few"):
        giacomini_white(x[:3], x[1:4], 1)
    with pytest.raises(HybridIVError, match="too few"):
        clark_west(x[:20], x[1:21], x[2:22], 30)
    with pytest.raises(HybridIVError, match="does not vary"):
        giacomini_white(x, x + 1, 1)
    one_model = model_confidence_set(pd.DataFrame({"alone": x}), 1)
    assert one_model.loc["alone", "included"] and one_model.loc["alone", "p_value"] == 1
    columns = ["model", "horizon", "metric", "asset", "region", "regime", "cells", "value"]
    with pytest.raises(HybridIVError, match="no row"):
        result_table(pd.DataFrame(columns=columns))
    with pytest.raises(HybridIVError, match="lack"):
        oracle_share(pd.DataFrame(columns=["dataset", *columns]))


def test_one_origin_gives_a_table_without_tests() -> None:
    origin = pd.bdate_range("2024-01-01", periods=1)
    coordinates = {"origin": origin, "horizon": [1, 30], "asset": ["A", "B"]}

    def losses(size: float) -> xr.Dataset:
        values = (tuple(coordinates), np.full((1, 2, 2), size))
        return xr.Dataset(dict.fromkeys(("absolute", "squared", "departure"), values), coordinates)

    both = {"hybrid": losses(1.0), "persistence": losses(2.0)}
    table = significance_table(both, benchmarks=("persistence",))
    assert len(table) == 3 * 2 * (3 + 4)
    assert table["p_value"].isna().all() and table["p_adjusted"].isna().all()


def test_evaluation_of_the_papers_size_takes_less_than_a_minute() -> None:
    start = time.process_time()  # of this process: other work on the machine does not count
    found = benchmark_evaluation()
    assert found["errors"] == 31 * 30 * 375 * 143 and time.process_time() - start < 60
