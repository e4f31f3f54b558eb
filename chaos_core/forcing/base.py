"""What a forcing scheme is: a mask that says how much of the data enters the state at each step of training.

All schemes are one recurrence, z~_t = (1 - alpha_t) z_t + alpha_t d_t, z_{t+1} = F(z~_t), with d_t the state inferred
from x_t (`chaos_core.scan`). They differ in alpha (T, M) alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, Self, TypeAlias

import numpy as np
from pydantic import BaseModel, Field, PositiveInt

from chaos_core.auto import chosen
from chaos_core.typing import Floats

__all__ = ["ANNEAL_SHARE", "AnnealFrom", "AnnealShare", "Forcing", "Tau", "annealed", "fill_interval"]

ANNEAL_START = 2
ANNEAL_SHARE = 0.6

Tau: TypeAlias = Annotated[PositiveInt, Field(description="Steps between forced states.")]
AnnealFrom: TypeAlias = Annotated[
    PositiveInt | None,
    Field(description="Interval at the first update, growing to tau; null keeps tau fixed."),
]
AnnealShare: TypeAlias = Annotated[
    float, Field(gt=0.0, le=1.0, description="Share of the updates over which the interval grows.")
]


class Forcing(BaseModel, ABC, frozen=True, extra="forbid"):
    """Abstract: a schedule of masks alpha (T, M) in [0, 1]. A final class adds `kind` and its settings."""

    citation: ClassVar[str]

    @abstractmethod
    def mask(self, steps: int, latent: int, observed: int, progress: float, rng: np.random.Generator) -> Floats:
        """The mask of one training window.

        Args:
            steps: T, the number of steps in the window.
            latent: M, the number of latent units.
            observed: N, the number of observed channels.
            progress: updates done / updates planned, in [0, 1).
            rng: randomness of schemes that draw; none of the present ones does.

        Returns:
            (T, M) float64; row t is applied before step t. Row 0 is all ones: a window starts on the data.
        """

    @property
    @abstractmethod
    def whole_state(self) -> bool:
        """True if each row is all zeros or all ones, so that the pieces between forced rows are independent."""

    @abstractmethod
    def interval(self, progress: float) -> int | None:
        """tau at this point of the training, None for schemes without an interval; for logs."""

    @classmethod
    @abstractmethod
    def fill(cls, partial: dict[str, Any], *, tau: int) -> Self:
        """The settings with a value for each field that is absent or "auto"; what the client gave always wins.

        Args:
            partial: the client's words.
            tau: the planner's suggestion for the interval, in steps.
        """


def annealed(tau: int, anneal_from: int | None, anneal_share: float, progress: float) -> int:
    """The interval at a point of the training.

    tau(s) = round(anneal_from + (tau - anneal_from) min(1, s / anneal_share)) at progress s; without `anneal_from`
    it is tau from the first update on.

    Growing from 2 to a third of ln 2 / lambda_max over 60 % of the run was the best of all schedules that we tried on
    42 chaotic flows: short intervals teach the one-step map quickly, long ones the attractor, and a long interval
    from the start often never gets going.

    Args:
        tau: interval at the end, steps.
        anneal_from: interval at the first update, steps, or None.
        anneal_share: share of the updates over which it grows.
        progress: updates done / updates planned.

    Returns:
        The interval in steps, at least 1.
    """
    if anneal_from is None:
        return tau
    grown = min(1.0, progress / anneal_share)
    return round(anneal_from + (tau - anneal_from) * grown)


def fill_interval(partial: dict[str, Any], tau: int) -> dict[str, Any]:
    """The client's words, completed with `tau` and, only where tau was not his, with annealing from 2.

    Somebody who names an interval wants that interval. A suggested tau of 1 or 2 leaves nothing to anneal.
    """
    words = chosen(partial)
    if "tau" in words:
        return words
    return {"tau": tau, "anneal_from": ANNEAL_START if tau > ANNEAL_START else None} | words
