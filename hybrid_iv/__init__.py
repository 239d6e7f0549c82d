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
    "plot_attention": "plot",
    "plot_error_by_horizon": "plot",
    "plot_heatmap": "plot",
    "plot_smiles": "plot",
    "plot_surface": "plot",
    "plot_term_structure": "plot",
    "Split": "features",
    "default_split": "features",
    "part_of": "features",
    "load_dataset": "datasets",
    "breaches": "constraints",
    "project": "projection",
    "Forecaster": "forecaster",
    "check_forecaster": "forecaster",
    "Hybrid": "hybrid",
    "HybridConfig": "hybrid",
    "PaperHybrid": "hybrid",
    "PretrainedHybrid": "pretraining",
    "load_pretrained": "pretraining",
    "SurfaceModel": "forecasting",
    "contract_price": "forecasting",
    "load_model": "forecasting",
    "save_model": "forecasting",
    "CellHAR": "econometric",
    "Persistence": "econometric",
    "Refit": "econometric",
    "evaluate_models": "evaluation",
    "result_table": "evaluation",
    "StudyConfig": "study",
    "run_study": "study",
    "judge_claims": "claims",
}
__all__ = list(_MODULE_OF)

if TYPE_CHECKING:  # the same names, for editors and type checkers, which cannot follow __getattr__
    from hybrid_iv.claims import (
        judge_claims as judge_claims,
    )
    from hybrid_iv.constraints import (
        breaches as breaches,
    )
    from hybrid_iv.datasets import (
        load_dataset as load_dataset,
    )
    from hybrid_iv.econometric import (
        CellHAR as CellHAR,
        Persistence as Persistence,
        Refit as Refit,
    )
    from hybrid_iv.evaluation import (
        evaluate_models as evaluate_models,
        result_table as result_table,
    )
    from hybrid_iv.features import (
        Split as Split,
        default_split as default_split,
        part_of as part_of,
    )
    from hybrid_iv.forecaster import (
        Forecaster as Forecaster,
        check_forecaster as check_forecaster,
    )
    from hybrid_iv.forecasting import (
        SurfaceModel as SurfaceModel,
        contract_price as contract_price,
        load_model as load_model,
        save_model as save_model,
    )
    from hybrid_iv.hybrid import (
        Hybrid as Hybrid,
        HybridConfig as HybridConfig,
        PaperHybrid as PaperHybrid,
    )
    from hybrid_iv.plot import (
        plot_attention as plot_attention,
        plot_error_by_horizon as plot_error_by_horizon,
        plot_heatmap as plot_heatmap,
        plot_smiles as plot_smiles,
        plot_surface as plot_surface,
        plot_term_structure as plot_term_structure,
    )
    from hybrid_iv.pretraining import (
        PretrainedHybrid as PretrainedHybrid,
        load_pretrained as load_pretrained,
    )
    from hybrid_iv.projection import (
        project as project,
    )
    from hybrid_iv.study import (
        StudyConfig as StudyConfig,
        run_study as run_study,
    )
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
