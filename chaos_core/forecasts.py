"""Forecast skill of a trained model: the error some steps ahead, and how long a forecast stays valid."""

import math

import numpy as np

from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.embedding import delay_embed
from chaos_core.fitted import Fitted
from chaos_core.metrics import Score, prediction_error, valid_prediction_time
from chaos_core.orbits import orbits
from chaos_core.run import predict_ahead
from chaos_core.series import Series
from chaos_core.typing import Floats, Ints

__all__ = ["error_ahead", "valid_time"]

STARTS = 20
LONGEST_TIMES = 10.0
LONGEST_SHARE = 4


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
    forecasts = np.full_like(true, np.nan)
    if len(true) > steps:
        ahead = predict_ahead(fitted.cell, fitted.observation, fitted.params, states, steps, u)
        forecasts[steps:] = fitted.scaling.undo(ahead[:, : x.shape[1]])
    return prediction_error(true, forecasts, n=steps, preset=preset)


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
    places = np.linspace(0, len(states) - 1 - steps, min(STARTS, len(states) - steps)).astype(np.int64)
    rows = fitted.embedding.rows_lost + 1 + places
    forecasts, spread = _forecasts(fitted, piece, states[places], rows, steps), piece.x.std(axis=0)
    found = [
        valid_prediction_time(
            piece.x[row : row + steps],
            forecast,
            lambda_max_per_step=exponent,
            error="nrmse",
            spread=spread,
            preset=preset,
            floor=False,
        )
        for row, forecast in zip(rows, forecasts, strict=True)
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


def _forecasts(fitted: Fitted, piece: Series, states: Floats, rows: Ints, steps: int) -> Floats:
    """(K, steps, N) free runs in data units; run k gives rows[k], rows[k] + 1, ..."""
    p = as_arrays(fitted.params)
    u = fitted.drive(piece.inputs[rows[:, None] + np.arange(steps)] if fitted.cell.inputs else None)
    with np.errstate(all="ignore"):
        z0 = as_numpy(fitted.observation.infer(p, as_array(states), fitted.cell.state_size))
        z = orbits(fitted.cell, fitted.params, z0, steps, u)
        seen = as_numpy(fitted.observation.predict(p, as_array(z), fitted.observed))
        x: Floats = fitted.scaling.undo(seen[..., : fitted.channels])
    return x
