"""Free runs and forecasts by the fastest means at hand."""

import numpy as np

from chaos_core import native
from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.cells import Cell
from chaos_core.equations import free_equations
from chaos_core.observation import Observation
from chaos_core.run import free_run, predict_ahead
from chaos_core.typing import Floats, NumpyParams

__all__ = ["NUMBERS_AT_ONCE", "forecasts", "orbits"]

NUMBERS_AT_ONCE = 1_000_000
"""Of the states of all runs of a call, 8 MB: what is thrown away again stays in a cache."""


def orbits(cell: Cell, params: NumpyParams, z0: Floats, steps: int, u: Floats | None = None) -> Floats:
    """Free runs from several starts, in float64: natively where there is such a loop, else in numpy.

    Args:
        cell: the equations.
        params: their parameters by name, in any precision.
        z0: (K, M) starts.
        steps: states to give.
        u: (K, steps, inputs) scaled external inputs of each run; None where there are none.

    Returns:
        (K, steps, M): z_1 ... z_steps of each run.
    """
    wide = {name: np.asarray(value, np.float64) for name, value in params.items()}
    s = None if u is None else as_numpy(cell.drive(as_arrays(wide), as_array(u)))[..., :steps, :]
    found = native.orbit(free_equations(cell), wide, z0, steps, s)
    return free_run(cell, wide, z0, steps, u) if found is None else found


def forecasts(
    cell: Cell, observation: Observation, params: NumpyParams, x: Floats, steps: int, u: Floats | None = None
) -> Floats:
    """Forecasts from every row of a series, `steps` ahead: x_{t+n}^ = G(F^n(infer(x_t))), in float64.

    Natively where there is such a loop, some thousand starts a call; else `chaos_core.run.predict_ahead`, whose
    arguments and result these are.

    Args:
        cell: the equations.
        observation: the way from x to z and back.
        params: parameters of both, by name, in any precision.
        x: (T, N) a series in the scaling that the cell was trained on, N counting embedded channels.
        steps: n >= 1, how far ahead.
        u: (T, K) scaled external inputs of the same rows; None runs the cell undriven.

    Returns:
        (T - n, N): row i is the forecast of x[i + n].
    """
    if not native.has_orbit(free_equations(cell).kind):
        return predict_ahead(cell, observation, params, x, steps, u)
    p = as_arrays({name: np.asarray(value, np.float64) for name, value in params.items()})
    starts, at_once = max(0, len(x) - steps), max(1, NUMBERS_AT_ONCE // (steps * cell.state_size))
    ahead = np.empty((starts, x.shape[1]))
    with np.errstate(all="ignore"):
        z0 = as_numpy(observation.infer(p, as_array(x[:starts]), cell.state_size))
        for first in range(0, starts, at_once):
            rows = np.arange(first, min(starts, first + at_once))
            driven = None if u is None else u[rows[:, None] + np.arange(1, steps + 1)]
            z = orbits(cell, params, z0[rows], steps, driven)[:, -1]
            ahead[rows] = as_numpy(observation.predict(p, as_array(z), x.shape[1]))
    return ahead
