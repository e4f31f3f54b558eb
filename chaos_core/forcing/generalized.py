"""Generalized teacher forcing with a constant strength."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from chaos_core.auto import chosen
from chaos_core.forcing.base import Forcing
from chaos_core.typing import Floats

__all__ = ["Generalized"]

USUAL_ALPHA = 0.15


class Generalized(Forcing, frozen=True):
    """Pulls the state a little towards the data at each step: alpha_t is the same everywhere.

    The product of Jacobians in the gradient becomes prod (1 - alpha) J_t, which stays bounded once alpha is large
    enough for the system at hand. alpha = 0 is no forcing, alpha = 1 one-step prediction.

    Source: Hess, Monfared, Brenner, Durstewitz (2023), Generalized teacher forcing for learning chaotic dynamics,
        ICML, arXiv:2306.04406; weak forcing by Doya (1992), ISCAS.
    """

    citation: ClassVar[str] = (
        "Hess, Monfared, Brenner, Durstewitz (2023), Generalized teacher forcing for learning chaotic dynamics, "
        "arXiv:2306.04406"
    )

    kind: Literal["generalized"] = "generalized"
    alpha: float = Field(ge=0.0, le=1.0, description="Share of the data in the state.")

    def own_mask(self, steps: int, latent: int, observed: int, progress: float, rng: np.random.Generator) -> Floats:
        """The constant."""
        del observed, progress, rng
        return np.full((steps, latent), self.alpha)

    @property
    def replaces_all(self) -> bool:
        """True at the two ends only, alpha = 0 and alpha = 1."""
        return self.alpha in (0.0, 1.0)

    def interval(self, progress: float) -> None:
        """None: every step is forced."""
        del progress

    @classmethod
    def fill(cls, partial: dict[str, Any], *, tau: int) -> Self:
        """alpha = 0.15: between the best values for clean (0.1) and noisy (0.2) data in our runs on Lorenz."""
        del tau
        return cls(**({"alpha": USUAL_ALPHA} | chosen(partial)))
