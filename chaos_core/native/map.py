"""A cell as the native loops of free runs take it; orbit.py and spectrum.py run it."""

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from chaos_core.native.equations import Equations
from chaos_core.native.loader import Library
from chaos_core.typing import Floats, NumpyParams

__all__ = ["CELL_FIELDS", "NativeMap", "addresses", "call", "native_map"]

CELL_FIELDS: tuple[tuple[str, Any], ...] = (
    *((name, ctypes.c_int64) for name in ("latent", "inner", "centred")),
    ("smoothing", ctypes.c_double),
    ("parameters", ctypes.c_void_p),
)
"""Cell of map.hpp, field by field."""

ALIGNMENT = 64
"""Bytes: a vector that lies across two cache lines takes two loads."""


@dataclass(frozen=True, eq=False)
class NativeMap:
    """One cell with its parameters.

    Args:
        equations: of the cell.
        parameters: flat, in the order of the cell.
    """

    equations: Equations
    parameters: Floats

    def fields(self) -> tuple[int | float, ...]:
        """Values of CELL_FIELDS; the map must outlive their use."""
        of = self.equations
        return (of.latent, of.inner, of.centred, of.smoothing, self.parameters.ctypes.data)


def native_map(equations: Equations, params: NumpyParams, active: Library | None, what: str) -> NativeMap | None:
    """A cell for the native loops.

    Args:
        equations: of the cell alone, without inputs and observation.
        params: the cell's arrays by name, converted to float64; other names are ignored.
        active: the library, or None.
        what: the loop, "orbit" or "spectrum".

    Returns:
        The map, or None where there is no library or no such loop of this kind.

    Raises:
        ValueError: an array has not the shape that the equations say.
    """
    if active is None or not active.has(f"chaos_{equations.kind}_{what}"):
        return None
    arrays = {name: np.asarray(params[name], np.float64) for name in equations.shapes}
    for name, shape in equations.shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"parameter {name} must be {shape}, got {arrays[name].shape}")
    return NativeMap(equations, np.concatenate([array.ravel() for array in arrays.values()]))


def call(
    active: Library, name: str, fields: type[ctypes.Structure], size: str, values: tuple[float | None, ...]
) -> None:
    """Runs a function whose last argument is its work memory.

    Args:
        active: the library.
        name: of the function.
        fields: our mirror of its arguments.
        size: name of the function that tells their size.
        values: all arguments but the last.
    """
    run = active.function(name, fields, size)
    work = np.empty(run(ctypes.byref(fields(*values, None))) + ALIGNMENT // 8)
    start = -(-work.ctypes.data // ALIGNMENT) * ALIGNMENT
    run(ctypes.byref(fields(*values, start)))


def addresses(*arrays: Any) -> tuple[int | None, ...]:
    """Where the numbers of some arrays lie; None for None."""
    return tuple(None if array is None else array.ctypes.data for array in arrays)
