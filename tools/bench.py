"""Measure speed and memory, `make bench`: writes runs/bench.csv; exit code 1 if a target is missed.

To add a benchmark, write a function here that takes nothing and returns a `Result`, and mark it
with `@benchmark`. Import what is measured inside the function.

Machines differ, so the surest target is a ratio to a named peer, both timed in one run by `ratio`.
`best` gives the quickest of five runs in seconds, `cpu` the processor time. The columns of the
table are `name,value,unit,target,ok`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import ROOT, write_atomically

REPEATS = 5


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    name: str
    value: float
    unit: str
    target: float | None = None  # the bound that must hold; None: only reported
    larger_is_better: bool = False  # whether `target` is a lower bound

    @property
    def ok(self) -> bool:
        """Whether the target is met."""
        if self.target is None:
            return True
        return self.value >= self.target if self.larger_is_better else self.value <= self.target


BENCHMARKS: list[Callable[[], Result]] = []


def benchmark(function: Callable[[], Result]) -> Callable[[], Result]:
    """Add a function to those that are run."""
    BENCHMARKS.append(function)
    return function


Clock = Callable[[], float]


def best(
    work: Callable[[], object], repeats: int = REPEATS, clock: Clock = time.perf_counter
) -> float:
    """Seconds of the quickest of some runs."""
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def cpu(work: Callable[[], object], repeats: int = 1) -> float:
    """Seconds of processor time of the quickest of some runs, little disturbed by other work."""
    return best(work, repeats, time.process_time)


def ratio(
    work: Callable[[], object],
    peer: Callable[[], object],
    repeats: int = REPEATS,
    clock: Clock = time.perf_counter,
) -> float:
    """Best time of `work` over that of `peer`, timed in turns so that a busy moment hits both."""
    pairs = [(best(work, 1, clock), best(peer, 1, clock)) for _ in range(repeats)]
    return min(ours for ours, _ in pairs) / min(theirs for _, theirs in pairs)


@benchmark
def import_time() -> Result:
    """`import hybrid_iv` in a fresh process, over `import numpy` in another."""

    def load(module: str) -> Callable[[], object]:
        return lambda: subprocess.run(
            [sys.executable, "-c", f"import {module}"], check=True, cwd=ROOT
        )

    return Result(
        "import hybrid_iv / import numpy",
        ratio(load("hybrid_iv"), load("numpy")),
        "ratio",
        target=1.0,
    )


@benchmark
def panel_validation() -> Result:
    """Validation of a year of 31 assets, over xarray's reading of the same panel from a file."""
    import tempfile

    import xarray

    from hybrid_iv.surface import PAPER_GRID, save_panel, toy_panel, validate_panel

    panel = toy_panel(dates=250, assets=31, grid=PAPER_GRID)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "panel.nc"
        save_panel(panel, file)
        share = ratio(lambda: validate_panel(panel), lambda: xarray.load_dataset(file))
    return Result("validate_panel / xarray.load_dataset", share, "ratio", target=2.0)


@benchmark
def panel_validation_seconds() -> Result:
    """The same, in seconds."""
    from hybrid_iv.surface import PAPER_GRID, toy_panel, validate_panel

    panel = toy_panel(dates=250, assets=31, grid=PAPER_GRID)
    return Result("validate_panel of 31 x 250 x 11 x 13", best(lambda: validate_panel(panel)), "s")


@benchmark
def iv_inversion() -> Result:
    """Million implied volatilities a second, half a million out-of-the-money quotes at once."""
    from hybrid_iv.black import implied_volatility

    quotes, _ = _iv_quotes()
    return Result(
        "implied_volatility",
        0.5 / best(lambda: implied_volatility(*quotes)),
        "million/s",
        target=3.0,
        larger_is_better=True,
    )


@benchmark
def iv_inversion_error() -> Result:
    """Largest relative error of the same."""
    import numpy as np

    from hybrid_iv.black import implied_volatility

    quotes, iv = _iv_quotes()
    worst = float(np.abs(implied_volatility(*quotes)[0] / iv - 1).max())
    return Result("implied_volatility, largest relative error", worst, "1", target=1e-12)


@benchmark
def iv_inversion_against_newton() -> Result:
    """The same, over a vectorised Newton with 12 steps from a flat start, clipped to [0.01, 4]."""
    import numpy as np

    from hybrid_iv.black import black_price, implied_volatility, vega

    quotes, _ = _iv_quotes()
    price, forward, strike, tau, discount, is_call = quotes

    def newton() -> object:
        iv = np.full(price.shape, 0.3)
        for _ in range(12):
            slope = forward * vega(np.log(strike / forward), iv**2 * tau, tau)
            iv = np.clip(
                iv
                - (black_price(forward, strike, tau, iv, discount, is_call) - price)
                / np.maximum(slope, 1e-12),
                0.01,
                4.0,
            )
        return iv

    return Result(
        "implied_volatility / vectorised Newton",
        ratio(lambda: implied_volatility(*quotes), newton, 3),
        "ratio",
        target=0.5,
    )


def _iv_quotes() -> tuple[tuple[Any, ...], Any]:
    """Half a million quotes out of the money, and their volatilities."""
    import numpy as np

    from hybrid_iv.black import black_price

    rng = np.random.default_rng(0)
    n = 500_000
    iv, tau = rng.uniform(0.1, 0.8, n), rng.uniform(0.1, 2.0, n)
    strike = 100 * np.exp(rng.uniform(-2, 2, n) * iv * np.sqrt(tau))
    is_call = strike >= 100
    return (black_price(100.0, strike, tau, iv, 1.0, is_call), 100.0, strike, tau, 1.0, is_call), iv


@benchmark
def market_states_and_table() -> Result:
    """States and true surfaces of the default market by the state table, on 56 cells."""
    from hybrid_iv.market.simulation import simulate_market, true_surfaces
    from hybrid_iv.surface import PAPER_GRID, Grid

    grid = Grid(
        tuple(PAPER_GRID.maturities[i] for i in (0, 2, 3, 4, 6, 8, 9, 10)),
        (0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2),
    )
    seconds = cpu(lambda: true_surfaces(simulate_market(), grid, False), 3)
    return Result(
        "simulate_market and true_surfaces(exact=False), 56 cells", seconds, "s of processor", 3.0
    )


@benchmark
def market_exact() -> Result:
    """The default market with its exact true panel."""
    from hybrid_iv.market.simulation import simulate_market, true_panel

    return Result(
        "simulate_market and true_panel",
        cpu(lambda: true_panel(simulate_market())),
        "s of processor",
        45.0,
    )


@benchmark
def market_oracle() -> Result:
    """The oracle of the default test period, five horizons."""
    from hybrid_iv.market.oracle import oracle_forecast
    from hybrid_iv.market.simulation import simulate_market

    market = simulate_market()
    origins = market.dates[(market.dates >= "2023-07-01") & (market.dates <= "2024-12-31")]
    return Result(
        "oracle_forecast of the test period",
        cpu(lambda: oracle_forecast(market, origins)),
        "s of processor",
        180.0,
    )


@benchmark
def market_all_quotes() -> Result:
    """All quotes of the default market, asset by asset."""
    from hybrid_iv.market.chains import market_quotes
    from hybrid_iv.market.simulation import simulate_market

    market = simulate_market()
    seconds = cpu(lambda: [len(market_quotes(market, [asset])) for asset in market.assets])
    return Result("market_quotes of the default market", seconds, "s of processor", 360.0)


def _chains(surfaces: int) -> tuple[Any, Any, Any, Any]:
    """Points of made-up surfaces, 12 expiries and about 300 points each: surface, tau, k, iv."""
    import numpy as np

    from hybrid_iv.surface import ssvi_total_variance

    rng, parts = np.random.default_rng(0), []
    for s in range(surfaces):
        for days in np.array([5, 12, 19, 26, 33, 47, 61, 96, 159, 250, 341, 705]) + s % 5:
            k = np.sort(rng.uniform(-1, 1, rng.integers(15, 36))) * (
                0.05 + 0.35 * np.sqrt(days / 365)
            )
            parts.append(np.column_stack([np.full_like(k, s), np.full_like(k, days / 365), k]))
    surface, tau, k = np.concatenate(parts).T
    return surface.astype(int), tau, k, np.sqrt(ssvi_total_variance(k, 0.05 * tau) / tau)


@benchmark
def gridding() -> Result:
    """Gridding onto the paper's grid, over a loop of SciPy's interpolants with the same values."""
    import numpy as np
    from scipy.interpolate import PchipInterpolator

    from hybrid_iv.data.gridding import grid_points
    from hybrid_iv.surface import PAPER_GRID

    count = 60
    surface, tau, k, iv = _chains(count)
    node, at = np.log(PAPER_GRID.moneyness), np.asarray(PAPER_GRID.maturities)

    def loop() -> Any:
        out = []
        for i in range(count):
            one = slice(*np.searchsorted(surface, [i, i + 1]))
            expiry, begin = np.unique(tau[one], return_index=True)
            smiles = zip(
                np.split(k[one], begin[1:]), np.split(iv[one] ** 2, begin[1:]), expiry, strict=True
            )
            rows = np.array(
                [PchipInterpolator(x, v * t)(np.clip(node, x[0], x[-1])) for x, v, t in smiles]
            )
            held = np.clip(at, expiry[0], expiry[-1])
            out.append(np.sqrt(PchipInterpolator(expiry, rows)(held) / held[:, None]))
        return np.array(out)

    np.testing.assert_allclose(
        grid_points(surface, tau, k, iv, count, PAPER_GRID)[0], loop(), rtol=1e-12, strict=True
    )
    share = ratio(lambda: grid_points(surface, tau, k, iv, count, PAPER_GRID), loop)
    return Result("grid_points / loop of SciPy interpolants", share, "ratio", target=1 / 3)


@benchmark
def gridding_speed() -> Result:
    """Surfaces a second onto the paper's grid, one core, from about 300 volatilities each."""
    from hybrid_iv.data.gridding import grid_points
    from hybrid_iv.surface import PAPER_GRID

    count = 1500
    points = _chains(count)
    seconds = cpu(lambda: grid_points(*points, count, PAPER_GRID), REPEATS)
    return Result(
        "grid_points", count / seconds, "surfaces/s", target=1500.0, larger_is_better=True
    )


_CLEANING = """
import resource, sys, tempfile
from pathlib import Path
from hybrid_iv.data.quotes import clean_quotes
from hybrid_iv.data.readers import read_table
columns = "date asset expiry strike is_call bid ask volume open_interest spot".split()
with tempfile.TemporaryDirectory() as folder:
    quotes = read_table(sys.argv[1], {name: name for name in columns})
    _, report = clean_quotes(quotes, folder=Path(folder) / "clean")
assert report.rows == 10_000_000 == report.kept
scale = 1024 if sys.platform != "darwin" else 1
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e9)
"""


@benchmark
def cleaning_memory() -> Result:
    """Peak memory of a fresh process that cleans a CSV of ten million quotes into Parquet files."""
    import tempfile
    from datetime import date

    import numpy as np
    import polars as pl

    rng, day = np.random.default_rng(0), pl.lit(date(2020, 1, 1)) + pl.duration(days=pl.col("day"))
    strikes = np.tile(np.repeat(60.0 + 2 * np.arange(50), 2), 10)
    names = pl.DataFrame({"asset": [f"A{a:02d}" for a in range(20)]})
    shape = pl.DataFrame({"month": np.repeat(np.arange(10), 100), "strike": strikes})
    shape = shape.with_columns(is_call=pl.Series(["C", "P"] * 500)).join(names, how="cross")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chain.csv"
        with file.open("wb") as out:
            for i in range(500):
                bid = rng.uniform(0.5, 5.0, shape.height).round(2)
                rows = shape.with_columns(
                    day=pl.lit(i), bid=pl.Series(bid), ask=pl.Series((1.05 * bid).round(2))
                )
                expiry = day + pl.duration(days=7 + 30 * pl.col("month"))
                rows = rows.with_columns(
                    date=day, expiry=expiry, volume=1, open_interest=10, spot=100.0
                )
                rows.drop("day", "month").write_csv(out, include_header=i == 0)
        done = subprocess.run(
            [sys.executable, "-c", _CLEANING, str(file)],
            check=True,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    return Result(
        "cleaning of ten million quotes, peak memory", float(done.stdout), "GB", target=4.0
    )


@benchmark
def training_step() -> Result:
    """Training of the temporal network by `train_network`, over a bare loop of the same steps."""
    import copy
    from functools import partial

    import numpy as np
    import torch

    from hybrid_iv.models.network import HybridConfig, HybridNetwork, loss_of_batch, with_targets
    from hybrid_iv.models.training import TrainingConfig, train_network
    from hybrid_iv.models.vae import SurfaceVAE
    from hybrid_iv.models.windows import DailyView
    from hybrid_iv.surface import toy_panel

    config, training = HybridConfig(window=20), TrainingConfig(epochs=3, patience=3)
    history = DailyView(config.window).read(toy_panel(dates=160, assets=4))
    batches = [
        with_targets(history, history.batch(rows), np.array([1, 5, 10, 30]), last=159)
        for rows in np.arange(60, 120)[:, None] + np.arange(4)
    ]
    torch.manual_seed(0)
    whole = HybridNetwork(SurfaceVAE(history.grid, config.vae), config)
    whole.vae.requires_grad_(False)

    def ours() -> None:
        network = copy.deepcopy(whole)
        loss = partial(loss_of_batch, network)
        train_network(network, loss, lambda epoch: batches, lambda: batches[:2], training, seed=0)

    def bare() -> None:
        network = copy.deepcopy(whole)
        weights = list(network.dynamics.parameters())
        adam = torch.optim.AdamW(
            weights, training.learning_rate, weight_decay=training.weight_decay
        )
        for epoch in range(training.epochs):
            network.train()
            for batch in batches:
                adam.zero_grad()
                loss_of_batch(network, batch, epoch)["loss"].backward()
                torch.nn.utils.clip_grad_norm_(weights, training.gradient_norm)
                adam.step()
            network.eval()
            with torch.no_grad():
                for batch in batches[:2]:
                    loss_of_batch(network, batch, epoch)

    step = best(bare, 1, time.process_time) / (training.epochs * len(batches))
    # The best of many: a step is short, and the machine's pace varies.
    share = ratio(ours, bare, 15, time.process_time)
    return Result(
        f"training step of {1000 * step:.0f} ms / bare PyTorch", share, "ratio", target=1.15
    )


def _forecast_seconds(way: str) -> float:
    """Seconds for 31 assets x 30 horizons on the paper's grid, by a model read from its file."""
    import tempfile

    import torch

    from hybrid_iv.model import SurfaceModel, load_model, save_model
    from hybrid_iv.models.admissible import HeadEncoder
    from hybrid_iv.models.gate import OpenGate
    from hybrid_iv.models.hybrid import NetworkForecaster, Trained
    from hybrid_iv.models.network import HybridConfig, HybridNetwork
    from hybrid_iv.models.vae import SurfaceVAE
    from hybrid_iv.models.windows import DailyView
    from hybrid_iv.surface import PAPER_GRID, toy_panel

    panel, config = toy_panel(dates=260, assets=31, grid=PAPER_GRID, noise=0.01), HybridConfig()
    torch.manual_seed(0)
    network = HybridNetwork(SurfaceVAE(PAPER_GRID, config.vae), config).eval()
    torch.nn.init.normal_(network.dynamics.lstm.head.weight, std=0.02)
    trained = Trained(network, HeadEncoder(PAPER_GRID).eval() if way == "head" else None)
    view, chosen = DailyView(config.window), None if way == "plain" else way
    hybrid = NetworkForecaster("hybrid", view, OpenGate(), chosen, trained=trained)
    hybrid.grid, hybrid.assets = PAPER_GRID, tuple(panel["asset"].values)
    with tempfile.TemporaryDirectory() as folder:
        path = save_model(SurfaceModel(hybrid), Path(folder) / "model.safetensors")
        model = load_model(path)
    return best(lambda: model.hybrid.forecast(panel, panel["date"].values[[-1]], range(1, 31)))


@benchmark
def forecast_plain() -> Result:
    """A forecast without any repair."""
    return Result(
        "forecast of 31 assets x 30 horizons, plain", _forecast_seconds("plain"), "s", target=0.3
    )


@benchmark
def forecast_projected() -> Result:
    """A forecast made free of arbitrage by projection."""
    return Result(
        "forecast of 31 assets x 30 horizons, projected", _forecast_seconds("project"), "s"
    )


@benchmark
def forecast_by_construction() -> Result:
    """A forecast moved in the parameters of the by-construction head."""
    return Result(
        "forecast of 31 assets x 30 horizons, by construction",
        _forecast_seconds("head"),
        "s",
        target=2.0,
    )


@benchmark
def prior_markets() -> Result:
    """Markets of 31 assets and six years drawn from the prior in a minute, two of each kind."""
    from hybrid_iv.market.prior import PriorConfig, draw_market

    kinds = PriorConfig().dynamics
    work = [(number, PriorConfig(dynamics=(kind,))) for kind in kinds for number in range(2)]
    seconds = cpu(lambda: [draw_market(number, prior) for number, prior in work])
    return Result(
        "draw_market of 31 assets x 6 years, by one core",
        60 * len(work) / seconds,
        "markets/min",
        20.0,
        True,
    )


@benchmark
def shipped_model() -> Result:
    """The shipped weights on a new panel of 31 assets and 260 days: settled, and 30 horizons."""
    from hybrid_iv.model import SurfaceModel
    from hybrid_iv.surface import PAPER_GRID, toy_panel

    panel = toy_panel(dates=260, assets=31, grid=PAPER_GRID, noise=0.01)
    seconds = best(lambda: SurfaceModel.pretrained(panel).forecast(panel), 3)
    return Result("SurfaceModel.pretrained of 31 assets, and its forecast", seconds, "s", 30.0)


@benchmark
def evaluation() -> Result:
    """Evaluation of 31 assets x 30 horizons x 375 origins x 143 cells."""
    from hybrid_iv.evaluation.evaluation import benchmark_evaluation

    return Result(
        "evaluate_forecast of the paper's size", benchmark_evaluation()["seconds"], "s", target=60.0
    )


def main() -> int:
    """Run the benchmarks, print and write the table; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description="Run the benchmarks.")
    parser.add_argument(
        "words", nargs="*", help="run only benchmarks whose function name holds one of these words"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "runs" / "bench.csv",
        help="the file to write (default: runs/bench.csv)",
    )
    args = parser.parse_args()
    os.environ["HYBRID_IV_QUIET"] = "1"  # progress bars would be timed too
    sys.path.insert(0, str(ROOT))
    chosen = [
        f for f in BENCHMARKS if not args.words or any(word in f.__name__ for word in args.words)
    ]
    if not chosen:
        parser.error(f"no such benchmark; there are {', '.join(f.__name__ for f in BENCHMARKS)}")
    rows, missed = ["name,value,unit,target,ok"], 0
    for function in chosen:
        result = function()
        target = "" if result.target is None else f"{result.target:g}"
        rows.append(
            f'"{result.name}",{result.value:.4g},{result.unit},{target},{str(result.ok).lower()}'
        )
        mark, goal = "ok  " if result.ok else "MISS", f" (target {target})" if target else ""
        print(f"{mark} {result.name}: {result.value:.3g} {result.unit}{goal}", flush=True)
        missed += not result.ok
    write_atomically(args.output, "\n".join(rows) + "\n")
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
