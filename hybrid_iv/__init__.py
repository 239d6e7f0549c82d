"""Forecast the implied-volatility surfaces of many assets together, 1 to 30 days ahead, free of arbitrage.

This file is written by hand; the modules beside it are made from the notebooks in nbs/. A name is loaded when it is first
used, so that `import hybrid_iv` is quick and loads neither torch nor lightning.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# Public names of the package, with the module that defines each. To add one: a line here, and one under TYPE_CHECKING.
_MODULE_OF = {
    "PAPER_GRID": "surface",
    "Grid": "surface",
    "HybridIVError": "surface",
    "load_panel": "surface",
    "make_panel": "surface",
    "panel_hash": "surface",
    "save_panel": "surface",
    "toy_panel": "surface",
    "validate_panel": "surface",
}
__all__ = list(_MODULE_OF)

if TYPE_CHECKING:  # the same names, for editors and type checkers, which cannot follow __getattr__
    from hybrid_iv.surface import (
        PAPER_GRID as PAPER_GRID,
        Grid as Grid,
        HybridIVError as HybridIVError,
        load_panel as load_panel,
        make_panel as make_panel,
        panel_hash as panel_hash,
        save_panel as save_panel,
        toy_panel as toy_panel,
        validate_panel as validate_panel,
    )


def __getattr__(name: str) -> object:
    "Load a public name from its module on first use."
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    "The public names, loaded or not."
    return sorted({*globals(), *_MODULE_OF})
