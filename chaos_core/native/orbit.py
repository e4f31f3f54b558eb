"""Free runs of a cell in float64 by the native library; the twin is chaos_core.run.free_run."""

import ctypes

import numpy as np
import numpy.typing as npt

from chaos_core.native.equations import Equations
from chaos_core.native.loader import Library, library
from chaos_core.native.map import CELL_FIELDS, addresses, call, native_map
from chaos_core.typing import Floats, NumpyParams

__all__ = ["has_orbit", "orbit"]


class _Arguments(ctypes.Structure):
    """OrbitArguments of orbit.cpp, field by field; the loader compares the sizes."""

    _fields_ = (
        *CELL_FIELDS,
        *((name, ctypes.c_int64) for name in ("starts", "steps", "drive")),
        *((name, ctypes.c_void_p) for name in ("z0", "s", "z", "work")),
    )


def has_orbit(kind: str) -> bool:
    """Whether the library of this process has free runs for a kind of cell."""
    active = library()
    return active is not None and active.has(f"chaos_{kind}_orbit")


def orbit(
    equations: Equations,
    params: NumpyParams,
    z0: npt.ArrayLike,
    steps: int,
    s: npt.ArrayLike | None = None,
    *,
    kernels: Library | None = None,
) -> Floats | None:
    """Iterates a cell from each start without forcing, in float64.

    z_{t+1} = F(z_t; s_t), t = 0 .. steps - 1. Values that are not finite stay visible; nothing stops early.

    Args:
        equations: of the cell alone, `chaos_core.equations.free_equations`.
        params: the cell's arrays by name, converted to float64; other names (of the observation) are ignored.
        z0: (K, N) starts, or (N,) for one; N is the cell's `state_size`.
        steps: how many states to compute, 0 or more.
        s: (K, steps, D) or (steps, D) what external inputs add to the bias in each step, D being the cell's
            `drive_width`; None where there are none.
        kernels: the library; by default the best one for this CPU. Tests name others.

    Returns:
        (K, steps, N) or (steps, N): z_1 .. z_steps; the start itself is not repeated. None where no library is active
        or the kind has no native loop: then chaos_core.run.free_run gives the same to rounding, far more slowly.

    Raises:
        ValueError: a shape does not fit, or `steps` is negative.
    """
    active = kernels or library()
    cell = native_map(equations, params, active, "orbit")
    if active is None or cell is None:
        return None
    size, width = equations.state, equations.drive_width
    start = np.ascontiguousarray(z0, np.float64)
    if start.ndim not in (1, 2) or start.shape[-1] != size or steps < 0:
        raise ValueError(f"z0 must be (K, {size}) or ({size},) and steps >= 0, got {start.shape} and {steps}")
    drive = None if s is None else np.ascontiguousarray(s, np.float64)
    if drive is not None and drive.shape != (*start.shape[:-1], steps, width):
        raise ValueError(f"s must be {(*start.shape[:-1], steps, width)}, got {drive.shape}")
    z = np.empty((*start.shape[:-1], steps, size))
    values = (*cell.fields(), start.size // size, steps, width, *addresses(start, drive, z))
    call(active, f"chaos_{equations.kind}_orbit", _Arguments, "chaos_orbit_bytes", values)
    return z
