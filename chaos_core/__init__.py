"""Reconstruct dynamical systems from time series: analyse, plan, fit, evaluate, generate.

Importing this package imports neither torch nor scipy: each public name is fetched from its module at first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaos_core.analysis import Analysis as Analysis
    from chaos_core.analysis import analyse as analyse
    from chaos_core.analysis_options import AnalysisOptions as AnalysisOptions
    from chaos_core.errors import ChaosError as ChaosError
    from chaos_core.fitted import Fitted as Fitted
    from chaos_core.generation import generate as generate
    from chaos_core.pipeline import evaluate as evaluate
    from chaos_core.pipeline import fit as fit
    from chaos_core.pipeline import fit_many as fit_many
    from chaos_core.planning import plan as plan
    from chaos_core.series import Series as Series
    from chaos_core.spec import Plan as Plan
    from chaos_core.spec import Spec as Spec

_HOMES = {
    "Analysis": "analysis",
    "AnalysisOptions": "analysis_options",
    "ChaosError": "errors",
    "Fitted": "fitted",
    "Plan": "spec",
    "Series": "series",
    "Spec": "spec",
    "analyse": "analysis",
    "evaluate": "pipeline",
    "fit": "pipeline",
    "fit_many": "pipeline",
    "generate": "generation",
    "plan": "planning",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'chaos_core' has no attribute '{name}'")
    value = getattr(import_module(f"chaos_core.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
