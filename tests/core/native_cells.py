"""Cells of every native kind at sizes that are no multiple of anything, for free runs and exponents."""

import numpy as np

from chaos_core.cells.alrnn import ALRNN
from chaos_core.cells.base import Cell
from chaos_core.cells.dendplrnn import ClippedDendPLRNN, DendPLRNN
from chaos_core.cells.gru import GRU
from chaos_core.cells.lstm import LSTM
from chaos_core.cells.plrnn import PLRNN, MeanCentredPLRNN
from chaos_core.cells.rnn import RNN
from chaos_core.cells.shplrnn import ClippedShPLRNN, ShPLRNN
from chaos_core.initialise import draw
from chaos_core.typing import Floats

SIZES = (1, 3, 13)


def of_size(m: int) -> list[Cell]:
    """Every kind and setting with m latent units and two inputs."""
    return [
        PLRNN(latent=m, inputs=2),
        MeanCentredPLRNN(latent=m, inputs=2),
        DendPLRNN(latent=m, bases=5, inputs=2),
        DendPLRNN(latent=m, bases=1, centred=True, inputs=2),
        ClippedDendPLRNN(latent=m, bases=6, inputs=2),
        ClippedDendPLRNN(latent=m, bases=5, centred=True, inputs=2),
        ShPLRNN(latent=m, hidden=11, inputs=2),
        ClippedShPLRNN(latent=m, hidden=37, inputs=2),
        ClippedShPLRNN(latent=m, hidden=9, smoothing=0.2, inputs=2),
        ALRNN(latent=m, rectified=m // 2, inputs=2),
        ALRNN(latent=m, rectified=m, inputs=2),
        RNN(latent=m, inputs=2),
        GRU(latent=m, inputs=2),
        LSTM(latent=m, inputs=2),
    ]


CELLS = [cell for m in SIZES for cell in of_size(m)]


def parameters(cell: Cell, seed: int = 0) -> dict[str, Floats]:
    """Drawn so that no parameter is zero, no orbit grows by much and no direction is nearly lost in some ten steps.

    Otherwise the exponents of two right programs would differ: what parts from what is then a matter of rounding.
    """
    rng = np.random.default_rng(seed)
    drawn = {name: a + 0.1 * rng.standard_normal(a.shape) for name, a in draw(cell.parameters(), rng).items()}
    if "A" not in drawn:
        return drawn
    linear = rng.choice([-1.0, 1.0], cell.latent) * rng.uniform(0.6, 0.95, cell.latent)
    tame = {name: 0.4 * drawn[name] for name in ("W", "W1", "h1") if name in drawn}
    return drawn | tame | {"A": linear}


def starts(cell: Cell, count: int = 3) -> Floats:
    """States on both sides of the thresholds."""
    return np.random.default_rng(3).standard_normal((count, cell.state_size))
