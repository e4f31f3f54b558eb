"""Almost-linear recurrent network."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from chaos_core.arrays import concat, shifted
from chaos_core.auto import chosen
from chaos_core.cells.base import MOST_UNITS, Cell
from chaos_core.typing import Map, NumpyParams, Param, Params, Tensor

__all__ = ["ALRNN"]

USUAL_LATENT = 20
USUAL_RECTIFIED = 2
START_WIDTH = 0.01


class ALRNN(Cell, frozen=True):
    """z' = A z + W [z_1, ..., z_{M-P}, max(0, z_{M-P+1}), ..., max(0, z_M)] + h: A (M), W (M, M) full, h (M).

    Only the last P units are rectified, so state space has at most 2^P linear regions, which can be read as symbols.
    Orbits can run away: nothing bounds this map.

    Source: Brenner, Hemmer, Monfared, Durstewitz (2024), Almost-linear RNNs yield highly interpretable symbolic codes
        in dynamical systems reconstruction, NeurIPS, arXiv:2410.14240.
    """

    equation: ClassVar[str] = "z' = A * z + W @ [z[:M-P], relu(z[M-P:])] + h; P = rectified"
    citation: ClassVar[str] = (
        "Brenner, Hemmer, Monfared, Durstewitz (2024), Almost-linear RNNs yield highly interpretable symbolic codes in "
        "dynamical systems reconstruction, arXiv:2410.14240"
    )

    kind: Literal["alrnn"] = "alrnn"
    rectified: int = Field(ge=0, le=MOST_UNITS, description="P, the number of rectified units, the last of the latent.")

    @model_validator(mode="after")
    def _enough_units(self) -> Self:
        if self.rectified > self.latent:
            raise ValueError(f"{self.rectified} of {self.latent} latent units cannot be rectified")
        return self

    def weights(self) -> dict[str, Param]:
        """A of Talathi and Vartak, W normal with standard deviation 0.01, h zero: the source's start values."""
        m = self.latent
        return {
            "A": Param((m,), "talathi_vartak"),
            "W": Param((m, m), "normal", START_WIDTH),
            "h": Param((m,), "zeros"),
        }

    def slope_bound(self, p: NumpyParams) -> float:
        """max |A| + |W|."""
        return float(np.abs(p["A"]).max() + np.linalg.norm(np.asarray(p["W"], np.float64), ord=2))

    def bind(self, p: Params) -> Map:
        """z -> A z + W [z linear, z rectified] + h."""
        a, w, h, linear = p["A"], p["W"].mT, p["h"], self.latent - self.rectified

        def step(z: Tensor, s: Tensor | None = None, /) -> Tensor:
            return a * z + concat([z[..., :linear], z[..., linear:].relu()]) @ w + shifted(h, s)

        return step

    def jacobian(self, p: Params, z: Tensor, s: Tensor | None = None) -> Tensor:
        """diag(A) + W diag(1, ..., 1, [z > 0])."""
        del s
        linear = self.latent - self.rectified
        on = concat([z[..., :linear] * 0 + 1, (z[..., linear:] > 0).to(z.dtype)])
        return p["A"].diag_embed() + p["W"] * on[..., None, :]

    @classmethod
    def fill(cls, partial: dict[str, Any], *, observed: int, embedded: bool) -> Self:
        """20 units, 2 of them rectified (Lorenz-63 of the source); more channels than that get twice as many units."""
        del embedded
        latent = USUAL_LATENT if observed <= USUAL_LATENT // 2 else 2 * observed
        return cls(**({"latent": latent, "rectified": USUAL_RECTIFIED} | chosen(partial)))
