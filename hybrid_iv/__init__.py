"""Forecast implied-volatility surfaces of many assets together, free of arbitrage.

This file is written by hand; the modules beside it are made from the notebooks in nbs/. The public
names stand in `__init__.pyi`. A name is loaded when it is first used, so that `import hybrid_iv` is
quick and loads neither torch nor lightning.
"""

import re as _re
from importlib import import_module as _import_module
from pathlib import Path as _Path

__version__ = "0.1.0"

_LINES = _Path(__file__).with_name("__init__.pyi").read_text(encoding="utf-8")
_MODULE_OF = {
    name: module for module, name in _re.findall(r"^from (\S+) import (\w+) as \w+$", _LINES, _re.M)
}
__all__ = list(_MODULE_OF)


def __getattr__(name: str) -> object:
    "Load a public name from its module on first use."
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    "The public names, loaded or not."
    return sorted({*globals(), *_MODULE_OF})
