"""Condition number of the observation matrix."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos_core.cells.base import Cell
from chaos_core.errors import Inconsistent
from chaos_core.losses.base import Ground, Loss, Pass, Term, torch_of
from chaos_core.observation import Observation
from chaos_core.typing import Tensor

__all__ = ["Conditioning"]

LEAST = 1e-8


class Conditioning(Loss, frozen=True):
    """(1 - s_max / (s_min + 1e-8))^2 with the largest and the smallest singular value of B (N, M).

    Forcing infers states by pinv(B), which blows up noise along directions that B hardly sees. The term pulls the
    condition number to 1; then B is a rotation times a number. With one channel it is zero, since there is only one
    singular value.

    Source: code of Hess, Monfared, Brenner, Durstewitz (2023), arXiv:2306.04406, for their affine observation, with
        weights 1e-7 (electrocardiogram) and 1e-6 (electroencephalogram).
    """

    citation: ClassVar[str] = (
        "Hess, Monfared, Brenner, Durstewitz (2023), Generalized teacher forcing for learning chaotic dynamics, "
        "arXiv:2306.04406"
    )

    kind: Literal["conditioning"] = "conditioning"
    weight: float = Field(
        1e-6, gt=0.0, le=1e9, description="Factor; 1e-6 as in the source: a condition number of 30 then costs 1e-3."
    )

    def check(self, cell: Cell, observation: Observation) -> None:
        """Raises Inconsistent for an observation without a matrix B."""
        if "B" not in observation.parameters(cell.latent, 1):
            raise Inconsistent("the term 'conditioning' needs an observation with a matrix B: linear or affine")

    def bind(self, ground: Ground) -> Term:
        """The function of B's singular values."""
        self.check(ground.cell, ground.observation)

        def term(done: Pass) -> Tensor:
            values: Tensor = torch_of().linalg.svdvals(done.p["B"])
            return (1 - values[0] / (values[-1] + LEAST)).square()

        return term
