"""No forcing."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np

from chaos_core.auto import chosen
from chaos_core.forcing.base import Forcing
from chaos_core.typing import Floats

__all__ = ["NoForcing"]


class NoForcing(Forcing, frozen=True):
    """The window starts on the data and then runs freely: plain back-propagation through time.

    On chaotic data its gradients grow like exp(lambda_max t); it is there to compare with.

    Source: Rumelhart, Hinton, Williams (1986), Learning representations by back-propagating errors,
        doi:10.1038/323533a0.
    """

    citation: ClassVar[str] = (
        "Rumelhart, Hinton, Williams (1986), Learning representations by back-propagating errors, doi:10.1038/323533a0"
    )

    kind: Literal["none"] = "none"

    def own_mask(self, steps: int, latent: int, observed: int, progress: float, rng: np.random.Generator) -> Floats:
        """Zeros."""
        del observed, progress, rng
        return np.zeros((steps, latent))

    @property
    def replaces_all(self) -> bool:
        """True: there is one piece, the window."""
        return True

    def interval(self, progress: float) -> None:
        """None: nothing is forced."""
        del progress

    @classmethod
    def fill(cls, partial: dict[str, Any], *, tau: int) -> Self:
        """There is nothing to fill."""
        del tau
        return cls(**chosen(partial))
