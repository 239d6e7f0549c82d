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
    "Split": "data.features",
    "default_split": "data.features",
    "part_of": "data.features",
    "load_dataset": "data.datasets",
    "breaches": "arbitrage.constraints",
    "project": "arbitrage.projection",
    "Forecaster": "models.forecaster",
    "check_forecaster": "models.forecaster",
    "Hybrid": "models.hybrid",
    "HybridConfig": "models.hybrid",
    "PaperHybrid": "models.hybrid",
    "PretrainedHybrid": "models.pretraining",
    "load_pretrained": "models.pretraining",
    "SurfaceModel": "model",
    "contract_price": "model",
    "load_model": "model",
    "save_model": "model",
    "CellHAR": "models.cell",
    "Persistence": "models.cell",
    "Refit": "models.cell",
    "evaluate_models": "evaluation.evaluation",
    "result_table": "evaluation.evaluation",
    "StudyConfig": "replication.study",
    "run_study": "replication.study",
    "judge_claims": "replication.claims",
}
__all__ = list(_MODULE_OF)

if TYPE_CHECKING:  # the same names, for editors and type checkers, which cannot follow __getattr__
    from hybrid_iv.replication.claims import (
        judge_claims as judge_claims,
    )
    from hybrid_iv.arbitrage.constraints import (
        breaches as breaches,
    )
    from hybrid_iv.data.datasets import (
        load_dataset as load_dataset,
    )
    from hybrid_iv.models.cell import (
        CellHAR as CellHAR,
        Persistence as Persistence,
        Refit as Refit,
    )
    from hybrid_iv.evaluation.evaluation import (
        evaluate_models as evaluate_models,
        result_table as result_table,
    )
    from hybrid_iv.data.features import (
        Split as Split,
        default_split as default_split,
        part_of as part_of,
    )
    from hybrid_iv.models.forecaster import (
        Forecaster as Forecaster,
        check_forecaster as check_forecaster,
    )
    from hybrid_iv.model import (
        SurfaceModel as SurfaceModel,
        contract_price as contract_price,
        load_model as load_model,
        save_model as save_model,
    )
    from hybrid_iv.models.hybrid import (
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
    from hybrid_iv.models.pretraining import (
        PretrainedHybrid as PretrainedHybrid,
        load_pretrained as load_pretrained,
    )
    from hybrid_iv.arbitrage.projection import (
        project as project,
    )
    from hybrid_iv.replication.study import (
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
