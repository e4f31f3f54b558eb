"""Dendritic piecewise-linear recurrent networks: each unit has a branch of thresholds in place of one rectifier."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from chaos_core.arrays import shifted
from chaos_core.auto import chosen
from chaos_core.cells.base import LARGEST_MEMORY, MOST_UNITS, Cell
from chaos_core.cells.plrnn import centred, diagonal_and_norm, without_diagonal, without_row_means
from chaos_core.typing import Floats, Map, NumpyParams, Param, Params, Tensor

__all__ = ["ClippedDendPLRNN", "DendPLRNN"]

USUAL_LATENT = 22
USUAL_BASES = 20

CITATION = (
    "Brenner, Hess, Mikhaeil, Bereska, Monfared, Kuo, Durstewitz (2022), Tractable dendritic RNNs for "
    "reconstructing nonlinear dynamical systems, arXiv:2207.02542"
)


class DendPLRNN(Cell, frozen=True):
    """z' = A z + W sum_b alpha_b max(0, z - H_b) + h: A (M), W (M, M) without diagonal, h (M), alpha (B), H (M, B).

    Orbits can run away: nothing bounds this map. With `centred` the basis sees z - mean(z).

    Source: Brenner, Hess, Mikhaeil, Bereska, Monfared, Kuo, Durstewitz (2022), Tractable dendritic RNNs for
        reconstructing nonlinear dynamical systems, ICML, arXiv:2207.02542.
    Differs: thresholds are subtracted, as in the paper; the authors' Python code adds them. Centring is off by
        default, as in the scripts of their table 1; their code has it on.
    """

    equation: ClassVar[str] = (
        "z' = A * z + W @ sum_b alpha[b] * relu(z - H[:, b]) + h; W has a zero diagonal; "
        "centred: relu(z - mean(z) - H[:, b])"
    )
    citation: ClassVar[str] = CITATION

    kind: Literal["dendplrnn"] = "dendplrnn"
    bases: int = Field(ge=1, le=MOST_UNITS, description="B, thresholds of each unit.")
    centred: bool = Field(False, description="Whether the mean of the units is subtracted before the thresholds.")

    def weights(self) -> dict[str, Param]:
        """A and W split one matrix of Talathi and Vartak; H covers the range of the data: the source's start values."""
        return _weights(self.latent, self.bases)

    def slope_bound(self, p: NumpyParams) -> float:
        """max |A| + |W| sum_b |alpha_b|, W without its diagonal."""
        memory = float(np.abs(p["A"]).max())
        return memory + (diagonal_and_norm(p) - memory) * float(np.abs(p["alpha"]).sum())

    def bind(self, p: Params) -> Map:
        """z -> A z + W sum_b alpha_b max(0, z - H_b) + h."""
        a, h, w, alpha, thresholds = p["A"], p["h"], without_diagonal(p["W"]).mT, p["alpha"], p["H"]

        def step(z: Tensor, s: Tensor | None = None, /) -> Tensor:
            inner = centred(z) if self.centred else z
            basis = (inner[..., None] - thresholds).relu() @ alpha
            return a * z + basis @ w + shifted(h, s)

        return step

    def jacobian(self, p: Params, z: Tensor, s: Tensor | None = None) -> Tensor:
        """diag(A) + W diag(sum_b alpha_b [z > H_b]), times (I - 1 1' / M) where centred."""
        del s
        inner = centred(z) if self.centred else z
        slope = (inner[..., None] > p["H"]).to(z.dtype) @ p["alpha"]
        inside = without_diagonal(p["W"]) * slope[..., None, :]
        return p["A"].diag_embed() + (without_row_means(inside) if self.centred else inside)

    @classmethod
    def fill(cls, partial: dict[str, Any], *, observed: int, embedded: bool) -> Self:
        """22 units, or one for each channel where there are more, with 20 thresholds each (Lorenz-63 of the source)."""
        del embedded
        return cls(**_sizes(partial, observed))


class ClippedDendPLRNN(Cell, frozen=True):
    """z' = A z + W sum_b alpha_b [max(0, z - H_b) - max(0, z)] + h, shapes as for the dendPLRNN.

    The bracket lies between 0 and -H_b, so the nonlinear part is bounded, and with it every orbit, PROVIDED
    max |A| < 1. Nothing but `bounded` keeps it there, see `ClippedShPLRNN`; `bound` tells whether it holds.

    Source: Brenner, Hess, Mikhaeil, Bereska, Monfared, Kuo, Durstewitz (2022), Tractable dendritic RNNs for
        reconstructing nonlinear dynamical systems, ICML, arXiv:2207.02542.
    Differs: as for the dendPLRNN; the enforced bound is ours.
    """

    equation: ClassVar[str] = (
        "z' = A * z + W @ sum_b alpha[b] * (relu(z - H[:, b]) - relu(z)) + h; W has a zero diagonal; "
        "centred: z - mean(z) in both relu"
    )
    citation: ClassVar[str] = CITATION

    kind: Literal["clipped_dendplrnn"] = "clipped_dendplrnn"
    bases: int = Field(ge=1, le=MOST_UNITS, description="B, thresholds of each unit.")
    centred: bool = Field(False, description="Whether the mean of the units is subtracted before the thresholds.")
    bounded: bool = Field(False, description="Whether training keeps |A| below 1, so that every orbit is bounded.")

    def weights(self) -> dict[str, Param]:
        """As for the dendPLRNN."""
        return _weights(self.latent, self.bases)

    def limits(self) -> dict[str, float]:
        """|A| where `bounded`."""
        return {"A": LARGEST_MEMORY} if self.bounded else {}

    def bound(self, p: NumpyParams) -> float | None:
        """max_i (sum_j |W_ij| sum_b |alpha_b H_jb| + |h_i|) / (1 - |A_i|) where all |A_i| < 1."""
        a, w, h, alpha, thresholds = (np.abs(np.asarray(p[name], np.float64)) for name in ("A", "W", "h", "alpha", "H"))
        if not (a < 1).all():
            return None
        np.fill_diagonal(w, 0.0)
        reach: Floats = w @ (thresholds @ alpha) + h
        return float((reach / (1 - a)).max())

    def slope_bound(self, p: NumpyParams) -> float:
        """max |A| + |W| sum_b |alpha_b|, W without its diagonal."""
        memory = float(np.abs(p["A"]).max())
        return memory + (diagonal_and_norm(p) - memory) * float(np.abs(p["alpha"]).sum())

    def bind(self, p: Params) -> Map:
        """z -> A z + W sum_b alpha_b [max(0, z - H_b) - max(0, z)] + h."""
        a, h, w, alpha, thresholds = p["A"], p["h"], without_diagonal(p["W"]).mT, p["alpha"], p["H"]

        def step(z: Tensor, s: Tensor | None = None, /) -> Tensor:
            inner = (centred(z) if self.centred else z)[..., None]
            basis = ((inner - thresholds).relu() - inner.relu()) @ alpha
            return a * z + basis @ w + shifted(h, s)

        return step

    def jacobian(self, p: Params, z: Tensor, s: Tensor | None = None) -> Tensor:
        """diag(A) + W diag(sum_b alpha_b ([z > H_b] - [z > 0])), times (I - 1 1' / M) where centred."""
        del s
        inner = (centred(z) if self.centred else z)[..., None]
        slope = ((inner > p["H"]).to(z.dtype) - (inner > 0).to(z.dtype)) @ p["alpha"]
        inside = without_diagonal(p["W"]) * slope[..., None, :]
        return p["A"].diag_embed() + (without_row_means(inside) if self.centred else inside)

    @classmethod
    def fill(cls, partial: dict[str, Any], *, observed: int, embedded: bool) -> Self:
        """As for the dendPLRNN."""
        del embedded
        return cls(**_sizes(partial, observed))


def _weights(m: int, bases: int) -> dict[str, Param]:
    return {
        "A": Param((m,), "talathi_vartak"),
        "W": Param((m, m), "talathi_vartak_rest"),
        "h": Param((m,), "uniform", m**-0.5),
        "alpha": Param((bases,), "uniform", bases**-0.5),
        "H": Param((m, bases), "uniform_over_data"),
    }


def _sizes(partial: dict[str, Any], observed: int) -> dict[str, Any]:
    return {"latent": max(USUAL_LATENT, observed), "bases": USUAL_BASES} | chosen(partial)
