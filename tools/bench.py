"""Measure, `make bench`: writes runs/bench.csv (`name,value,unit,target,ok`), and exits with 1 where a target is missed.

To add a benchmark, write a function here that takes nothing and returns a `Result`, and mark it with `@benchmark`. Machines
differ, so what must hold is a ratio to a named peer, both timed in one run by `ratio`; a figure in seconds or MB is
reported without a target, as the best of five by `best`. Import what is measured inside the function.
"""

from __future__ import annotations

import argparse
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
    target: float | None = None  # the largest allowed value, or the smallest where `larger_is_better`; None: only reported
    larger_is_better: bool = False

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


def best(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds of the quickest of some runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def ratio(work: Callable[[], object], peer: Callable[[], object], repeats: int = REPEATS) -> float:
    """Time of `work` over that of `peer`, timed in turns so that a busy moment hits both; the best of each."""
    pairs = [(best(work, 1), best(peer, 1)) for _ in range(repeats)]
    return min(ours for ours, _ in pairs) / min(theirs for _, theirs in pairs)


@benchmark
def import_time() -> Result:
    """`import hybrid_iv` in a fresh process, over `import numpy` in another."""

    def load(module: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True, cwd=ROOT)

    return Result("import hybrid_iv / import numpy", ratio(load("hybrid_iv"), load("numpy")), "ratio", target=1.0)


@benchmark
def panel_validation() -> Result:
    """Validation of a year of the paper's 31 assets, over xarray's reading of the same panel from a file."""
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
    return Result("implied_volatility", 0.5 / best(lambda: implied_volatility(*quotes)), "million/s", target=3.0, larger_is_better=True)


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
            iv = np.clip(iv - (black_price(forward, strike, tau, iv, discount, is_call) - price) / np.maximum(slope, 1e-12), 0.01, 4.0)
        return iv

    return Result("implied_volatility / vectorised Newton", ratio(lambda: implied_volatility(*quotes), newton, 3), "ratio", target=0.5)


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
    from hybrid_iv.simulation import simulate_market, true_surfaces
    from hybrid_iv.surface import PAPER_GRID, Grid

    grid = Grid(tuple(PAPER_GRID.maturities[i] for i in (0, 2, 3, 4, 6, 8, 9, 10)), (0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2))
    seconds = best(lambda: true_surfaces(simulate_market(), grid, False), 2)
    return Result("simulate_market and true_surfaces(exact=False), 56 cells", seconds, "s", 3.0)


@benchmark
def market_exact() -> Result:
    """The default market with its exact true panel."""
    from hybrid_iv.simulation import simulate_market, true_panel

    return Result("simulate_market and true_panel", best(lambda: true_panel(simulate_market()), 1), "s", 45.0)


@benchmark
def market_oracle() -> Result:
    """The oracle of the default test period, five horizons."""
    from hybrid_iv.simulation import oracle_forecast, simulate_market

    market = simulate_market()
    origins = market.dates[(market.dates >= "2023-07-01") & (market.dates <= "2024-12-31")]
    return Result("oracle_forecast of the test period", best(lambda: oracle_forecast(market, origins), 1), "s", 180.0)


@benchmark
def market_all_quotes() -> Result:
    """All quotes of the default market, asset by asset."""
    from hybrid_iv.simulation import market_quotes, simulate_market

    market = simulate_market()
    seconds = best(lambda: [len(market_quotes(market, [asset])) for asset in market.assets], 1)
    return Result("market_quotes of the default market", seconds, "s", 360.0)


def main() -> int:
    """Run the benchmarks, print and write the table; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description="Run the benchmarks.")
    parser.add_argument("words", nargs="*", help="run only benchmarks whose function name holds one of these words")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "bench.csv", help="the file to write (default: runs/bench.csv)")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    chosen = [f for f in BENCHMARKS if not args.words or any(word in f.__name__ for word in args.words)]
    if not chosen:
        parser.error(f"no such benchmark; there are {', '.join(f.__name__ for f in BENCHMARKS)}")
    rows, missed = ["name,value,unit,target,ok"], 0
    for function in chosen:
        result = function()
        target = "" if result.target is None else f"{result.target:g}"
        rows.append(f'"{result.name}",{result.value:.4g},{result.unit},{target},{str(result.ok).lower()}')
        goal = f" (target {target})" if target else ""
        print(f"{'ok  ' if result.ok else 'MISS'} {result.name}: {result.value:.3g} {result.unit}{goal}", flush=True)
        missed += not result.ok
    write_atomically(args.output, "\n".join(rows) + "\n")
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
