"""Sparse teacher forcing."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from chaos_core.forcing.base import IntervalForcing
from chaos_core.typing import Floats

__all__ = ["Sparse"]


class Sparse(IntervalForcing, frozen=True):
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

    def alpha(self, steps: int, latent: int, observed: int, progress: float, rng: np.random.Generator) -> Floats:
        """Ones on every tau-th row, all columns."""
        del observed, rng
        mask = np.zeros((steps, latent))
        mask[:: self.interval(progress)] = 1.0
        return mask

    @property
    def whole_state(self) -> bool:
        """True: a forced row forgets all of the state."""
        return True
