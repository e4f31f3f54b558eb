"""All forcing schemes: the final classes found in this folder's files. To add one, add a file."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BaseModel, Field

from chaos_core.auto import auto_variant
from chaos_core.forcing.base import Forcing
from chaos_core.registry import find

__all__ = ["FORCINGS", "AnyForcing", "AnyForcingSpec", "Forcing", "fill"]

FORCINGS: dict[str, type[Forcing]] = find(__name__, __path__, Forcing)

if TYPE_CHECKING:
    AnyForcing: TypeAlias = Forcing
    AnyForcingSpec: TypeAlias = BaseModel
else:
    AnyForcing = Annotated[reduce(or_, FORCINGS.values()), Field(discriminator="kind")]
    AnyForcingSpec = Annotated[reduce(or_, map(auto_variant, FORCINGS.values())), Field(discriminator="kind")]


def fill(spec: BaseModel, *, tau: int) -> Forcing:
    """The scheme that a spec asks for, with every "auto" replaced by that scheme's own rule (see its `fill`).

    Args:
        spec: one of `AnyForcingSpec`.
        tau: the planner's suggestion for the interval, in steps; schemes without an interval ignore it.
    """
    words: dict[str, Any] = spec.model_dump()
    return FORCINGS[words["kind"]].fill(words, tau=tau)
