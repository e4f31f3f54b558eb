"""Free runs by the fastest means at hand."""

import numpy as np

from chaos_core import native
from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.cells import Cell
from chaos_core.equations import free_equations
from chaos_core.run import free_run
from chaos_core.typing import Floats, NumpyParams

__all__ = ["orbits"]


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
