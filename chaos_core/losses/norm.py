"""Size of the cell's parameters."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos_core.cells.base import Cell
from chaos_core.losses.base import Ground, Loss, Pull, Term, pulling

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

    def pulls(self, cell: Cell) -> tuple[Pull, ...]:
        """The cell's own parameters."""
        form: Literal["squares", "absolute"] = "squares" if self.order == 2 else "absolute"
        return tuple(Pull(name, form, float(name == "A")) for name in cell.parameters())

    def bind(self, ground: Ground) -> Term:
        """The sum over the cell's own parameters."""
        return pulling(self.pulls(ground.cell))
