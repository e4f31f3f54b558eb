"""Free runs by the fastest means at hand."""

import numpy as np

from chaos_core import native
from chaos_core.cells import Cell
from chaos_core.run import free_run
from chaos_core.typing import Floats, NumpyParams

__all__ = ["orbits"]


def orbits(cell: Cell, params: NumpyParams, z0: Floats, steps: int) -> Floats:
    """Free runs from several starts, in float64: natively where there is such a loop, else in numpy.

    Args:
        cell: the equations.
        params: their parameters by name, in any precision.
        z0: (K, M) starts.
        steps: states to give.

    Returns:
        (K, steps, M): z_1 ... z_steps of each run.
    """
    wide = {name: np.asarray(value, np.float64) for name, value in params.items()}
    found = native.orbit(getattr(cell, "kind", ""), wide, z0, steps)
    return free_run(cell, wide, z0, steps) if found is None else found
