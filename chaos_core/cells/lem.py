"""Long expressive memory."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos_core.arrays import concat, shifted
from chaos_core.cells.base import Cell
from chaos_core.typing import Map, NumpyParams, Param, Params, Tensor

__all__ = ["LEM"]


class LEM(Cell, frozen=True):
    """Two coupled gated equations with learned time steps; the state is [y, v], 2 M numbers, of which y is read out.

    p, q = dt sigma(W_p y + b_p), dt sigma(W_q y + b_q); v' = (1 - p) v + p tanh(W_v y + b_v);
    y' = (1 - q) y + q tanh(W_y v' + b_y). W (4 M, M) and b (4 M) hold the rows of p, q, v, y. With dt <= 1 every orbit
    ends in [-1, 1].

    Source: Rusch, Mishra, Erichson, Mahoney (2022), Long expressive memory for sequence modeling, ICLR,
        arXiv:2110.04744, equation 3.
    Differs: their z is called v here, since z is the whole state.
    """

    equation: ClassVar[str] = (
        "z' = [y', v']; p, q = dt * sigmoid(W[:2M] @ y + b[:2M]); "
        "v' = (1 - p) * v + p * tanh(W[2M:3M] @ y + b[2M:3M]); y' = (1 - q) * y + q * tanh(W[3M:] @ v' + b[3M:])"
    )
    bias: ClassVar[str] = "b"
    citation: ClassVar[str] = (
        "Rusch, Mishra, Erichson, Mahoney (2022), Long expressive memory for sequence modeling, arXiv:2110.04744"
    )

    kind: Literal["lem"] = "lem"
    dt: float = Field(1.0, gt=0.0, le=1.0, description="Largest time step of the two equations; 1 in the source.")

    @property
    def state_size(self) -> int:
        """2 M: [y, v]."""
        return 2 * self.latent

    @property
    def drive_width(self) -> int:
        """4 M: inputs enter both time steps and both candidates."""
        return 4 * self.latent

    def weights(self) -> dict[str, Param]:
        """W and b uniform in +-1/sqrt(M), the start values of the authors' code."""
        m, width = self.latent, self.latent**-0.5
        return {"W": Param((4 * m, m), "uniform", width), "b": Param((4 * m,), "uniform", width)}

    def bound(self, p: NumpyParams) -> float:
        """1: each unit moves towards a hyperbolic tangent."""
        del p
        return 1.0

    def bind(self, p: Params) -> Map:
        """[y, v] -> [y', v']."""
        m, w, last, b = self.latent, p["W"][: 3 * self.latent].mT, p["W"][3 * self.latent :].mT, p["b"]

        def step(z: Tensor, s: Tensor | None = None, /) -> Tensor:
            y, v, bias = z[..., :m], z[..., m:], shifted(b, s)
            inside = y @ w + bias[..., : 3 * m]
            steps = self.dt * inside[..., : 2 * m].sigmoid()
            v = v + steps[..., :m] * (inside[..., 2 * m :].tanh() - v)
            return concat([y + steps[..., m:] * ((v @ last + bias[..., 3 * m :]).tanh() - y), v])

        return step

    def jacobian(self, p: Params, z: Tensor, s: Tensor | None = None) -> Tensor:
        """Blocks by the chain rule; y' depends on v through v'."""
        m, w, bias = self.latent, p["W"], shifted(p["b"], s)
        y, v = z[..., :m], z[..., m:]
        inside = y @ w[: 3 * m].mT + bias[..., : 3 * m]
        gates, n = inside[..., : 2 * m].sigmoid(), inside[..., 2 * m :].tanh()
        a, b = gates[..., :m], gates[..., m:]
        after = v + self.dt * a * (n - v)
        k = (after @ w[3 * m :].mT + bias[..., 3 * m :]).tanh()
        v_y = (self.dt * a * (1 - a) * (n - v))[..., None] * w[:m]
        v_y = v_y + (self.dt * a * (1 - n * n))[..., None] * w[2 * m : 3 * m]
        v_v = 1 - self.dt * a
        y_after = (self.dt * b * (1 - k * k))[..., None] * w[3 * m :]
        y_y = (1 - self.dt * b).diag_embed() + (self.dt * b * (1 - b) * (k - y))[..., None] * w[m : 2 * m]
        top = concat([y_y + y_after @ v_y, y_after * v_v[..., None, :]])
        bottom = concat([v_y, v_v.diag_embed()])
        return concat([top.mT, bottom.mT]).mT
