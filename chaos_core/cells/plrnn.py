"""Piecewise-linear recurrent network."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from chaos_core.auto import chosen
from chaos_core.cells.base import USUAL_SHARE, Cell
from chaos_core.typing import Map, Param, Params, Tensor

__all__ = ["PLRNN"]

USUAL_LATENT = 30
LEAST_TAU = 12


class PLRNN(Cell, frozen=True):
    """z' = A z + W max(0, z) + h, with a diagonal A (M), a W (M, M) without diagonal, and a bias h (M).

    The diagonal of W counts as zero whatever is stored there: each unit's own memory is A alone, so that no two
    parameters do the same work. Orbits can run away: nothing bounds this map.

    Source: Durstewitz (2017), PLoS Comput Biol 13:e1005542, doi:10.1371/journal.pcbi.1005542; trained by sparse
        forcing in Mikhaeil, Monfared, Durstewitz (2022), NeurIPS, arXiv:2110.07238.
    Differs: their code keeps A and W in one matrix `AW` and splits it at each pass; here they are two tensors.
    """

    equation: ClassVar[str] = "z' = A * z + W @ relu(z) + h; W has a zero diagonal"
    citation: ClassVar[str] = (
        "Durstewitz (2017), A state space approach for piecewise-linear recurrent neural networks for identifying "
        "computational dynamics from neural measurements, doi:10.1371/journal.pcbi.1005542"
    )

    kind: Literal["plrnn"] = "plrnn"

    def parameters(self) -> dict[str, Param]:
        """A, W, h, all uniform in +-1/sqrt(M), the start values of Mikhaeil et al.; W's diagonal starts at zero."""
        m, width = self.latent, self.latent**-0.5
        return {
            "A": Param((m,), "uniform", width),
            "W": Param((m, m), "uniform_off_diagonal", width),
            "h": Param((m,), "uniform", width),
        }

    def bind(self, p: Params) -> Map:
        """z -> A z + W max(0, z) + h."""
        a, h, w = p["A"], p["h"], _without_diagonal(p["W"]).mT

        def step(z: Tensor) -> Tensor:
            return a * z + z.relu() @ w + h

        return step

    def jacobian(self, p: Params, z: Tensor) -> Tensor:
        """diag(A) + W diag(z > 0)."""
        on = (z > 0).to(z.dtype)
        return p["A"].diag_embed() + _without_diagonal(p["W"]) * on[..., None, :]

    @classmethod
    def fill(cls, partial: dict[str, Any], *, observed: int, embedded: bool) -> Self:
        """30 latent units (Mikhaeil et al., all their systems), or one for each channel where there are more.

        With fewer units than channels the observation could not be inverted and forcing would lose information.
        """
        del embedded
        return cls(**({"latent": max(USUAL_LATENT, observed)} | chosen(partial)))

    @classmethod
    def suggested_tau(cls, predictability_time: float) -> int:
        """A third of ln 2 / lambda_max, but at least 12 steps, unless these were more than two thirds of it.

        The units beside the observed ones need some free steps to matter: on systems whose third is 4 to 7 steps it
        came, without noise, to 2.3 to 3.8 times the D_stsp of the best interval (`docs/interval.md`).
        """
        least = min(LEAST_TAU, 2 * USUAL_SHARE * predictability_time)
        return max(1, round(max(USUAL_SHARE * predictability_time, least)))


def _without_diagonal(w: Tensor) -> Tensor:
    return w.tril(-1) + w.triu(1)
