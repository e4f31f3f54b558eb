"""What a trained model can do beside its free run: forecast errors, valid prediction time, Lyapunov exponents."""

import math

import numpy as np

from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.embedding import delay_embed
from chaos_core.fitted import Fitted
from chaos_core.lyapunov.spectrum import Spectrum, cell_spectrum
from chaos_core.metrics import Score, lambda_ratio, prediction_error, valid_prediction_time
from chaos_core.orbits import forecasts, orbits
from chaos_core.series import Series
from chaos_core.typing import Floats, Ints

__all__ = ["error_ahead", "exponent_score", "exponents_of", "valid_time"]

FORECASTS = 20
LONGEST_TIMES = 10.0
LONGEST_SHARE = 4

ORBITS = 10
ORBIT_STEPS = 10_000
LEAST_STEPS = 1000
NUMBERS = 4_000_000
"""Steps times numbers of the Jacobian: a state of 60 numbers gets 1100 steps, which take as long as 10 000 of 3."""


def error_ahead(fitted: Fitted, piece: Series, steps: int, preset: str) -> Score:
    """PE(steps) from every row of an unbroken piece that has a complete past.

    Args:
        fitted: the trained model.
        piece: T rows in data units, with the inputs of a driven model.
        steps: n.
        preset: of the metrics.

    Source: see `chaos_core.metrics.prediction_error`.
    """
    x, lost = piece.x, fitted.embedding.rows_lost
    states = delay_embed(fitted.scaling.apply(x), fitted.embedding)
    true, u = x[lost:], fitted.drive(piece.inputs[lost:] if fitted.cell.inputs else None)
    predicted = np.full_like(true, np.nan)
    if len(true) > steps:
        ahead = forecasts(fitted.cell, fitted.observation, fitted.params, states, steps, u)
        predicted[steps:] = fitted.scaling.undo(ahead[:, : x.shape[1]])
    return prediction_error(true, predicted, n=steps, preset=preset)


def valid_time(fitted: Fitted, piece: Series, preset: str) -> Score:
    """Mean valid prediction time of free forecasts from 20 rows spread over the piece, in Lyapunov times.

    Each lasts up to ten Lyapunov times, and at most a quarter of the piece; it is valid until its error, over the
    channels' standard deviations, first exceeds 0.4. `detail` holds the shortest, the median and the longest, and how
    many lasted to the end.

    Args:
        fitted: the trained model, with the data's exponent.
        piece: T rows in data units, with the inputs of a driven model.
        preset: of the metrics.

    Source: see `chaos_core.metrics.valid_prediction_time`, error "nrmse".
    """
    if fitted.lambda_per_step is None:
        return Score(value=None, floor=None, reason="the data have no positive exponent, so no Lyapunov time")
    exponent = fitted.lambda_per_step[0]
    steps = max(1, min(math.ceil(LONGEST_TIMES / exponent), piece.length // LONGEST_SHARE))
    states = delay_embed(fitted.scaling.apply(piece.x), fitted.embedding)
    if len(states) <= steps:
        return Score(value=None, floor=None, reason=f"{len(states)} states leave no forecast of {steps} steps")
    places = np.linspace(0, len(states) - 1 - steps, min(FORECASTS, len(states) - steps)).astype(np.int64)
    rows = fitted.embedding.rows_lost + 1 + places
    runs, spread = _runs(fitted, piece, states[places], rows, steps), piece.x.std(axis=0)
    found = [
        valid_prediction_time(
            piece.x[row : row + steps],
            run,
            lambda_max_per_step=exponent,
            error="nrmse",
            spread=spread,
            preset=preset,
            floor=False,
        )
        for row, run in zip(rows, runs, strict=True)
    ]
    values = [score.value for score in found if score.value is not None]
    if not values:
        return found[0]
    detail = {
        "starts": len(values),
        "shortest": min(values),
        "median": float(np.median(values)),
        "longest": max(values),
        "to_the_end": sum(bool(score.detail["to_the_end"]) for score in found),
        "steps": steps,
        "lambda_max_per_step": exponent,
        "preset": preset,
    }
    return Score(value=float(np.mean(values)), floor=None, detail=detail)


def _runs(fitted: Fitted, piece: Series, states: Floats, rows: Ints, steps: int) -> Floats:
    """(K, steps, N) free runs in data units; run k gives rows[k], rows[k] + 1, ..."""
    p = as_arrays(fitted.params)
    u = fitted.drive(piece.inputs[rows[:, None] + np.arange(steps)] if fitted.cell.inputs else None)
    with np.errstate(all="ignore"):
        z0 = as_numpy(fitted.observation.infer(p, as_array(states), fitted.cell.state_size))
        z = orbits(fitted.cell, fitted.params, z0, steps, u)
        seen = as_numpy(fitted.observation.predict(p, as_array(z), fitted.observed))
        x: Floats = fitted.scaling.undo(seen[..., : fitted.channels])
    return x


def exponents_of(fitted: Fitted, piece: Series) -> Spectrum:
    """All exponents of the model's free run, from ten states spread over a piece of data.

    Args:
        fitted: a trained model without external inputs.
        piece: T unbroken rows in data units.

    Source: see `chaos_core.lyapunov.spectrum`.
    """
    states = delay_embed(fitted.scaling.apply(piece.x), fitted.embedding)
    places = np.linspace(0, len(states) - 1, min(ORBITS, len(states))).astype(np.int64)
    size = fitted.cell.state_size
    d = fitted.observation.infer(as_arrays(fitted.params), as_array(states[places]), size)
    steps = int(min(ORBIT_STEPS, max(LEAST_STEPS, NUMBERS / size**2)))
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
