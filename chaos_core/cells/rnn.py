"""Vanilla recurrent network."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from chaos_core.arrays import shifted
from chaos_core.cells.base import Cell
from chaos_core.typing import Map, NumpyParams, Param, Params, Tensor

__all__ = ["RNN"]


class RNN(Cell, frozen=True):
    """z' = tanh(W z + b): W (M, M), b (M). Every unit stays in [-1, 1].

    Source: Elman (1990), Finding structure in time, doi:10.1207/s15516709cog1402_1; trained by sparse forcing in
        Mikhaeil, Monfared, Durstewitz (2022), NeurIPS, arXiv:2110.07238.
    Differs: one bias, where torch.nn.RNN adds two that do the same work; it starts as wide as one of them.
    """

    equation: ClassVar[str] = "z' = tanh(W @ z + b)"
    bias: ClassVar[str] = "b"
    citation: ClassVar[str] = "Elman (1990), Finding structure in time, doi:10.1207/s15516709cog1402_1"

    kind: Literal["rnn"] = "rnn"

    def weights(self) -> dict[str, Param]:
        """W and b uniform in +-1/sqrt(M), the start values of torch.nn.RNN."""
        m, width = self.latent, self.latent**-0.5
        return {"W": Param((m, m), "uniform", width), "b": Param((m,), "uniform", width)}

    def bound(self, p: NumpyParams) -> float:
        """1: the hyperbolic tangent."""
        del p
        return 1.0

    def slope_bound(self, p: NumpyParams) -> float:
        """|W|: the hyperbolic tangent is nowhere steeper than 1."""
        return float(np.linalg.norm(np.asarray(p["W"], np.float64), ord=2))

    def bind(self, p: Params) -> Map:
        """z -> tanh(W z + b)."""
        w, b = p["W"].mT, p["b"]

        def step(z: Tensor, s: Tensor | None = None, /) -> Tensor:
            return (z @ w + shifted(b, s)).tanh()

        return step

    def jacobian(self, p: Params, z: Tensor, s: Tensor | None = None) -> Tensor:
        """diag(1 - z'^2) W."""
        after = self.step(p, z, s)
        return (1 - after * after)[..., :, None] * p["W"]
