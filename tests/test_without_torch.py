"""What loads no heavy package: only networks load torch, and only training loads lightning.

Each check runs in a process of its own, because tests share their modules.
"""

import subprocess
import sys

LIGHT = """
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


SHIPPED = """
import sys

from hybrid_iv import SurfaceModel
from hybrid_iv.surface import toy_panel

def lightning():
    return [name for name in sys.modules if name.split(".")[0] in ("lightning", "lightning_fabric")]

assert not lightning(), "the import"
panel = toy_panel(dates=150, assets=2)
forecast = SurfaceModel.pretrained(panel).forecast(panel, horizons=[1, 5])
assert forecast["iv"].shape == (2, 2, 4, 7) and bool((forecast["iv"] > 0).all())
assert not lightning(), "the forecast"
print("torch" in sys.modules)
"""


def printed(script: str) -> str:
    """What a script prints in a process of its own, which must end well."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_econometric_models_and_evaluation_load_no_torch() -> None:
    assert int(printed(LIGHT).split()[0]) >= 5 + 3


def test_a_forecast_by_the_shipped_hybrid_loads_no_lightning() -> None:
    assert printed(SHIPPED).split() == ["True"]  # torch, but not lightning
