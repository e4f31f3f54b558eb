"""Linear read-outs by ridge regression, and the choice of a setting on the end of the training data.

Source: A. E. Hoerl, R. W. Kennard (1970), Ridge regression, doi:10.1080/00401706.1970.10488634; the solver is
    scikit-learn's (singular values, so that nearly equal features do not spoil it).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from chaos_core.baselines.base import StateForecaster
from chaos_core.typing import Floats

__all__ = ["MOST_NUMBERS", "RIDGES", "Readout", "latest", "ridge_readouts", "searched"]

RIDGES = (1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1e-1)
"""Penalties that are tried: from next to none, for clean recordings, to a tenth of a feature's variance, for noisy."""

MOST_NUMBERS = 6_000_000
"""Entries of a feature matrix that is solved at once: 20 000 rows of 300 features, 50 MB and about a second."""

HELD_SHARE = 0.2
HELD_ROWS = 40
MOST_HELD_ROWS = 3000
SEARCH_ROWS = 6000
SEARCH_STEPS = 100
LONG_STEPS = 500
SEARCH_STARTS = 16
FINALISTS = 5
FLAT_MARGIN = 1e-6
"""The box of a constant channel, over its value."""

S = TypeVar("S")


@dataclass(frozen=True, eq=False)
class Readout:
    """y = features @ weights + bias, with weights (F, N) and bias (N,)."""

    weights: Floats
    bias: Floats

    def __call__(self, features: Floats) -> Floats:
        """(B, F) -> (B, N)."""
        y: Floats = features @ self.weights + self.bias
        return y


def ridge_readouts(features: Floats, targets: Floats, ridges: Sequence[float]) -> list[Readout]:
    """Minimises mean over rows of |targets - features W - b|^2 + ridge |W|^2, for several ridges by one decomposition.

    Args:
        features: (R, F).
        targets: (R, N).
        ridges: penalties per row, so that their meaning does not depend on the length of the data.

    Returns:
        One read-out for each ridge, in their order; the bias is not penalised.
    """
    from sklearn.linear_model import Ridge

    rows, channels = targets.shape
    penalties = np.repeat(np.asarray(ridges, np.float64) * rows, channels)
    solved = Ridge(alpha=penalties, solver="svd").fit(features, np.tile(targets, (1, len(ridges))))
    weights = np.asarray(solved.coef_, np.float64).reshape(len(ridges), channels, -1)
    biases = np.asarray(solved.intercept_, np.float64).reshape(len(ridges), channels)
    return [Readout(w.T, b) for w, b in zip(weights, biases, strict=True)]


def latest(pieces: Sequence[Floats], rows: int) -> list[Floats]:
    """The last so many rows of all pieces together, still cut where they were."""
    left, kept = rows, []
    for piece in reversed(pieces):
        if left > 0:
            kept.append(piece[-left:])
            left -= len(kept[-1])
    return kept[::-1]


def searched(
    pieces: Sequence[Floats],
    settings: Sequence[S],
    make: Callable[[Sequence[Floats], Sequence[S]], Sequence[StateForecaster]],
    fallback: S,
    context_rows: int,
) -> StateForecaster:
    """The forecaster with the setting that forecasts the end of the training data best, fitted to all of it.

    The last fifth of the longest piece is held out; the last 6000 of the other rows are fitted with each setting. From
    16 of the last 3000 held-out rows runs of 100 steps are made. What counts is their squared error in units of the
    variance, at most 1 (no better than the mean), averaged, plus the share of runs that leave the box of the held-out
    rows by more than its width. The best five then run for 500 steps, and those that stay in the box win. The bound
    neither rewards a run that dies on the mean nor punishes one that lives on when all forecasts have failed.

    Args:
        pieces: (T_i, N) training data; those without a single pair of a state and its successor are left out first,
            so that late fragments do not crowd out what can be learnt from.
        settings: to choose from; where there is only one, nothing is tried.
        make: fits all given settings on given pieces.
        fallback: taken where the longest piece is shorter than 5 (context_rows + 40) rows, too short to hold out.
        context_rows: the most that a forecaster of `make` wants.
    """
    pieces = [piece for piece in pieces if len(piece) > context_rows + 1] or pieces
    longest = max(range(len(pieces)), key=lambda index: len(pieces[index]))
    rows = len(pieces[longest])
    if len(settings) == 1 or rows * HELD_SHARE < context_rows + HELD_ROWS:
        return make(pieces, settings if len(settings) == 1 else [fallback])[0]
    cut = round(rows * (1 - HELD_SHARE))
    head = [piece[:cut] if index == longest else piece for index, piece in enumerate(pieces)]
    held = pieces[longest][cut:][-MOST_HELD_ROWS:]
    candidates = make(latest(head, SEARCH_ROWS), settings)
    return make(pieces, [settings[_best(candidates, held)]])[0]


def _best(candidates: Sequence[StateForecaster], held: Floats) -> int:
    """The place of the best; forecasters with one and the same `states` share what it finds along the held-out rows."""
    states: dict[Callable[[Floats], Floats], Floats] = {}
    for candidate in candidates:
        if candidate.states not in states:
            states[candidate.states] = candidate.states(held)
    short = [_error(candidate, states[candidate.states], held, SEARCH_STEPS) for candidate in candidates]
    finalists = np.argsort(short, kind="stable")[:FINALISTS]
    long = [_error(candidates[i], states[candidates[i].states], held, LONG_STEPS) for i in finalists]
    return int(finalists[int(np.argmin(long))])


def _error(forecaster: StateForecaster, states: Floats, held: Floats, steps: int) -> float:
    steps = min(steps, len(states) // 2)
    starts = np.unique(np.linspace(0, len(states) - steps - 1, SEARCH_STARTS).astype(np.int64))
    runs = forecaster.free_runs(states[starts], steps)
    ahead = min(SEARCH_STEPS, steps)
    truth = held[starts[:, None] + forecaster.context_rows + np.arange(ahead)]
    variance, low, high = held.var(axis=0), held.min(axis=0), held.max(axis=0)
    margin = np.maximum(high - low, FLAT_MARGIN * np.maximum(1.0, np.abs(high)))
    with np.errstate(all="ignore"):
        error = ((runs[:, :ahead] - truth) ** 2 / np.where(variance > 0, variance, 1.0)).mean(axis=2)
        staying = ((runs >= low - margin) & (runs <= high + margin)).all(axis=(1, 2))
    return float(np.where(np.isfinite(error), np.minimum(error, 1.0), 1.0).mean() + 1 - staying.mean())
