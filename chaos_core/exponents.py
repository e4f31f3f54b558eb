"""The Lyapunov exponents of a trained model beside those of its data."""

import numpy as np

from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.embedding import delay_embed
from chaos_core.fitted import Fitted
from chaos_core.lyapunov.spectrum import Spectrum, cell_spectrum
from chaos_core.metrics import Score, lambda_ratio
from chaos_core.series import Series

__all__ = ["exponent_score", "exponents_of"]

STARTS = 10
STEPS = 10_000
NUMBERS = 4_000_000
"""Steps times numbers of the Jacobian: a state of 60 numbers gets 1100 steps, which take as long as 10 000 of 3."""

LEAST_STEPS = 1000


def exponents_of(fitted: Fitted, piece: Series) -> Spectrum:
    """All exponents of the model's free run, from ten states spread over a piece of data.

    Args:
        fitted: a trained model without external inputs.
        piece: T unbroken rows in data units.

    Source: see `chaos_core.lyapunov.spectrum`.
    """
    states = delay_embed(fitted.scaling.apply(piece.x), fitted.embedding)
    places = np.linspace(0, len(states) - 1, min(STARTS, len(states))).astype(np.int64)
    size = fitted.cell.state_size
    d = fitted.observation.infer(as_arrays(fitted.params), as_array(states[places]), size)
    steps = int(min(STEPS, max(LEAST_STEPS, NUMBERS / size**2)))
    return cell_spectrum(fitted.cell, fitted.params, as_numpy(d), steps=steps, burn_in=min(1000, steps))


def exponent_score(fitted: Fitted, piece: Series) -> Score:
    """The model's largest exponent over the data's; see `chaos_core.metrics.lambda_ratio`.

    Args:
        fitted: the trained model, with the data's exponent.
        piece: T unbroken rows in data units.
    """
    value, low, high = fitted.lambda_per_step or (None, None, None)
    if fitted.cell.inputs:
        return Score(value=None, floor=None, reason="exponents of a driven model depend on its inputs")
    found = exponents_of(fitted, piece)
    error = None if found.error is None else float(found.error[0])
    return lambda_ratio(found.exponents, lambda_max_per_step=value, low=low, high=high, error=error, reason=found.doubt)
