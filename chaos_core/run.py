"""Free runs and forecasts of any cell in numpy, float64, without torch."""

import numpy as np
import numpy.typing as npt

from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.cells.base import Cell
from chaos_core.observation import Observation
from chaos_core.typing import Floats, NumpyParams

__all__ = ["free_run", "predict_ahead"]


def free_run(cell: Cell, params: NumpyParams, z0: npt.ArrayLike, steps: int, u: npt.ArrayLike | None = None) -> Floats:
    """Lets the cell run by itself: z_{t+1} = F(z_t), or, with external inputs, F(z_t; C u_{t+1}).

    Float64 whatever the parameters are stored as, so that any reader of a saved model can repeat the run. Nothing is
    hidden: an orbit that leaves all bounds shows as inf and NaN, without a warning.

    Args:
        cell: the equations.
        params: its parameters by name.
        z0: (..., M) start states; leading axes are independent runs, done together.
        steps: how many states to give.
        u: (..., steps, K) scaled inputs, row t driving the step that gives row t; None runs the cell undriven.

    Returns:
        (..., steps, M): z_1 ... z_steps; the start itself is not repeated.
    """
    p = as_arrays(params)
    step, z = cell.bind(p), as_array(z0)
    s = None if u is None else cell.drive(p, as_array(u))
    states = np.empty((steps, *z.shape))
    with np.errstate(all="ignore"):
        for t in range(steps):
            states[t] = z = step(z, None if s is None else s[..., t, :])
    return np.moveaxis(states, 0, -2)


def predict_ahead(
    cell: Cell,
    observation: Observation,
    params: NumpyParams,
    x: npt.ArrayLike,
    steps: int,
    u: npt.ArrayLike | None = None,
) -> Floats:
    """Forecasts from every row of a series, `steps` ahead: x_{t+n}^ = G(F^n(infer(x_t))), all rows at once.

    Args:
        cell: the equations.
        observation: the way from x to z and back.
        params: parameters of both, by name.
        x: (T, N) a series in the scaling that the cell was trained on, N counting embedded channels.
        steps: n, how far ahead.
        u: (T, K) scaled external inputs of the same rows; None runs the cell undriven.

    Returns:
        (T - n, N): row i is the forecast of x[i + n].
    """
    p = as_arrays(params)
    step = cell.bind(p)
    data = as_array(x)
    with np.errstate(all="ignore"):
        z = observation.infer(p, data[: len(data) - steps], cell.state_size)
        s = None if u is None else cell.drive(p, as_array(u))
        for t in range(1, steps + 1):
            z = step(z, None if s is None else s[t : len(s) - steps + t])
        return as_numpy(observation.predict(p, z, data.shape[-1]))
