"""What the native code must know of a cell and its observation. Plain data, so that nothing else need be loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Equations", "Pull"]


@dataclass(frozen=True)
class Equations:
    """A cell with native code, and how channels are read off its state.

    Args:
        kind: of the cell; its functions in the library are named after it.
        shapes: of all parameters by name, in the order of the flat vector: the cell's, C, the observation's.
        latent: M, the units that are read out.
        state: numbers in the state.
        observed: N, the channels.
        inner: hidden units, bases, or rectified units; 0 where the cell has none of them.
        drive_width: numbers that external inputs add to the bias.
        inputs: K, external inputs.
        reading: "units" for the identity with hidden units that start at zero, "started" with a trained start,
            "linear" or "affine".
        centred: whether the nonlinearity sees the state less the mean of its units.
        smoothing: width of the hidden units; 0 is the rectifier.
        limits: parameters that are kept within [-limit, limit], by name.
    """

    kind: str
    shapes: Mapping[str, tuple[int, ...]]
    latent: int
    state: int
    observed: int
    inner: int = 0
    drive_width: int = 0
    inputs: int = 0
    reading: Literal["units", "started", "linear", "affine"] = "units"
    centred: bool = False
    smoothing: float = 0.0
    limits: Mapping[str, float] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Numbers in the flat vector."""
        return sum(prod(shape) for shape in self.shapes.values())

    def place(self, name: str, rows: slice = slice(None)) -> tuple[int, int]:
        """First index and number of the entries of a parameter, or of some of its rows, in the flat vector."""
        shape, begin = self.shapes[name], 0
        for other, its_shape in self.shapes.items():
            if other == name:
                break
            begin += prod(its_shape)
        first, end, _ = rows.indices(shape[0])
        width = prod(shape[1:])
        return begin + first * width, (end - first) * width

    def named(self, flat: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """The parameters by name, as views into `flat`."""
        edges = np.cumsum([prod(shape) for shape in self.shapes.values()])[:-1]
        pieces = np.split(flat, edges)
        return {name: piece.reshape(shape) for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)}


@dataclass(frozen=True)
class Pull:
    """A term of the loss that draws a parameter, or some of its rows, towards a target.

    Args:
        parameter: its name.
        form: "squares", the sum of squared distances; "absolute", the sum of absolute ones; "root", the root of the
            sum of squared ones, whose slope at the target counts as zero.
        target: of every entry.
        rows: which rows; all by default.
        weight: factor of the term.
    """

    parameter: str
    form: Literal["squares", "absolute", "root"] = "squares"
    target: float = 0.0
    rows: slice = field(default_factory=lambda: slice(None))
    weight: float = 1.0
