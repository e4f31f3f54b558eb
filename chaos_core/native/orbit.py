"""Free runs of a cell in float64 by the native library; the twin is chaos_core.run.free_run."""

import ctypes
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from chaos_core.native.loader import Library, library

__all__ = ["orbit"]

Floats: TypeAlias = npt.NDArray[np.float64]

# The parameters of each kind in the order in which its loop in orbit.cpp reads them.
ORDER = {"clipped_shplrnn": ("A", "W1", "W2", "h1", "h2"), "plrnn": ("A", "W", "h")}


class _Arguments(ctypes.Structure):
    """OrbitArguments of orbit.cpp, field by field; the loader compares the sizes."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("starts", "steps", "latent", "hidden")),
        ("smoothing", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in ("parameters", "z0", "z", "work")),
    )


def orbit(
    kind: str,
    params: Mapping[str, npt.NDArray[Any]],
    z0: npt.ArrayLike,
    steps: int,
    *,
    smoothing: float = 0.0,
    kernels: Library | None = None,
) -> Floats | None:
    """Iterates a cell from each start without forcing, in float64.

    z_{t+1} = F(z_t), t = 0 .. steps - 1. Values that are not finite stay visible; nothing stops early.

    Args:
        kind: of the cell, "clipped_shplrnn" or "plrnn"; the sizes are read off the shapes.
        params: the cell's arrays by name, converted to float64; other names (of the observation) are ignored.
        z0: (K, M) latent starts, or (M,) for one.
        steps: how many states to compute, 0 or more.
        smoothing: delta of the units of a "clipped_shplrnn"; the default is the rectifier, as in the cell. External
            inputs are not known here: the run is that without any.
        kernels: the library; by default the best one for this CPU. Tests name others.

    Returns:
        (K, steps, M) or (steps, M): z_1 .. z_steps; the start itself is not repeated. None where no library is active
        or the kind has no native loop: then chaos_core.run.free_run gives the same to rounding, far more slowly.

    Raises:
        ValueError: a shape does not fit, `steps` is negative, or the kind has no such smoothing.
    """
    active = kernels or library()
    if active is None or kind not in ORDER:
        return None
    arrays = [np.asarray(params[name], np.float64) for name in ORDER[kind]]
    latent, inner = arrays[1].shape
    start = np.ascontiguousarray(z0, np.float64)
    if start.ndim not in (1, 2) or start.shape[-1] != latent or steps < 0:
        raise ValueError(f"z0 must be (K, {latent}) or ({latent},) and steps >= 0, got {start.shape} and {steps}")
    flat = np.concatenate([array.ravel() for array in arrays])
    z = np.empty((*start.shape[:-1], steps, latent))
    work = np.empty(latent * inner + inner)
    if smoothing != 0 and not (kind == "clipped_shplrnn" and 0 < smoothing < np.inf):
        raise ValueError(f"smoothing must be 0 or, for clipped_shplrnn, positive, got {smoothing} for {kind}")
    addresses = [array.ctypes.data for array in (flat, start, z, work)]
    run = active.function(f"chaos_{kind}_orbit", _Arguments, "chaos_orbit_bytes")
    run(ctypes.byref(_Arguments(start.size // latent, steps, latent, inner, smoothing, *addresses)))
    return z
