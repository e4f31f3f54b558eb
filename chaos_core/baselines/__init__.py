"""Cheap generators that every trained model has to beat: the final classes found in this folder's files.

To add one, add a file. Importing this package loads numpy and pydantic only; scipy, scikit-learn and pysindy are
loaded when something is fitted, so that a service can check and describe settings without them.
"""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field

from chaos_core.baselines.base import Baseline, Forecaster
from chaos_core.registry import find

__all__ = ["BASELINES", "AnyBaseline", "Baseline", "Forecaster"]

BASELINES: dict[str, type[Baseline]] = find(__name__, __path__, Baseline)
"""By kind. `BASELINES[kind]()` has the settings that are compared where nobody asks for others."""

if TYPE_CHECKING:
    AnyBaseline: TypeAlias = Baseline
else:
    AnyBaseline = Annotated[reduce(or_, BASELINES.values()), Field(discriminator="kind")]
