"""Identity teacher forcing."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np

from chaos_core.forcing.base import (
    ANNEAL_SHARE,
    AnnealFrom,
    AnnealShare,
    Forcing,
    Jitter,
    Tau,
    annealed,
    drawn,
    every,
    fill_interval,
)
from chaos_core.typing import Floats

__all__ = ["Identity"]


class Identity(Forcing, frozen=True):
    """Replaces the first N units by the data every `tau` steps; the other M - N units run freely.

    alpha_t = 1 in the first N columns for t = 0, tau, 2 tau, ..., else 0. Meant for the identity observation with
    hidden units (M > N): what they remember is carried across forced steps.

    Source: Brenner, Hess, Mikhaeil, Bereska, Monfared, Kuo, Durstewitz (2022), Tractable dendritic RNNs for
        reconstructing nonlinear dynamical systems, ICML, arXiv:2207.02542.
    """

    citation: ClassVar[str] = (
        "Brenner, Hess, Mikhaeil, Bereska, Monfared, Kuo, Durstewitz (2022), Tractable dendritic RNNs for "
        "reconstructing nonlinear dynamical systems, arXiv:2207.02542"
    )

    kind: Literal["identity"] = "identity"
    tau: Tau
    anneal_from: AnnealFrom = None
    anneal_share: AnnealShare = ANNEAL_SHARE
    jitter: Jitter = 0

    def own_mask(self, steps: int, latent: int, observed: int, progress: float, rng: np.random.Generator) -> Floats:
        """Ones on every tau-th row in the first N columns."""
        return every(drawn(self.interval(progress), self.jitter, rng), steps, observed, latent)

    @property
    def replaces_all(self) -> bool:
        """False: hidden units carry their state across forced rows."""
        return False

    def interval(self, progress: float) -> int:
        """tau(progress), see `annealed`."""
        return annealed(self.tau, self.anneal_from, self.anneal_share, progress)

    @classmethod
    def fill(cls, partial: dict[str, Any], *, tau: int) -> Self:
        """tau as suggested and annealed from 2; a tau that the client gave stays fixed, see `fill_interval`."""
        return cls(**fill_interval(partial, tau))
