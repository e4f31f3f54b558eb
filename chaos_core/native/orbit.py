"""Free runs of a cell in float64 by the native library; the twin is chaos_core.run.free_run."""

import ctypes
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from chaos_core.native.loader import library

Array = npt.NDArray[np.float64]

# The parameters of each kind in the order in which its loop in orbit.cpp reads them.
ORDER = {"clipped_shplrnn": ("A", "W1", "W2", "h1", "h2"), "plrnn": ("A", "W", "h")}


class _Arguments(ctypes.Structure):
    """OrbitArguments of orbit.cpp, field by field."""

    _fields_ = [
        *[(name, ctypes.c_int64) for name in ("starts", "steps", "latent", "hidden")],
        *[(name, ctypes.c_void_p) for name in ("parameters", "z0", "z", "work")],
    ]


def orbit(kind: str, params: Mapping[str, npt.NDArray[np.floating]], z0: npt.ArrayLike, steps: int) -> Array | None:
    """Iterates a cell from each start without forcing, in float64.

    z_{t+1} = step(z_t), t = 0 .. steps - 1. Values that are not finite stay visible; nothing stops early.

    Args:
        kind: kind of the cell, "clipped_shplrnn" or "plrnn" (the settings are read off the shapes).
        params: the cell's arrays by name; others (of the observation) are ignored. Converted to float64.
        z0: latent starts, (K, M), or (M,) for one.
        steps: how many states to compute, >= 0.

    Returns:
        z (K, steps, M), row 0 being the first step after the start; (steps, M) for one start. None where no library is active
        or the kind has no native loop: then chaos_core.run.free_run gives the same to rounding, some hundred times slower.

    Raises:
        ValueError: a shape does not fit, or `steps` is negative.
    """
    active = library()
    if active is None or kind not in ORDER:
        return None
    arrays = [np.asarray(params[name], np.float64) for name in ORDER[kind]]
    latent, inner = arrays[0].size, arrays[1].shape[1]
    start = np.ascontiguousarray(z0, np.float64)
    if start.ndim not in (1, 2) or start.shape[-1] != latent or steps < 0:
        raise ValueError(f"z0 must be (K, {latent}) or ({latent},) and steps >= 0, got {start.shape} and {steps}.")
    flat = np.concatenate([array.ravel() for array in arrays])
    z = np.empty((start.size // latent, steps, latent))
    work = np.empty(latent * inner + inner)
    addresses = [array.ctypes.data for array in (flat, start, z, work)]
    arguments = _Arguments(len(z), steps, latent, inner, *addresses)
    active.handle[f"chaos_{kind}_orbit"](ctypes.byref(arguments))
    return z.reshape(*start.shape[:-1], steps, latent)
