"""Benchmarks fitted series by series give the same numbers in one process, two, and on Dask."""

import os
import time
from collections.abc import Callable

import joblib
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybrid_iv.data.datasets import load_dataset
from hybrid_iv.data.features import default_split, origin_rows, part_of
from hybrid_iv.models.cell import CellAR, CellHAR, Ewma
from hybrid_iv.models.factors import CellVAR, Combination, FactorRidge, PcaAR, PcaVAR, SsviAR
from hybrid_iv.models.forecaster import Forecaster, Persistence, Projected
from hybrid_iv.models.garch import GarchIV, GarchReturns, HarRV
from hybrid_iv.surface import TOY_GRID, toy_panel

MODELS = (GarchIV, GarchReturns, SsviAR)
CELLS: tuple[Callable[[], Forecaster], ...] = (Persistence, Ewma, CellAR, CellHAR)
FACTORS: tuple[Callable[[], Forecaster], ...] = (CellVAR, PcaVAR, PcaAR, FactorRidge)
MORE: tuple[Callable[[], Forecaster], ...] = (
    HarRV,
    lambda: HarRV(premium=False),
    lambda: Projected(Persistence()),
    lambda: Combination([make() for make in (Persistence, CellHAR, PcaVAR, FactorRidge)]),
)


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
    for value in values:  # none of them fell back to persistence
        assert not np.array_equal(value[:, 0], value[:, 1])
    return values


def test_two_processes_give_the_same_numbers(panel: xr.Dataset, alone: list[np.ndarray]) -> None:
    for one, two in zip(alone, forecasts(panel, workers=2)):
        np.testing.assert_array_equal(one, two, strict=True)


def test_dask_cluster_gives_the_same_numbers(panel: xr.Dataset, alone: list[np.ndarray]) -> None:
    reason = "the Dask extra is not installed: pip install 'hybrid_iv[dask]'"
    distributed = pytest.importorskip("distributed", reason=reason)
    alone_each = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(**alone_each) as cluster,
        distributed.Client(cluster) as client,
    ):
        with joblib.parallel_config(backend="dask"):
            elsewhere = forecasts(panel)
        tasks = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert len(tasks) == 2 and all(count > 0 for count in tasks.values())  # both have worked
    for one, two in zip(alone, elsewhere):
        np.testing.assert_array_equal(one, two, strict=True)


def test_the_whole_set_on_a_market_of_the_papers_size() -> None:
    if "HYBRID_IV_MANY" not in os.environ:
        pytest.skip("HYBRID_IV_MANY is not set: fitting 31 x 143 series takes some minutes")
    market = load_dataset("simulated")
    split, dates = default_split(market), pd.DatetimeIndex(market["date"].values)
    horizons = list(range(1, 31))
    origins = dates[origin_rows(split.rows(dates, "test"), horizons)]
    train, valid = part_of(market, split, "train"), part_of(market, split, "valid")
    start, cells = time.process_time(), 31 * 143
    for make in (*MODELS, *CELLS, *FACTORS, *MORE):
        before, model = time.process_time(), make().fit(train, valid)
        shape = model.forecast(market, origins, horizons).shape
        seconds = time.process_time() - before
        print(f"{model.name}: {seconds:.0f} s, {model.fallbacks} of {cells} cells persist")
        assert shape == (len(origins), 30, 31, 11, 13) and model.fallbacks < 0.05 * cells
    assert time.process_time() - start < 25 * 60  # on one core: two can only be faster
