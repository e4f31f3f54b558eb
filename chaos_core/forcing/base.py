"""What a forcing scheme is: a mask that says how much of the data enters the state at each step of training.

All schemes are one recurrence, z~_t = (1 - alpha_t) z_t + alpha_t d_t, z_{t+1} = F(z~_t), with d_t the state inferred
from x_t (`chaos_core.scan`). They differ in alpha (T, M) alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
from pydantic import BaseModel, Field, NonNegativeInt, PositiveInt

from chaos_core.auto import chosen
from chaos_core.cells.base import Cell
from chaos_core.errors import Inconsistent
from chaos_core.typing import Floats

__all__ = [
    "ANNEAL_SHARE",
    "AnnealFrom",
    "AnnealShare",
    "Forcing",
    "Jitter",
    "Slopes",
    "Tau",
    "annealed",
    "drawn",
    "every",
    "fill_interval",
]

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
Jitter: TypeAlias = Annotated[
    NonNegativeInt, Field(description="Each batch draws its interval evenly from tau - jitter to tau + jitter.")
]


@dataclass(frozen=True)
class Slopes:
    """What a scheme may look at after a batch; both are computed only when called.

    Args:
        jacobians: gives the cell's Jacobians (B, T, M, M) at the states inferred from the batch.
        bound: gives a number that no Jacobian's 2-norm exceeds at any state.
    """

    jacobians: Callable[[], Floats]
    bound: Callable[[], float]


class Forcing(BaseModel, ABC, frozen=True, extra="forbid"):
    """Abstract: a schedule of masks alpha (T, M) in [0, 1]. A final class adds `kind` and its settings."""

    citation: ClassVar[str]
    target: ClassVar[Literal["data", "zero"]] = "data"
    """What a forced state becomes: the one inferred from the data, or zero."""

    units: tuple[NonNegativeInt, ...] | None = Field(
        None, description="Latent units that are forced, counted from 0; null: as the scheme says."
    )

    def check(self, cell: Cell) -> None:
        """Raises Inconsistent where the scheme cannot force this cell; made to be asked before a training."""
        beyond = [unit for unit in self.units or () if unit >= cell.state_size]
        if beyond:
            detail = f"unit {beyond[0]} cannot be forced: the state has the units 0 to {cell.state_size - 1}"
            raise Inconsistent(detail, units=beyond)

    @abstractmethod
    def own_mask(self, steps: int, latent: int, observed: int, progress: float, rng: np.random.Generator) -> Floats:
        """The scheme's own mask of one training window; arguments as for `mask`. Row 0 may hold anything."""

    def mask(self, steps: int, latent: int, observed: int, progress: float, rng: np.random.Generator) -> Floats:
        """The mask of one training window, left alone outside `units`.

        Args:
            steps: T, the number of steps in the window.
            latent: M, the numbers in the state.
            observed: N, the number of observed channels.
            progress: updates done / updates planned, in [0, 1).
            rng: randomness of schemes that draw.

        Returns:
            (T, M) float64; row t is applied before step t. Row 0 is all ones: a window starts on the data.
        """
        alpha = self.own_mask(steps, latent, observed, progress, rng)
        if self.units is not None:
            others = np.setdiff1d(np.arange(latent), self.units)
            alpha[:, others] = 0.0
        alpha[0] = 1.0
        return alpha

    @property
    def whole_state(self) -> bool:
        """True if each row is all zeros or all ones, so that the pieces between forced rows are independent."""
        return self.units is None and self.replaces_all

    @property
    @abstractmethod
    def replaces_all(self) -> bool:
        """`whole_state` of the scheme's own mask."""

    def after_batch(self, update: int, slopes: Slopes) -> Self:
        """The scheme for the next batch; itself unless it adapts to the cell.

        Args:
            update: updates done.
            slopes: of the cell as it is now, on the batch just seen.
        """
        del update, slopes
        return self

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


def every(interval: int, steps: int, columns: int, latent: int) -> Floats:
    """Ones in the first columns of every interval-th row of a (T, M) mask, zeros elsewhere."""
    alpha = np.zeros((steps, latent))
    alpha[::interval, :columns] = 1.0
    return alpha


def drawn(interval: int, jitter: int, rng: np.random.Generator) -> int:
    """An interval drawn evenly from interval - jitter to interval + jitter, at least 1; no draw without jitter.

    Jitter of 10 around 30 steps gave the best attractors of the PLRNN in the notebook of Mikhaeil et al. (2022).
    """
    if not jitter:
        return interval
    return int(rng.integers(max(1, interval - jitter), interval + jitter, endpoint=True))


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
