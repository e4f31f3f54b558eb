"""Piecewise-linear recurrent networks."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from chaos_core.arrays import shifted
from chaos_core.cells.base import USUAL_SHARE, Cell
from chaos_core.typing import Map, NumpyParams, Param, Params, Tensor

__all__ = ["PLRNN", "MeanCentredPLRNN"]

LEAST_TAU = 12
CITATION = (
    "Durstewitz (2017), A state space approach for piecewise-linear recurrent neural networks for identifying "
    "computational dynamics from neural measurements, doi:10.1371/journal.pcbi.1005542"
)


class PLRNN(Cell, frozen=True):
    """z' = A z + W max(0, z) + h, with a diagonal A (M), a W (M, M) without diagonal, and a bias h (M).

    The diagonal of W counts as zero whatever is stored there: each unit's own memory is A alone, so that no two
    parameters do the same work. Orbits can run away: nothing bounds this map.

    Source: Durstewitz (2017), PLoS Comput Biol 13:e1005542, doi:10.1371/journal.pcbi.1005542; trained by sparse
        forcing in Mikhaeil, Monfared, Durstewitz (2022), NeurIPS, arXiv:2110.07238.
    Differs: their code keeps A and W in one matrix `AW` and splits it at each pass; here they are two tensors.
    """

    equation: ClassVar[str] = "z' = A * z + W @ relu(z) + h; W has a zero diagonal"
    citation: ClassVar[str] = CITATION

    kind: Literal["plrnn"] = "plrnn"

    def weights(self) -> dict[str, Param]:
        """A, W, h, all uniform in +-1/sqrt(M), the start values of Mikhaeil et al.; W's diagonal starts at zero."""
        m, width = self.latent, self.latent**-0.5
        return {
            "A": Param((m,), "uniform", width),
            "W": Param((m, m), "uniform_off_diagonal", width),
            "h": Param((m,), "uniform", width),
        }

    def slope_bound(self, p: NumpyParams) -> float:
        """max |A| + |W|, W without its diagonal."""
        return diagonal_and_norm(p)

    def bind(self, p: Params) -> Map:
        """z -> A z + W max(0, z) + h."""
        a, h, w = p["A"], p["h"], without_diagonal(p["W"]).mT

        def step(z: Tensor, s: Tensor | None = None, /) -> Tensor:
            return a * z + z.relu() @ w + shifted(h, s)

        return step

    def jacobian(self, p: Params, z: Tensor, s: Tensor | None = None) -> Tensor:
        """diag(A) + W diag(z > 0)."""
        del s
        on = (z > 0).to(z.dtype)
        return p["A"].diag_embed() + without_diagonal(p["W"]) * on[..., None, :]

    @classmethod
    def suggested_tau(cls, predictability_time: float) -> int:
        """A third of ln 2 / lambda_max, but at least 12 steps, unless these were more than two thirds of it.

        The units beside the observed ones need some free steps to matter: on systems whose third is 4 to 7 steps it
        came, without noise, to 2.3 to 3.8 times the D_stsp of the best interval (`docs/interval.md`).
        """
        least = min(LEAST_TAU, 2 * USUAL_SHARE * predictability_time)
        return max(1, round(max(USUAL_SHARE * predictability_time, least)))


class MeanCentredPLRNN(Cell, frozen=True):
    """z' = A z + W max(0, z - mean(z)) + h: the PLRNN whose units compete, since each sees the others' mean.

    mean(z) runs over the M units of one state. Adding a constant to all units changes the linear part alone.

    Source: Brenner, Hess, Mikhaeil, Bereska, Monfared, Kuo, Durstewitz (2022), Tractable dendritic RNNs for
        reconstructing nonlinear dynamical systems, ICML, arXiv:2207.02542, whose code has it on by default.
    Differs: two tensors A and W, as for the PLRNN; start values as for the PLRNN here, where their code splits the
        matrix of Talathi and Vartak.
    """

    equation: ClassVar[str] = "z' = A * z + W @ relu(z - mean(z)) + h; W has a zero diagonal"
    citation: ClassVar[str] = (
        "Brenner, Hess, Mikhaeil, Bereska, Monfared, Kuo, Durstewitz (2022), Tractable dendritic RNNs for "
        "reconstructing nonlinear dynamical systems, arXiv:2207.02542"
    )

    centred: ClassVar[bool] = True

    kind: Literal["mean_centred_plrnn"] = "mean_centred_plrnn"

    def weights(self) -> dict[str, Param]:
        """As for the PLRNN."""
        return PLRNN(latent=self.latent).weights()

    def slope_bound(self, p: NumpyParams) -> float:
        """max |A| + |W|, W without its diagonal."""
        return diagonal_and_norm(p)

    def bind(self, p: Params) -> Map:
        """z -> A z + W max(0, z - mean(z)) + h."""
        a, h, w = p["A"], p["h"], without_diagonal(p["W"]).mT

        def step(z: Tensor, s: Tensor | None = None, /) -> Tensor:
            return a * z + centred(z).relu() @ w + shifted(h, s)

        return step

    def jacobian(self, p: Params, z: Tensor, s: Tensor | None = None) -> Tensor:
        """diag(A) + W diag(z > mean(z)) (I - 1 1' / M)."""
        del s
        on = (centred(z) > 0).to(z.dtype)
        return p["A"].diag_embed() + without_row_means(without_diagonal(p["W"]) * on[..., None, :])

    @classmethod
    def suggested_tau(cls, predictability_time: float) -> int:
        """As for the PLRNN, from which it differs by the centring alone; not measured by itself."""
        return PLRNN.suggested_tau(predictability_time)


def without_diagonal(w: Tensor) -> Tensor:
    """A square matrix with zeros on its diagonal."""
    return w.tril(-1) + w.triu(1)


def diagonal_and_norm(p: NumpyParams) -> float:
    """max |A| + |W|, the 2-norm of W without its diagonal."""
    w = np.array(p["W"], np.float64)
    np.fill_diagonal(w, 0.0)
    return float(np.abs(p["A"]).max() + np.linalg.norm(w, ord=2))


def centred(z: Tensor) -> Tensor:
    """z minus the mean of its units."""
    return z - z.mean(-1)[..., None]


def without_row_means(w: Tensor) -> Tensor:
    """W (I - 1 1' / M): the chain rule through `centred`."""
    return w - w.mean(-1)[..., None]
