"""Tangent vectors pushed along free runs by the native library; the twin is in chaos_core.lyapunov.spectrum."""

import ctypes
import math

import numpy as np

from chaos_core.native.equations import Equations
from chaos_core.native.loader import Library, library
from chaos_core.native.map import CELL_FIELDS, NativeMap, addresses, call, native_map
from chaos_core.typing import Flags, Floats, NumpyParams

__all__ = ["Walk", "walk"]


class _Arguments(ctypes.Structure):
    """SpectrumArguments of spectrum.cpp, field by field; the loader compares the sizes."""

    _fields_ = (
        *CELL_FIELDS,
        *((name, ctypes.c_int64) for name in ("starts", "steps", "every")),
        ("limit", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in ("z", "frames", "mantissas", "exponents", "inside", "work")),
    )


class Walk:
    """Runs and their frames of tangent vectors, moved on together; made by `walk`.

    Args:
        active: the library.
        cell: the map.
        z0: (K, N) starts.
        limit: a state with a larger entry has left all bounds.
    """

    def __init__(self, active: Library, cell: NativeMap, z0: Floats, limit: float) -> None:
        self.active, self.cell, self.limit = active, cell, limit
        self.z = np.array(z0, np.float64, order="C")
        runs, units = self.z.shape
        self.frame: Floats = np.tile(np.eye(units), (runs, 1, 1))
        self.inside: Flags = np.ones(runs, np.bool_)

    def go(self, steps: int, every: int) -> Floats:
        """Moves on and makes the frames orthonormal again every few steps and at the end.

        Args:
            steps: how far, 0 or more.
            every: steps between two decompositions, 1 or more.

        Returns:
            (K, N) sums of ln |R_ii|, -inf where a direction was lost; they mean nothing for a run that is not `inside`.
        """
        mantissas, exponents = np.empty(self.z.shape), np.empty(self.z.shape)
        numbers = (*self.cell.fields(), len(self.z), steps, every, self.limit)
        values = (*numbers, *addresses(self.z, self.frame, mantissas, exponents, self.inside))
        call(self.active, f"chaos_{self.cell.equations.kind}_spectrum", _Arguments, "chaos_spectrum_bytes", values)
        with np.errstate(divide="ignore"):
            sums: Floats = np.log(mantissas) + math.log(2.0) * exponents
        return sums


def walk(
    equations: Equations,
    params: NumpyParams,
    z0: Floats,
    limit: float,
    *,
    kernels: Library | None = None,
) -> Walk | None:
    """Runs of a cell from some starts, each with the unit frame.

    Args:
        equations: of the cell alone, `chaos_core.equations.free_equations`.
        params: the cell's arrays by name; other names are ignored.
        z0: (K, N) starts; N is the cell's `state_size`.
        limit: a state with a larger entry has left all bounds.
        kernels: the library; by default the best one for this CPU. Tests name others.

    Returns:
        The runs. None where no library is active or the kind has no native loop.

    Raises:
        ValueError: a shape does not fit.
    """
    active = kernels or library()
    cell = native_map(equations, params, active, "spectrum")
    if active is None or cell is None:
        return None
    if z0.ndim != 2 or z0.shape[1] != equations.state:
        raise ValueError(f"z0 must be (K, {equations.state}), got {z0.shape}")
    return Walk(active, cell, z0, limit)
