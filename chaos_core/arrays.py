"""Numpy arrays with the tensor methods that cells and observations use.

The text of a cell runs on torch for training and on these for analysis, forecasts and clients without torch; both
agree to 1e-14 in float64. Operators, `.mT`, `.sum`, `.abs` and indexing are numpy's own; only what torch spells as a
method and numpy does not is added here.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from chaos_core.typing import Floats, Params, Tensor

__all__ = ["Array", "as_array", "as_arrays", "as_numpy", "concat", "shifted"]

PINV_CUTOFF = 1e-15
"""Singular values below this share of the largest count as zero: the value that `Tensor.pinverse` uses."""


class Array(np.ndarray[Any, np.dtype[np.float64]]):
    """A float64 numpy array that answers to the tensor methods cells use. Made by `as_array`, never directly."""

    def relu(self) -> "Array":
        """max(0, x); a NaN stays a NaN, as in torch."""
        return cast(Array, np.maximum(self, 0.0))

    def tanh(self) -> "Array":
        return cast(Array, np.tanh(self))

    def sigmoid(self) -> "Array":
        return cast(Array, 1.0 / (1.0 + np.exp(-self)))

    def sqrt(self) -> "Array":
        return cast(Array, np.sqrt(self))

    def to(self, dtype: npt.DTypeLike) -> "Array":
        """A copy in another number type: turns a comparison into zeros and ones."""
        return cast(Array, self.astype(dtype))

    def diag_embed(self) -> "Array":
        """(..., M) -> (..., M, M): the last axis on the diagonal, zeros elsewhere."""
        return cast(Array, self[..., None] * np.eye(self.shape[-1]))

    def new_zeros(self, shape: tuple[int, ...]) -> "Array":
        return np.zeros(shape, dtype=self.dtype).view(Array)

    def tril(self, diagonal: int = 0) -> "Array":
        return np.tril(self, diagonal).view(Array)

    def triu(self, diagonal: int = 0) -> "Array":
        return np.triu(self, diagonal).view(Array)

    def pinverse(self) -> "Array":
        """The Moore-Penrose inverse of the last two axes."""
        return np.linalg.pinv(np.asarray(self), rcond=PINV_CUTOFF).view(Array)


def as_array(x: npt.ArrayLike) -> Tensor:
    """A float64 view of `x` with tensor methods (no copy where it is float64 already), typed as cells want it."""
    return cast(Tensor, np.asarray(x, dtype=np.float64).view(Array))


def as_arrays(params: Mapping[str, npt.ArrayLike]) -> Params:
    """`as_array` of each parameter."""
    return {name: as_array(value) for name, value in params.items()}


def as_numpy(x: Tensor) -> Floats:
    """The way back from `as_array`: the plain numpy array."""
    return cast(Floats, np.asarray(x))


def shifted(bias: Tensor, s: Tensor | None) -> Tensor:
    """A bias with the drive of the external inputs added, where there is one."""
    return bias if s is None else bias + s


def concat(parts: Sequence[Tensor]) -> Tensor:
    """Joins arrays along the last axis with the library that they come from.

    It exists because joining is a function and no method in torch, and `vmap` refuses to write into slices. What is
    neither torch's nor numpy's brings a method `concat` (`chaos_core.recording`).
    """
    if isinstance(parts[0], np.ndarray):
        return cast(Tensor, np.concatenate(cast(Sequence[Any], parts), axis=-1).view(Array))
    if hasattr(type(parts[0]), "concat"):
        return cast(Tensor, cast(Any, parts[0]).concat(parts))
    return cast(Tensor, sys.modules["torch"].cat(tuple(parts), -1))
