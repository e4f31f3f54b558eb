"""Size of the cell's parameters."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos_core.losses.base import Ground, Loss, Pass, Term
from chaos_core.typing import Params, Tensor

__all__ = ["ParameterNorm"]


class ParameterNorm(Loss, frozen=True):
    """sum |1 - A|^q + sum over the cell's other parameters of sum |theta|^q, with q = `order` 1 or 2.

    A diagonal memory A is pulled to 1, everything else to 0: what is left of an unused unit is a line attractor. Cells
    without A are pulled to 0 altogether. The observation stays free.

    Source: Hess, Monfared, Brenner, Durstewitz (2023), ICML, arXiv:2306.04406 (q = 2, shallow PLRNN); Brenner, Hemmer,
        Monfared, Durstewitz (2024), arXiv:2410.14240 (q = 1, almost-linear RNN).
    Differs: the thresholds H of a dendritic cell count too, which the first source's code leaves out.
    """

    citation: ClassVar[str] = (
        "Hess, Monfared, Brenner, Durstewitz (2023), Generalized teacher forcing for learning chaotic dynamics, "
        "arXiv:2306.04406"
    )

    kind: Literal["parameter_norm"] = "parameter_norm"
    weight: float = Field(1e-4, gt=0.0, le=1e9, description="Factor of the term; 1e-4 as for the EEG of the source.")
    order: Literal[1, 2] = Field(2, description="q: 1 pushes single entries to zero, 2 keeps all of them small.")

    def bind(self, ground: Ground) -> Term:
        """The sum over the cell's own parameters."""
        names = list(ground.cell.parameters())

        def term(done: Pass) -> Tensor:
            return sum((self._size(name, done.p) for name in names[1:]), start=self._size(names[0], done.p))

        return term

    def _size(self, name: str, p: Params) -> Tensor:
        away = 1 - p[name] if name == "A" else p[name]
        return (away * away).sum() if self.order == 2 else away.abs().sum()
