"""Manifold-attractor regularisation: some units are pulled towards a line attractor, a memory that never fades."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos_core.cells.base import Cell
from chaos_core.errors import Inconsistent
from chaos_core.losses.base import Ground, Loss, Pull, Term, pulling
from chaos_core.observation import Observation

__all__ = ["ManifoldAttractor"]

NEEDED = ("A", "W", "h")


class ManifoldAttractor(Loss, frozen=True):
    """Pulls K = `share` * M units to z_i' = z_i: A_i to 1, their row of W and their h_i to 0.

    "powers": sum over these units of |1 - A_i|^q + sum_j |W_ij|^q + |h_i|^q, with q = `order`.
    "norms":  |1 - A|_q + |W|_q + |h|_q over the same entries, each the q-th root of its sum.

    K is the nearest whole number, at least 1. Taken from the equations z' = A z + W phi(z) + h, so that the cell must
    have A (M), W (M, M) and h (M): PLRNNs, dendritic ones and almost-linear RNNs.

    Source: Schmidt, Koppe, Monfared, Beutelspacher, Durstewitz (2021), ICLR, arXiv:1910.03471. Its settings in later
        code: Mikhaeil et al. (2022), first units, powers, share 0.3, weight 0.5; Brenner et al. (2022), last units,
        powers, share 0.5, weight 0.01, the defaults here; Hess et al. (2023), last units, norms. All have it off.
    Differs: the code of Hess et al. reads a name that does not exist there and stops as soon as its share is above 0;
        it rounds K down, so that small shares regularise nothing.
    """

    citation: ClassVar[str] = (
        "Schmidt, Koppe, Monfared, Beutelspacher, Durstewitz (2021), Identifying nonlinear dynamical systems with "
        "multiple time scales and long-range dependencies, arXiv:1910.03471"
    )

    kind: Literal["manifold"] = "manifold"
    weight: float = Field(1e-2, gt=0.0, le=1e9, description="Factor of the term; 0.01 as in Brenner et al. (2022).")
    share: float = Field(0.5, gt=0.0, le=1.0, description="Share of the M units that are pulled.")
    units: Literal["last", "first"] = Field(
        "last", description="Which end of the state: an identity observation reads the first units, the last are free."
    )
    form: Literal["powers", "norms"] = Field("powers", description="Sums of powers, or their q-th roots.")
    order: Literal[1, 2] = Field(2, description="q: 1 pushes single entries to zero, 2 keeps all of them small.")

    def check(self, cell: Cell, observation: Observation) -> None:
        """Raises Inconsistent for a cell without A, W and h."""
        del observation
        missing = [name for name in NEEDED if name not in cell.weights()]
        if missing:
            kind = type(cell).model_fields["kind"].default
            raise Inconsistent(
                f"the term 'manifold' needs a cell with A, W and h; '{kind}' has no {' and no '.join(missing)}",
                missing=missing,
            )

    def pulls(self, cell: Cell) -> tuple[Pull, ...]:
        """The chosen rows of A, W and h."""
        count = max(1, round(self.share * cell.latent))
        rows = slice(0, count) if self.units == "first" else slice(cell.latent - count, cell.latent)
        whole: Literal["squares", "root"] = "squares" if self.form == "powers" else "root"
        form: Literal["squares", "root", "absolute"] = "absolute" if self.order == 1 else whole
        return tuple(Pull(name, form, float(name == "A"), rows) for name in NEEDED)

    def bind(self, ground: Ground) -> Term:
        """The sum over the chosen rows of A, W and h."""
        self.check(ground.cell, ground.observation)
        return pulling(self.pulls(ground.cell))
