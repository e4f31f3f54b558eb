"""Restart from zero: the control that sparse forcing has to beat."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np

from chaos_core.forcing.base import (
    ANNEAL_SHARE,
    AnnealFrom,
    AnnealShare,
    Forcing,
    Tau,
    annealed,
    every,
    fill_interval,
)
from chaos_core.typing import Floats

__all__ = ["Windowed"]


class Windowed(Forcing, frozen=True):
    """Sets the whole state to zero every `tau` steps, and at the start: short windows without any data in the state.

    The product of Jacobians is cut as by sparse forcing, but the cell must find the state again from nothing, which an
    autonomous one cannot. It shows that the data in the state, and not the cut, make sparse forcing work.

    Source: Mikhaeil, Monfared, Durstewitz (2022), NeurIPS, arXiv:2110.07238 (their control "windowing").
    Differs: their code sets the state to zero at a window's start and forces it to the data within; here it is zero
        each time, as the paper describes it.
    """

    citation: ClassVar[str] = (
        "Mikhaeil, Monfared, Durstewitz (2022), On the difficulty of learning chaotic dynamics with RNNs, "
        "arXiv:2110.07238"
    )
    target: ClassVar[Literal["data", "zero"]] = "zero"

    kind: Literal["windowed"] = "windowed"
    tau: Tau
    anneal_from: AnnealFrom = None
    anneal_share: AnnealShare = ANNEAL_SHARE

    def own_mask(self, steps: int, latent: int, observed: int, progress: float, rng: np.random.Generator) -> Floats:
        """Ones on every tau-th row, all columns."""
        del observed, rng
        return every(self.interval(progress), steps, latent, latent)

    @property
    def replaces_all(self) -> bool:
        """True: a restart forgets all of the state."""
        return True

    def interval(self, progress: float) -> int:
        """tau(progress), see `annealed`."""
        return annealed(self.tau, self.anneal_from, self.anneal_share, progress)

    @classmethod
    def fill(cls, partial: dict[str, Any], *, tau: int) -> Self:
        """tau as suggested and annealed from 2; a tau that the client gave stays fixed, see `fill_interval`."""
        return cls(**fill_interval(partial, tau))
