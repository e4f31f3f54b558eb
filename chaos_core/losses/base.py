"""What a loss is: a term that training may minimise beside the mean squared error.

Settings only, and no import of torch: the API validates and shows them. The text of a term runs on torch tensors
alone, since only training needs it; what is no tensor method comes from `torch_of`.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from pydantic import BaseModel, Field

from chaos_core.auto import chosen
from chaos_core.cells.base import Cell
from chaos_core.native.equations import Pull
from chaos_core.observation import Observation
from chaos_core.typing import Floats, Params, Tensor

__all__ = ["Ground", "Loss", "Pass", "Pull", "Term", "pulling", "torch_of"]


@dataclass(frozen=True, eq=False)
class Ground:
    """What a term may know before the training begins.

    Args:
        cell, observation: the equations.
        x: (R, N) scaled, embedded rows of the training piece without a missing entry, in order of time.
        lambda_max_per_step: the data's largest exponent, nats per row; None where they are not chaotic.
        slopes: gives (points (R', N), slopes (R', N, N)): scaled states of the data and the Jacobian there of a smooth
            map fitted to them. Called only where it is needed, since the fit takes a second or two.
        tensor: turns a numpy array into a tensor of the training's number type and device.
    """

    cell: Cell
    observation: Observation
    x: Floats
    lambda_max_per_step: float | None
    slopes: Callable[[], tuple[Floats, Floats]]
    tensor: Callable[[Floats], Tensor]


@dataclass(frozen=True, eq=False)
class Pass:
    """One forward pass of an update.

    Args:
        p: all parameters by name, part of the graph.
        x: (B, T + 1, N) windows of scaled data, missing entries filled; row t + 1 is the target of step t.
        present: the same shape, True where an entry was measured; None where all were.
        z: (B, T, M) states z_1 ... z_T before forcing.
        predicted: (B, T, N) the observations read off z.
        progress: updates done / updates planned, in [0, 1).
        rng: randomness that a resumed training repeats.
    """

    p: Params
    x: Tensor
    present: Tensor | None
    z: Tensor
    predicted: Tensor
    progress: float
    rng: np.random.Generator


Term: TypeAlias = Callable[[Pass], Tensor]
"""A scalar tensor, not yet multiplied by the weight."""


class Loss(BaseModel, ABC, frozen=True, extra="forbid"):
    """Abstract: a weighted term. A final class adds `kind`, its settings, `weight` with a default, and `bind`."""

    citation: ClassVar[str]

    weight: float = Field(gt=0.0, le=1e9, description="Factor of the term beside the mean squared error.")

    @abstractmethod
    def bind(self, ground: Ground) -> Term:
        """The term with all that does not change during a training prepared."""

    def check(self, cell: Cell, observation: Observation) -> None:
        """Raises Inconsistent where the term cannot act on these equations; made to be asked before a training."""
        del cell, observation

    def pulls(self, cell: Cell) -> tuple[Pull, ...]:
        """The term, not yet multiplied by the weight, where it concerns parameters alone; else nothing.

        Such a term needs no torch: the native training step takes it as data.
        """
        del cell
        return ()

    @classmethod
    def fill(cls, partial: dict[str, Any], *, lambda_max_per_step: float | None) -> Self:
        """The settings with a value for each field that is absent or "auto"; what the client gave always wins.

        Args:
            partial: the client's words.
            lambda_max_per_step: the analysis' largest exponent, nats per row; None where the data are not chaotic.
        """
        del lambda_max_per_step
        return cls(**chosen(partial))


def pulling(pulls: Sequence[Pull]) -> Term:
    """The sum of pulls as a term."""

    def size(pull: Pull, p: Params) -> Tensor:
        away = p[pull.parameter][pull.rows] - pull.target
        if pull.form == "root":
            root: Tensor = torch_of().linalg.vector_norm(away)
            return root
        return away.square().sum() if pull.form == "squares" else away.abs().sum()

    def term(done: Pass) -> Tensor:
        first, *others = (pull.weight * size(pull, done.p) for pull in pulls)
        return sum(others, start=first)

    return term


def torch_of() -> Any:
    """The torch module, which whoever runs a term has imported."""
    return sys.modules["torch"]
