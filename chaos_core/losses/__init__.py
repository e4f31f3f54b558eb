"""All terms that training may minimise beside the mean squared error: the final classes found in this folder's files.

To add one, add a file. Each is off unless a spec names it or the cell suggests it (`Cell.suggested_losses`).
"""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BaseModel, Field

from chaos_core.auto import auto_variant
from chaos_core.losses.base import Ground, Loss, Pass, Term
from chaos_core.losses.mse import mse
from chaos_core.registry import find

__all__ = ["LOSSES", "AnyLoss", "AnyLossSpec", "Ground", "Loss", "Pass", "Term", "fill", "mse"]

LOSSES: dict[str, type[Loss]] = find(__name__, __path__, Loss)

if TYPE_CHECKING:
    AnyLoss: TypeAlias = Loss
    AnyLossSpec: TypeAlias = BaseModel
else:
    AnyLoss = Annotated[reduce(or_, LOSSES.values()), Field(discriminator="kind")]
    AnyLossSpec = Annotated[reduce(or_, map(auto_variant, LOSSES.values())), Field(discriminator="kind")]


def fill(spec: BaseModel, *, lambda_max_per_step: float | None) -> Loss:
    """The term that a spec asks for, with every "auto" replaced by that term's own rule (see its `fill`).

    Args:
        spec: one of `AnyLossSpec`.
        lambda_max_per_step: the analysis' largest exponent, nats per row; None where the data are not chaotic.
    """
    words: dict[str, Any] = spec.model_dump()
    return LOSSES[words["kind"]].fill(words, lambda_max_per_step=lambda_max_per_step)
