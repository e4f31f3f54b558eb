"""Long short-term memory."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from chaos_core.arrays import concat, shifted
from chaos_core.cells.base import Cell
from chaos_core.typing import Map, NumpyParams, Param, Params, Tensor

__all__ = ["LSTM"]


class LSTM(Cell, frozen=True):
    """[i, f, g, o] = W h + b; c' = sigma(f) c + sigma(i) tanh(g); h' = sigma(o) tanh(c'): W (4 M, M), b (4 M).

    The state is z = [h, c], 2 M numbers, of which h is read out. Inference knows h alone and sets c to zero: so a
    forced step forgets the memory, as in the source. h stays in [-1, 1], and so the forget gate below 1.

    Source: Hochreiter, Schmidhuber (1997), Long short-term memory, doi:10.1162/neco.1997.9.8.1735, with the forget
        gate of Gers, Schmidhuber, Cummins (2000), doi:10.1162/089976600300015015; forced as in Mikhaeil, Monfared,
        Durstewitz (2022), NeurIPS, arXiv:2110.07238.
    Differs: one bias, where torch.nn.LSTM adds two that do the same work; it starts as wide as one of them.
    """

    equation: ClassVar[str] = (
        "z' = [h', c']; i, f, g, o = W @ h + b; c' = sigmoid(f) * c + sigmoid(i) * tanh(g); h' = sigmoid(o) * tanh(c')"
    )
    bias: ClassVar[str] = "b"
    citation: ClassVar[str] = "Hochreiter, Schmidhuber (1997), Long short-term memory, doi:10.1162/neco.1997.9.8.1735"

    kind: Literal["lstm"] = "lstm"

    @property
    def state_size(self) -> int:
        """2 M: [h, c]."""
        return 2 * self.latent

    @property
    def drive_width(self) -> int:
        """4 M: inputs enter all gates."""
        return 4 * self.latent

    def weights(self) -> dict[str, Param]:
        """W and b uniform in +-1/sqrt(M), the start values of torch.nn.LSTM."""
        m, width = self.latent, self.latent**-0.5
        return {"W": Param((4 * m, m), "uniform", width), "b": Param((4 * m,), "uniform", width)}

    def bound(self, p: NumpyParams) -> float | None:
        """1 / (1 - f) with f = max_i sigma(sum_j |W_f|_ij + |b_f|_i), the largest forget gate while |h| <= 1."""
        m = self.latent
        w, b = np.asarray(p["W"], np.float64)[m : 2 * m], np.asarray(p["b"], np.float64)[m : 2 * m]
        closing = float(np.exp(-(np.abs(w).sum(axis=1) + np.abs(b)).max()))
        return (1 + closing) / closing if closing > 0 else None

    def bind(self, p: Params) -> Map:
        """[h, c] -> [h', c']."""
        w, b, m = p["W"].mT, p["b"], self.latent

        def step(z: Tensor, s: Tensor | None = None, /) -> Tensor:
            gates = z[..., :m] @ w + shifted(b, s)
            memory = gates[..., m : 2 * m].sigmoid() * z[..., m:]
            memory = memory + gates[..., :m].sigmoid() * gates[..., 2 * m : 3 * m].tanh()
            return concat([gates[..., 3 * m :].sigmoid() * memory.tanh(), memory])

        return step

    def jacobian(self, p: Params, z: Tensor, s: Tensor | None = None) -> Tensor:
        """Blocks: dc' / dh and dc' / dc by the product rule, dh' through tanh(c') and the output gate."""
        m, w = self.latent, p["W"]
        gates = z[..., :m] @ w.mT + shifted(p["b"], s)
        i, f, o = gates[..., :m].sigmoid(), gates[..., m : 2 * m].sigmoid(), gates[..., 3 * m :].sigmoid()
        g, before = gates[..., 2 * m : 3 * m].tanh(), z[..., m:]
        seen = (f * before + i * g).tanh()
        memory_h = (
            (i * (1 - i) * g)[..., None] * w[:m]
            + (f * (1 - f) * before)[..., None] * w[m : 2 * m]
            + (i * (1 - g * g))[..., None] * w[2 * m : 3 * m]
        )
        through = o * (1 - seen * seen)
        out_h = (o * (1 - o) * seen)[..., None] * w[3 * m :] + through[..., None] * memory_h
        top = concat([out_h, (through * f).diag_embed()])
        bottom = concat([memory_h, f.diag_embed()])
        return concat([top.mT, bottom.mT]).mT
