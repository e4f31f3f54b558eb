"""Free runs by the fastest means at hand."""

import numpy as np

from chaos_core import native
from chaos_core.cells import Cell
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
    found = _native(cell, wide, z0, steps) if u is None else None
    return free_run(cell, wide, z0, steps, u) if found is None else found


def _native(cell: Cell, params: NumpyParams, z0: Floats, steps: int) -> Floats | None:
    return native.orbit(getattr(cell, "kind", ""), params, z0, steps, smoothing=getattr(cell, "smoothing", 0.0))
