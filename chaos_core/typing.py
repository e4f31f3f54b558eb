"""The vocabulary of shapes and the few types that all of the core shares.

T time, N observed channels, M latent units, L hidden units, K external inputs, B sequences, J jobs. Batch first,
time second, feature last: `x` is (T, N) or (B, T, N), `z` is (T, M) or (B, T, M), `alpha` is (T, M).

Cells and observations are written with tensor methods only (`z @ w.mT`, `z.relu()`), so one text runs on torch and,
through `chaos_core.arrays`, on numpy. Their arrays are therefore typed as `Tensor`, which is looked up by the type
checker alone: nothing here loads torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = Any

__all__ = ["Flags", "Floats", "Ints", "Map", "NumpyParams", "Param", "Params", "Tensor"]

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

Params: TypeAlias = Mapping[str, Tensor]
"""The parameters of a cell and its observation, by name; passed along, never stored in an object."""

NumpyParams: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""The same as plain numpy arrays of any float type, as they are drawn and saved."""


class Map(Protocol):
    """One step of the dynamics with its parameters bound: z (..., M) -> (..., M).

    `s` is the drive C u_t (..., `Cell.drive_width`) of the external inputs at this step; None where there are none.
    """

    def __call__(self, z: Tensor, s: Tensor | None = None, /) -> Tensor: ...


@dataclass(frozen=True)
class Param:
    """A parameter as data: what it looks like and how it starts.

    Args:
        shape: the tensor's shape.
        init: a name in `chaos_core.initialise.INITIALISERS`.
        scale: the half-width or standard deviation that this initialiser wants; 0 where it needs none.
    """

    shape: tuple[int, ...]
    init: str
    scale: float = 0.0

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)
