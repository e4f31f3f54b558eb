"""Sparse teacher forcing."""

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

__all__ = ["Sparse"]


class Sparse(Forcing, frozen=True):
    """Replaces the whole state by the inferred one every `tau` steps and lets it run freely between.

    alpha_t = 1 for t = 0, tau, 2 tau, ..., else 0. With tau near ln 2 / lambda_max gradients stay bounded on chaotic
    data although the loss sees the model's own motion.

    Source: Mikhaeil, Monfared, Durstewitz (2022), On the difficulty of learning chaotic dynamics with RNNs, NeurIPS,
        arXiv:2110.07238.
    """

    citation: ClassVar[str] = (
        "Mikhaeil, Monfared, Durstewitz (2022), On the difficulty of learning chaotic dynamics with RNNs, "
        "arXiv:2110.07238"
    )

    kind: Literal["sparse"] = "sparse"
    tau: Tau
    anneal_from: AnnealFrom = None
    anneal_share: AnnealShare = ANNEAL_SHARE
    jitter: Jitter = 0

    def own_mask(self, steps: int, latent: int, observed: int, progress: float, rng: np.random.Generator) -> Floats:
        """Ones on every tau-th row, all columns."""
        del observed
        return every(drawn(self.interval(progress), self.jitter, rng), steps, latent, latent)

    @property
    def replaces_all(self) -> bool:
        """True: a forced row forgets all of the state."""
        return True

    def interval(self, progress: float) -> int:
        """tau(progress), see `annealed`."""
        return annealed(self.tau, self.anneal_from, self.anneal_share, progress)

    @classmethod
    def fill(cls, partial: dict[str, Any], *, tau: int) -> Self:
        """tau as suggested and annealed from 2; a tau that the client gave stays fixed, see `fill_interval`."""
        return cls(**fill_interval(partial, tau))
