"""The configurations: cell, observation and forcing as in the peers' papers; data, start values, counted work."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from chaos_core.cells import Cell
from chaos_core.cells.dendplrnn import DendPLRNN
from chaos_core.cells.lstm import LSTM
from chaos_core.cells.plrnn import PLRNN
from chaos_core.cells.rnn import RNN
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.forcing import Forcing
from chaos_core.forcing.generalized import Generalized
from chaos_core.forcing.sparse import Sparse
from chaos_core.initialise import draw
from chaos_core.observation import IdentityObservation, LinearObservation, Observation
from chaos_core.systems import lorenz63
from chaos_core.typing import Floats, Ints

__all__ = ["BATCH", "CASES", "CLIPPED", "RATE", "STEPS", "Case", "series"]

BATCH, STEPS = 16, 200
TAU, STRENGTH = 15, 0.1
RATE = 1e-5
"""So small that a cell after ten thousand updates is the one that was drawn: neither diverged nor dead."""
ROWS = 5000
LORENZ_CHANNELS = 3
WAVES, LONGEST_WAVE, SHORTEST_WAVE = 8, 400.0, 40.0
FORWARD_AND_BACKWARD = 3
"""The forward run, the gradient of the states, that of the weights: each takes the same multiply-adds."""


@dataclass(frozen=True)
class Case:
    """One training that peers and we can do.

    Args:
        name: as on the command line.
        cell, observation, forcing: its parts.
        observed: N, channels.
    """

    name: str
    cell: Cell
    observation: Observation
    forcing: Forcing
    observed: int

    @property
    def x(self) -> Floats:
        """(rows, N) standardised data."""
        return series(self.observed)

    def params(self, seed: int = 0) -> dict[str, npt.NDArray[Any]]:
        """Start values by name, float32."""
        shapes = self.cell.parameters() | self.observation.parameters(self.cell.latent, self.observed)
        extent = float(self.x.min()), float(self.x.max())
        drawn = draw(shapes, np.random.default_rng(seed), extent)
        return {name: value.astype(np.float32) for name, value in drawn.items()}

    def alpha(self, steps: int = STEPS) -> Floats:
        """(T, M) mask of a window."""
        return self.forcing.mask(steps, self.cell.state_size, self.observed, 0.0, np.random.default_rng(0))

    def starts(self, count: int, steps: int = STEPS, seed: int = 1) -> Ints:
        """(count, B) first rows of windows of `steps` + 1 rows."""
        return np.random.default_rng(seed).integers(0, len(self.x) - steps, (count, BATCH))

    def flops(self, steps: int = STEPS) -> float:
        """Of one training step: 2 per multiply-add of all matrix products, forward and backward."""
        read_out = 0 if isinstance(self.observation, IdentityObservation) else self.observed * self.cell.latent
        return 2.0 * FORWARD_AND_BACKWARD * (multiply_adds(self.cell) + read_out) * BATCH * steps


def multiply_adds(cell: Cell) -> int:
    """Of the matrix products in one step of one state; what is done unit by unit is not counted."""
    m = cell.latent
    match cell:
        case PLRNN() | RNN():
            return m * m
        case DendPLRNN():
            return m * m + m * cell.bases
        case LSTM():
            return 4 * m * m
        case ClippedShPLRNN():
            return 2 * m * cell.hidden
    raise TypeError(f"the work of {type(cell).__name__} is not counted")


@cache
def series(channels: int, rows: int = ROWS) -> Floats:
    """(rows, N) with mean 0 and standard deviation 1: Lorenz-63 for three channels, else sums of waves."""
    x = lorenz63(rows).x if channels == LORENZ_CHANNELS else _waves(rows, channels)
    scaled: Floats = (x - x.mean(axis=0)) / x.std(axis=0)
    return scaled


def _waves(rows: int, channels: int) -> Floats:
    rng = np.random.default_rng(channels)
    lengths = rng.uniform(SHORTEST_WAVE, LONGEST_WAVE, (WAVES, channels))
    phases = rng.uniform(0.0, 2 * np.pi, (WAVES, channels))
    waves: Floats = np.sin(2 * np.pi * np.arange(rows)[:, None, None] / lengths + phases).sum(axis=1)
    return waves


def _sparse(name: str, cell: Cell) -> Case:
    return Case(name, cell, LinearObservation(), Sparse(tau=TAU), LORENZ_CHANNELS)


def _generalized(latent: int, hidden: int) -> Case:
    cell = ClippedShPLRNN(latent=latent, hidden=hidden)
    name = f"clipped-shplrnn-{latent}x{hidden}"
    return Case(name, cell, IdentityObservation(), Generalized(alpha=STRENGTH), latent)


CLIPPED = (_generalized(3, 50), _generalized(20, 100), _generalized(64, 500))

CASES = {
    case.name: case
    for case in (
        _sparse("plrnn-20", PLRNN(latent=20)),
        _sparse("plrnn-100", PLRNN(latent=100)),
        _sparse("dendplrnn-22-20", DendPLRNN(latent=22, bases=20)),
        _sparse("rnn-64", RNN(latent=64)),
        _sparse("lstm-64", LSTM(latent=64)),
        *CLIPPED,
    )
}
