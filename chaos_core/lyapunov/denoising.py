"""Takes observation noise away with the help of the motion's own rule.

A filter knows only that the motion is smooth. Here the map fitted to the filtered rows says what each row should be
given its past, and its inverse what it should be given its future; rows that agree with the observations and with the
map are nearer the truth, and a map fitted to those is a better map.
"""

import numpy as np
import scipy

from chaos_core.embedding import Embedding, delay_embed
from chaos_core.lyapunov.map_model import ROUGH_ROWS, TRAIN_ROWS, MapModel, fit_map
from chaos_core.lyapunov.neighbours import Orbit
from chaos_core.typing import Floats

__all__ = ["denoise"]


ROUNDS = 3
STEPS = 2
MUCH_NOISE = 0.05
SHARPEST = 0.01
"""The map is trusted to at most this share of the noise, however well it fits."""


def _normal_equations(
    y: Floats, x: Floats, model: MapModel, embedding: Embedding, noise: Floats, rule: Floats
) -> tuple[Floats, Floats]:
    """Banded matrix (lower form) and right-hand side of one Gauss-Newton step; unknown T * N numbers, row by row.

    The cost is the sum of ((y - x) / noise)^2 and ((x_{t+1} - F(x_t, x_{t-lag}, ...)) / rule)^2.
    """
    rows, channels = x.shape
    z = delay_embed(x, embedding)[:-1]
    first = embedding.rows_lost
    change, slopes = model.features.weighed(model.weights[:, :channels])(z)
    missed = (x[first + 1 :] - z[:, :channels] - change) / rule
    slopes[:, range(channels), range(channels)] += 1
    slopes /= rule[:, None]
    offsets = [(first - copy * embedding.lag) * channels for copy in range(embedding.dim)]
    columns = [
        (offset + channel, -slopes[:, :, copy * channels + channel])
        for copy, offset in enumerate(offsets)
        for channel in range(channels)
    ]
    ahead = np.zeros((channels, len(z), channels))
    ahead[range(channels), :, range(channels)] = (1 / rule)[:, None]
    columns += [((first + 1) * channels + channel, ahead[channel]) for channel in range(channels)]
    matrix = np.zeros((max(place for place, _ in columns) - min(place for place, _ in columns) + 1, rows * channels))
    matrix[0] = np.tile(1 / noise**2, rows)
    right = ((y - x) / noise**2).ravel()
    for place, slope in columns:
        reach = slice(place, place + channels * len(z), channels)
        right[reach] -= np.einsum("tk,tk->t", slope, missed)
        for other, along in columns:
            if other <= place:
                matrix[place - other, other : other + channels * len(z) : channels] += np.einsum(
                    "tk,tk->t", slope, along
                )
    return matrix, right


def denoise(
    noisy: list[Floats], start: list[Floats], embedding: Embedding, noise: Floats, directions: int | None
) -> list[Floats]:
    """Rows that agree both with what was observed and with one map from each row's past to the next row.

    Three rounds: fit the map to the rows as they are; then move the rows to the minimum of
    sum |y_t - x_t|^2 / noise^2 + |x_{t+1} - F(x_t, x_{t-lag}, ...)|^2 / q^2 by two Gauss-Newton steps, each one
    banded system; q is the spread of what the map misses, at least a hundredth of the noise. On 17 flows with 10 %
    noise the median distance to the true rows falls from 0.068 of the spread (filter alone) to 0.021 with all
    coordinates, from 0.061 to 0.037 with one.

    Args:
        noisy: (T_i, N) each run as observed, scaled to unit variance.
        start: the same runs, filtered.
        embedding: of the states that determine the next row.
        noise: (N,) standard deviation of each channel's observation noise, same units; channels with less than
            a thousandth count as that.
        directions: as in `fit_map`.

    Source: the idea: E. J. Kostelich, J. A. Yorke (1988), doi:10.1103/PhysRevA.38.1649; M. E. Davies (1994),
        doi:10.1016/0167-2789(94)90257-7 (as a minimum over the whole series).
    Differs: one smooth global map, fitted anew in each round, instead of local linear ones.
    """
    floor = np.maximum(noise, 1e-3)
    rows = TRAIN_ROWS if floor.max() >= MUCH_NOISE else ROUGH_ROWS
    runs = start
    for _ in range(ROUNDS):
        states = [delay_embed(run, embedding) for run in runs]
        orbit = Orbit.of(states)
        model = fit_map(orbit, 1, directions=directions, rows=rows)
        channels = runs[0].shape[1]
        weights = model.weights[:, :channels]
        missed = [z[1:, :channels] - z[:-1, :channels] - model.features.values(z[:-1]) @ weights for z in states]
        rule = np.maximum(np.concatenate(missed).std(axis=0), SHARPEST * floor)
        moved = []
        for y, x in zip(noisy, runs, strict=True):
            for _ in range(STEPS):
                matrix, right = _normal_equations(y, x, model, embedding, floor, rule)
                x = x + scipy.linalg.solveh_banded(matrix, right, lower=True, check_finite=False).reshape(x.shape)
            moved.append(x)
        runs = moved
    return runs
