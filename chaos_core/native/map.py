"""A cell as the native loops take it: flat parameters and a few sizes; orbit.py and spectrum.py run it."""

import ctypes
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, cast

import numpy as np

from chaos_core.native.loader import Library
from chaos_core.typing import Floats, NumpyParams

__all__ = ["CELL_FIELDS", "ORDER", "NativeMap", "Settings", "addresses", "call", "native_map", "settings_of"]

LINEAR = {"A": ("M",), "W": ("M", "M"), "h": ("M",)}
DENDRITIC = LINEAR | {"alpha": ("I",), "H": ("M", "I")}
SHALLOW = {"A": ("M",), "W1": ("M", "I"), "W2": ("I", "M"), "h1": ("M",), "h2": ("I",)}
SHAPES: dict[str, dict[str, tuple[str, ...]]] = {
    "plrnn": LINEAR,
    "mean_centred_plrnn": LINEAR,
    "dendplrnn": DENDRITIC,
    "clipped_dendplrnn": DENDRITIC,
    "shplrnn": SHALLOW,
    "clipped_shplrnn": SHALLOW,
    "alrnn": LINEAR,
    "rnn": {"W": ("M", "M"), "b": ("M",)},
    "gru": {"W": ("3M", "M"), "b": ("3M",), "c": ("M",)},
    "lstm": {"W": ("4M", "M"), "b": ("4M",)},
}
"""Shapes of the parameters of each kind in the order in which its map reads them; M latent, I hidden units or bases."""

ORDER = {kind: tuple(shapes) for kind, shapes in SHAPES.items()}
BLOCKS = {"gru": 3, "lstm": 4}
"""Gates and candidates, each with M rows of W and of the drive."""
SETTINGS = {
    "smoothing": ("clipped_shplrnn",),
    "centred": ("dendplrnn", "clipped_dendplrnn"),
    "rectified": ("alrnn",),
}
"""What may be set beside the sizes, and for which kinds."""

CELL_FIELDS: tuple[tuple[str, Any], ...] = (
    *((name, ctypes.c_int64) for name in ("latent", "inner", "centred")),
    ("smoothing", ctypes.c_double),
    ("parameters", ctypes.c_void_p),
)
"""Cell of map.hpp, field by field."""

ALIGNMENT = 64
"""Bytes: a vector that lies across two cache lines takes two loads."""


class Settings(TypedDict, total=False):
    """What a cell has beside its sizes.

    Args:
        smoothing: delta of the units of a "clipped_shplrnn"; 0, the default, is the rectifier.
        centred: whether the units of a "dendplrnn" or "clipped_dendplrnn" see z - mean(z).
        rectified: P, units of an "alrnn" that are rectified.
    """

    smoothing: float
    centred: bool
    rectified: int


@dataclass(frozen=True, eq=False)
class NativeMap:
    """One cell with its parameters.

    Args:
        kind: of the cell.
        latent: M.
        inner: L hidden units, B bases or P rectified units; 0 where the cell has none of these.
        centred: whether the mean of the units is subtracted first.
        smoothing: delta of the hidden units; 0 is the rectifier.
        parameters: flat, in the order of the cell.
    """

    kind: str
    latent: int
    inner: int
    centred: bool
    smoothing: float
    parameters: Floats

    @property
    def state_size(self) -> int:
        """Numbers in the state."""
        return 2 * self.latent if self.kind == "lstm" else self.latent

    @property
    def drive_width(self) -> int:
        """Numbers that external inputs add to the bias."""
        return BLOCKS.get(self.kind, 1) * self.latent

    def fields(self) -> tuple[int | float, ...]:
        """Values of CELL_FIELDS; the map must outlive their use."""
        return (self.latent, self.inner, self.centred, self.smoothing, self.parameters.ctypes.data)


def settings_of(cell: object) -> Settings:
    """Those of a cell that it has."""
    return cast(Settings, {name: getattr(cell, name) for name in SETTINGS if hasattr(cell, name)})


def native_map(kind: str, params: NumpyParams, settings: Settings) -> NativeMap | None:
    """A cell for the native loops.

    Args:
        kind: of the cell; the sizes are read off the shapes.
        params: the cell's arrays by name, converted to float64; other names (of the observation) are ignored.
        settings: of the cell beside its sizes.

    Returns:
        The map, or None where the kind has no native loop.

    Raises:
        ValueError: an array has not the shape that the others imply, or the kind has no such setting.
    """
    if kind not in SHAPES:
        return None
    arrays = {name: np.asarray(params[name], np.float64) for name in ORDER[kind]}
    matrix = arrays["W2" if "W2" in arrays else "W"]
    latent = matrix.shape[-1] if matrix.ndim else 0
    inner = next((array.size for name, array in arrays.items() if name in ("alpha", "h2")), 0)
    sizes = {"M": latent, "I": inner, "3M": 3 * latent, "4M": 4 * latent}
    _check_shapes(arrays, SHAPES[kind], sizes)
    _check_settings(kind, settings, latent)
    flat = np.concatenate([array.ravel() for array in arrays.values()])
    centred = settings.get("centred", False) or kind == "mean_centred_plrnn"
    return NativeMap(kind, latent, inner or settings.get("rectified", 0), centred, settings.get("smoothing", 0.0), flat)


def _check_shapes(
    arrays: Mapping[str, Floats], shapes: Mapping[str, tuple[str, ...]], sizes: Mapping[str, int]
) -> None:
    for name, array in arrays.items():
        wanted = tuple(sizes[size] for size in shapes[name])
        if array.shape != wanted or not array.size:
            raise ValueError(f"parameter {name} must be {wanted}, as the others are, got {array.shape}")


def _check_settings(kind: str, settings: Settings, latent: int) -> None:
    most = {"smoothing": sys.float_info.max, "centred": 1, "rectified": latent}
    for name, value in cast(Mapping[str, float], settings).items():
        if value != 0 and not (kind in SETTINGS[name] and 0 < value <= most[name]):
            allowed = f"for {' and '.join(SETTINGS[name])}, positive and at most {most[name]:g}"
            raise ValueError(f"{name} must be 0 or, {allowed}, got {value} for {kind}")


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
