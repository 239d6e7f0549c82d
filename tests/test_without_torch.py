"""Econometric models and evaluation load neither torch nor lightning."""

import subprocess
import sys

SCRIPT = """
import importlib, pkgutil, sys

import hybrid_iv.evaluation

found = pkgutil.iter_modules(hybrid_iv.evaluation.__path__)
modules = [f"hybrid_iv.evaluation.{one.name}" for one in found]
models = ("forecaster", "gate", "cell", "garch", "factors")
modules += [f"hybrid_iv.models.{name}" for name in models]
for module in modules:
    importlib.import_module(module)
    assert not {"torch", "lightning"} & set(sys.modules), module

from hybrid_iv.data.features import default_split, part_of
from hybrid_iv.models.factors import FactorRidge
from hybrid_iv.surface import toy_panel

panel = toy_panel(dates=200, assets=2)
parts = (part_of(panel, default_split(panel), part) for part in ("train", "valid"))
forecast = FactorRidge(factors=2).fit(*parts).forecast(panel, panel["date"].values[[180]], [1, 5])
assert forecast.shape == (1, 2, 2, 4, 7) and bool((forecast > 0).all())
assert not {"torch", "lightning"} & set(sys.modules), "the ridge"
print(len(modules), "modules")
"""


def test_econometric_models_and_evaluation_load_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) >= 5 + 3
