"""Gated recurrent unit."""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos_core.arrays import shifted
from chaos_core.cells.base import Cell
from chaos_core.typing import Map, NumpyParams, Param, Params, Tensor

__all__ = ["GRU"]


class GRU(Cell, frozen=True):
    """r, q = sigma(W_r z + b_r), sigma(W_q z + b_q); n = tanh(b_n + r (W_n z + c)); z' = (1 - q) n + q z.

    W (3 M, M) and b (3 M) hold the rows of r, q, n; c (M). Every orbit ends in [-1, 1], since z' lies between n and z.

    Source: Cho et al. (2014), Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078.
    Differs: the reset gate acts on W_n z + c, after the product, as in torch.nn.GRU; of the two biases that torch adds
        to r and q one is kept.
    """

    equation: ClassVar[str] = (
        "z' = (1 - q) * n + q * z; r, q = sigmoid(W[:2M] @ z + b[:2M]); n = tanh(b[2M:] + r * (W[2M:] @ z + c))"
    )
    bias: ClassVar[str] = "b"
    citation: ClassVar[str] = (
        "Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk, Bengio (2014), Learning phrase representations "
        "using RNN encoder-decoder for statistical machine translation, arXiv:1406.1078"
    )

    kind: Literal["gru"] = "gru"

    @property
    def drive_width(self) -> int:
        """3 M: inputs enter both gates and the candidate."""
        return 3 * self.latent

    def weights(self) -> dict[str, Param]:
        """All uniform in +-1/sqrt(M), the start values of torch.nn.GRU."""
        m, width = self.latent, self.latent**-0.5
        return {
            "W": Param((3 * m, m), "uniform", width),
            "b": Param((3 * m,), "uniform", width),
            "c": Param((m,), "uniform", width),
        }

    def bound(self, p: NumpyParams) -> float:
        """1: each unit moves towards a hyperbolic tangent."""
        del p
        return 1.0

    def bind(self, p: Params) -> Map:
        """z -> (1 - q) n + q z."""
        m, w, b, c = self.latent, p["W"].mT, p["b"], p["c"]

        def step(z: Tensor, s: Tensor | None = None, /) -> Tensor:
            inside, outside = z @ w, shifted(b, s)
            gates = (inside[..., : 2 * m] + outside[..., : 2 * m]).sigmoid()
            candidate = (outside[..., 2 * m :] + gates[..., :m] * (inside[..., 2 * m :] + c)).tanh()
            return candidate + gates[..., m:] * (z - candidate)

        return step

    def jacobian(self, p: Params, z: Tensor, s: Tensor | None = None) -> Tensor:
        """diag(q) + diag((z - n) q (1 - q)) W_q + diag((1 - q)(1 - n^2)) (diag(r) W_n + diag(v r (1 - r)) W_r)."""
        m, w = self.latent, p["W"]
        inside, outside = z @ w.mT, shifted(p["b"], s)
        gates = (inside[..., : 2 * m] + outside[..., : 2 * m]).sigmoid()
        r, q, v = gates[..., :m], gates[..., m:], inside[..., 2 * m :] + p["c"]
        n = (outside[..., 2 * m :] + r * v).tanh()
        candidate = r[..., None] * w[2 * m :] + (v * r * (1 - r))[..., None] * w[:m]
        through = ((1 - q) * (1 - n * n))[..., None] * candidate
        return q.diag_embed() + ((z - n) * q * (1 - q))[..., None] * w[m : 2 * m] + through
