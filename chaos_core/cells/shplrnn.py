"""Shallow piecewise-linear recurrent networks: a hidden layer gives the nonlinearity, the latent state stays small."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from chaos_core.arrays import shifted
from chaos_core.auto import chosen
from chaos_core.cells.base import LARGEST_MEMORY, MOST_UNITS, Cell
from chaos_core.typing import Map, NumpyParams, Param, Params, Tensor

__all__ = ["ClippedShPLRNN", "ShPLRNN"]

FEW_CHANNELS = 4
HIDDEN_FOR_FEW = 100
HIDDEN_FOR_MANY = 150
SMOOTHING = 0.1

CITATION = (
    "Hess, Monfared, Brenner, Durstewitz (2023), Generalized teacher forcing for learning chaotic dynamics, "
    "arXiv:2306.04406"
)


class ShPLRNN(Cell, frozen=True):
    """z' = A z + W1 max(0, W2 z + h2) + h1: A (M), W1 (M, L), W2 (L, M), h1 (M), h2 (L).

    Orbits can run away: nothing bounds this map.

    Source: Hess, Monfared, Brenner, Durstewitz (2023), Generalized teacher forcing for learning chaotic dynamics,
        ICML, arXiv:2306.04406.
    """

    equation: ClassVar[str] = "z' = A * z + W1 @ relu(W2 @ z + h2) + h1"
    bias: ClassVar[str] = "h1"
    citation: ClassVar[str] = CITATION

    kind: Literal["shplrnn"] = "shplrnn"
    hidden: int = Field(ge=1, le=MOST_UNITS, description="L, the number of hidden units.")

    def weights(self) -> dict[str, Param]:
        """A, W1, W2, h1, h2 with the start values of Hess et al.: A of Talathi and Vartak, both thresholds zero."""
        m, n = self.latent, self.hidden
        return {
            "A": Param((m,), "talathi_vartak"),
            "W1": Param((m, n), "uniform", n**-0.5),
            "W2": Param((n, m), "uniform", m**-0.5),
            "h1": Param((m,), "zeros"),
            "h2": Param((n,), "zeros"),
        }

    def slope_bound(self, p: NumpyParams) -> float:
        """max |A| + |W1| |W2|."""
        w1, w2 = (np.linalg.norm(np.asarray(p[name], np.float64), ord=2) for name in ("W1", "W2"))
        return float(np.abs(p["A"]).max() + w1 * w2)

    def bind(self, p: Params) -> Map:
        """z -> A z + W1 max(0, W2 z + h2) + h1."""
        a, w1, w2, h1, h2 = p["A"], p["W1"].mT, p["W2"].mT, p["h1"], p["h2"]

        def step(z: Tensor, s: Tensor | None = None, /) -> Tensor:
            return a * z + (z @ w2 + h2).relu() @ w1 + shifted(h1, s)

        return step

    def jacobian(self, p: Params, z: Tensor, s: Tensor | None = None) -> Tensor:
        """diag(A) + W1 diag([W2 z + h2 > 0]) W2."""
        del s
        on = (z @ p["W2"].mT + p["h2"] > 0).to(z.dtype)
        return p["A"].diag_embed() + (p["W1"] * on[..., None, :]) @ p["W2"]

    @classmethod
    def fill(cls, partial: dict[str, Any], *, observed: int, embedded: bool) -> Self:
        """As for the clipped form."""
        del embedded
        return cls(**_widths(partial, observed))


class ClippedShPLRNN(Cell, frozen=True):
    """z' = A z + W1 [phi(W2 z + h2) - phi(W2 z)] + h1: A (M), W1 (M, L), W2 (L, M), h1 (M), h2 (L).

    phi(v) = (v + sqrt(v^2 + delta^2)) / 2 with delta = `smoothing`; 0 is the rectifier max(0, v) of the source.

    The difference of the two units lies between 0 and |h2|, so the nonlinear part is bounded, and with it every
    orbit, PROVIDED max |A| < 1. Training alone may push an |A_i| above 1 (it has been seen to), and then an orbit can
    escape to infinity; `bounded` keeps |A| <= 0.9999. Whether the bound holds is told by `bound`.

    Source: Hess, Monfared, Brenner, Durstewitz (2023), Generalized teacher forcing for learning chaotic dynamics,
        ICML, arXiv:2306.04406; smooth unit: Barron (2021), Squareplus, arXiv:2112.11687.
    Differs: the smooth unit and the enforced bound are ours. A piecewise-linear map has Jacobians that jump from
        region to region, and these jumps alone stretch: exponents of trained rectifier cells come out too large.
    """

    equation: ClassVar[str] = (
        "z' = A * z + W1 @ (phi(W2 @ z + h2) - phi(W2 @ z)) + h1; phi(v) = (v + sqrt(v^2 + smoothing^2)) / 2"
    )
    bias: ClassVar[str] = "h1"
    citation: ClassVar[str] = CITATION
    suggested_losses: ClassVar[tuple[str, ...]] = ("jacobian_matching",)

    kind: Literal["clipped_shplrnn"] = "clipped_shplrnn"
    hidden: int = Field(ge=1, le=MOST_UNITS, description="L, the number of hidden units.")
    smoothing: float = Field(0.0, ge=0.0, le=10.0, description="Width delta of the unit; 0 is the rectifier.")
    bounded: bool = Field(False, description="Whether training keeps |A| below 1, so that every orbit is bounded.")

    def weights(self) -> dict[str, Param]:
        """A, W1, W2, h1, h2 in this order, with the start values of Hess et al.

        A is the diagonal of a positive definite matrix scaled to spectral radius 1 (Talathi and Vartak), so that the
        untrained map remembers but does not explode; h2 starts spread out, since with h2 = 0 the nonlinear part and
        its gradient would vanish.
        """
        m, n = self.latent, self.hidden
        return {
            "A": Param((m,), "talathi_vartak"),
            "W1": Param((m, n), "uniform", n**-0.5),
            "W2": Param((n, m), "uniform", m**-0.5),
            "h1": Param((m,), "zeros"),
            "h2": Param((n,), "uniform", n**-0.5),
        }

    def limits(self) -> dict[str, float]:
        """|A| where `bounded`."""
        return {"A": LARGEST_MEMORY} if self.bounded else {}

    def bound(self, p: NumpyParams) -> float | None:
        """max_i (sum_l |W1_il h2_l| + |h1_i|) / (1 - |A_i|) where all |A_i| < 1."""
        a = np.abs(np.asarray(p["A"], np.float64))
        if not (a < 1).all():
            return None
        w1, h2 = np.asarray(p["W1"], np.float64), np.asarray(p["h2"], np.float64)
        reach = np.abs(w1) @ np.abs(h2) + np.abs(np.asarray(p["h1"], np.float64))
        return float((reach / (1 - a)).max())

    def slope_bound(self, p: NumpyParams) -> float:
        """max |A| + |W1| |W2|."""
        w1, w2 = (np.linalg.norm(np.asarray(p[name], np.float64), ord=2) for name in ("W1", "W2"))
        return float(np.abs(p["A"]).max() + w1 * w2)

    def bind(self, p: Params) -> Map:
        """z -> A z + W1 [phi(W2 z + h2) - phi(W2 z)] + h1."""
        a, w1, w2, h1, h2 = p["A"], p["W1"].mT, p["W2"].mT, p["h1"], p["h2"]
        square = self.smoothing**2

        def step(z: Tensor, s: Tensor | None = None, /) -> Tensor:
            u = z @ w2
            v = u + h2
            if square:
                clipped = 0.5 * (h2 + (v * v + square).sqrt() - (u * u + square).sqrt())
            else:
                clipped = v.relu() - u.relu()
            return a * z + clipped @ w1 + shifted(h1, s)

        return step

    def jacobian(self, p: Params, z: Tensor, s: Tensor | None = None) -> Tensor:
        """diag(A) + W1 diag(phi'(W2 z + h2) - phi'(W2 z)) W2; phi' is [v > 0] or (1 + v / sqrt(v^2 + delta^2)) / 2."""
        del s
        u = z @ p["W2"].mT
        v, square = u + p["h2"], self.smoothing**2
        if square:
            slope = 0.5 * (v / (v * v + square).sqrt() - u / (u * u + square).sqrt())
        else:
            slope = (v > 0).to(z.dtype) - (u > 0).to(z.dtype)
        return p["A"].diag_embed() + (p["W1"] * slope[..., None, :]) @ p["W2"]

    @classmethod
    def fill(cls, partial: dict[str, Any], *, observed: int, embedded: bool) -> Self:
        """One latent unit for each channel; 100 hidden units up to four channels, above that 150 or twice the channels.

        With M = N the observation is the identity and nothing is hidden from the forcing. L = 100 is what learned 42
        flows of three and four dimensions without tuning in our own runs (median D_stsp 0.29); L = 50 is enough for
        Lorenz alone. Delay embeddings and wider data, whose maps bend in more directions, wanted 150; and below twice
        the channels the hidden layer becomes a bottleneck.

        Units as wide as 0.1, with which exponents come near the data's (`docs/exponents.md`); in delay coordinates
        they left two of four flows as they were and hurt two, so there the rectifier stays.
        """
        return cls(**({"smoothing": 0.0 if embedded else SMOOTHING} | _widths(partial, observed)))


def _widths(partial: dict[str, Any], observed: int) -> dict[str, Any]:
    words = {"latent": observed} | chosen(partial)
    wide = max(HIDDEN_FOR_MANY, 2 * observed)
    return {"hidden": HIDDEN_FOR_FEW if observed <= FEW_CHANNELS else wide} | words
