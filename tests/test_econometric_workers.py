"""The benchmarks that fit series one by one give the same numbers in one process, in two, and on a Dask cluster."""

import os
import time

import joblib
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybrid_iv.data.datasets import load_dataset
from hybrid_iv.models.cell import GarchIV, GarchReturns, SsviAR, econometric_models
from hybrid_iv.data.features import default_split, origin_rows, part_of
from hybrid_iv.models.forecaster import Forecaster
from hybrid_iv.surface import TOY_GRID, toy_panel

MODELS = (GarchIV, GarchReturns, SsviAR)


@pytest.fixture(scope="module")
def panel() -> xr.Dataset:
    return toy_panel(dates=260, assets=3, grid=TOY_GRID, noise=0.02)


def forecasts(panel: xr.Dataset, workers: int | None = None) -> list[np.ndarray]:
    split = default_split(panel)
    train, valid = part_of(panel, split, "train"), part_of(panel, split, "valid")
    origins = pd.DatetimeIndex(panel["date"].values)[[200, 230]]
    models: list[Forecaster] = [make(workers=workers) for make in MODELS]
    return [model.fit(train, valid).forecast(panel, origins, [1, 10]).values for model in models]


@pytest.fixture(scope="module")
def alone(panel: xr.Dataset) -> list[np.ndarray]:
    values = forecasts(panel)
    assert all(not np.array_equal(value[:, 0], value[:, 1]) for value in values)  # none of them fell back to persistence
    return values


def test_two_processes_give_the_same_numbers(panel: xr.Dataset, alone: list[np.ndarray]) -> None:
    for one, two in zip(alone, forecasts(panel, workers=2)):
        np.testing.assert_array_equal(one, two, strict=True)


def test_dask_cluster_gives_the_same_numbers(panel: xr.Dataset, alone: list[np.ndarray]) -> None:
    distributed = pytest.importorskip("distributed", reason="the Dask extra is not installed: pip install 'hybrid_iv[dask]'")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        with joblib.parallel_config(backend="dask"):
            elsewhere = forecasts(panel)
        tasks = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert len(tasks) == 2 and all(count > 0 for count in tasks.values())  # both workers have worked
    for one, two in zip(alone, elsewhere):
        np.testing.assert_array_equal(one, two, strict=True)


def test_the_whole_set_on_a_market_of_the_papers_size() -> None:
    if "HYBRID_IV_MANY" not in os.environ:
        pytest.skip("HYBRID_IV_MANY is not set: fitting 31 x 143 series takes some minutes")
    market = load_dataset("simulated")
    split, dates, horizons = default_split(market), pd.DatetimeIndex(market["date"].values), list(range(1, 31))
    origins = dates[origin_rows(split.rows(dates, "test"), horizons)]
    train, valid = part_of(market, split, "train"), part_of(market, split, "valid")
    start, cells = time.process_time(), 31 * 143
    for name, make in econometric_models().items():
        before, model = time.process_time(), make().fit(train, valid)
        shape = model.forecast(market, origins, horizons).shape
        print(f"{name}: {time.process_time() - before:.0f} s of one core, {getattr(model, 'fallbacks', 0)} of {cells} cells persist")
        assert shape == (len(origins), 30, 31, 11, 13) and getattr(model, "fallbacks", 0) < 0.05 * cells
    assert time.process_time() - start < 25 * 60  # on one core: two can only be faster
