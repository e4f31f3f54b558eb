"""A time series as everybody here receives it: checked once, then read-only."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from chaos_core.errors import (
    BadShape,
    BadStep,
    ConstantChannel,
    EmptyData,
    NotFinite,
    NotReal,
    TooShort,
    UnreadableFile,
)

__all__ = ["MIN_ROWS", "Scaling", "Series"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MIN_ROWS = 32
"""Shorter series hold no dynamics that any part of this program could use."""


def _as_matrix(x: Any) -> Floats:
    array = np.asarray(x)
    if array.size == 0:
        raise EmptyData("the array holds no numbers", shape=list(array.shape))
    if array.ndim not in (1, 2):
        raise BadShape(f"an array of shape {array.shape} is not (T,) or (T, N)", shape=list(array.shape))
    if array.dtype.kind not in "fiub":
        raise NotReal(f"an array of dtype {array.dtype} does not hold real numbers", dtype=str(array.dtype))
    return np.array(array.reshape(len(array), -1), dtype=np.float64, order="C")


def _check_finite(x: Floats, names: tuple[str, ...]) -> None:
    bad = ~np.isfinite(x)
    if not bad.any():
        return
    row, column = (int(i) for i in np.argwhere(bad)[0])
    raise NotFinite(
        f"column '{names[column]}', row {row}: {x[row, column]} ({int(bad.sum())} such entries in all)",
        row=row,
        column=names[column],
        count=int(bad.sum()),
    )


def _check_varies(x: Floats, names: tuple[str, ...]) -> None:
    for column, name in enumerate(names):
        values = x[:, column]
        values = values[np.isfinite(values)]
        if values.size == 0:
            raise EmptyData(f"column '{name}' has no finite entry", column=name)
        if np.ptp(values) <= 1e-12 * max(1e-300, float(np.abs(values).max())):
            raise ConstantChannel(f"column '{name}' is {values[0]:g} in every row", column=name, value=float(values[0]))


@dataclass(frozen=True, eq=False)
class Series:
    """A multivariate time series with a fixed sampling step.

    Args:
        x: (T, N) or (T,) real numbers, time along the first axis. Copied to float64 and made read-only.
        dt: sampling step in the user's time units; None where it is not known (results are then per step).
        names: N channel names; `x0, x1, ...` where none are given.
        stretch: (T,) index of the uninterrupted recording that each row belongs to, never decreasing. One stretch
            where it is left out. Windows and neighbours' paths never cross from one stretch to the next.
        missing: "refuse" (the default, since silent gaps spoil a delay embedding) or "mask", which keeps non-finite
            entries as gaps.

    Raises:
        EmptyData, BadShape, NotReal, BadStep, TooShort, NotFinite, ConstantChannel: with `row` and `column` where
            there is one.
    """

    x: Floats
    dt: float | None
    names: tuple[str, ...]
    stretch: Ints
    mask: Flags

    def __init__(
        self,
        x: Any,
        dt: float | None = None,
        *,
        names: Sequence[str] | None = None,
        stretch: Any = None,
        missing: Literal["refuse", "mask"] = "refuse",
    ) -> None:
        matrix = _as_matrix(x)
        rows, channels = matrix.shape
        labels = tuple(names) if names is not None else tuple(f"x{i}" for i in range(channels))
        index = np.zeros(rows, np.int64) if stretch is None else np.asarray(stretch, np.int64)
        if len(labels) != channels or len(set(labels)) != channels:
            raise BadShape(f"{len(labels)} distinct names for {channels} channels", shape=[rows, channels])
        if index.shape != (rows,) or (np.diff(index) < 0).any():
            raise BadShape("`stretch` must be (T,) and never decrease", shape=list(index.shape))
        if dt is not None and not (np.isfinite(dt) and dt > 0):
            raise BadStep(f"dt must be a positive number, not {dt}", dt=str(dt))
        if rows < MIN_ROWS:
            raise TooShort(f"{rows} rows; at least {MIN_ROWS} are needed", rows=rows, rows_needed=MIN_ROWS)
        if missing == "refuse":
            _check_finite(matrix, labels)
        mask = ~np.isfinite(matrix)
        matrix[mask] = np.nan
        _check_varies(matrix, labels)
        self._set(matrix, dt, labels, index, mask)

    def _set(self, x: Floats, dt: float | None, names: tuple[str, ...], stretch: Ints, mask: Flags) -> None:
        for array in (x, stretch, mask):
            array.flags.writeable = False
        for field, value in (("x", x), ("dt", dt), ("names", names), ("stretch", stretch), ("mask", mask)):
            object.__setattr__(self, field, value)

    @property
    def length(self) -> int:
        """T, the number of rows."""
        return len(self.x)

    @property
    def channels(self) -> int:
        """N, the number of observed channels."""
        return int(self.x.shape[1])

    def rows(self, start: int, stop: int) -> Self:
        """The piece [start, stop), not checked again (a piece of a good series may be short or flat)."""
        piece = object.__new__(type(self))
        cut = slice(start, stop)
        piece._set(self.x[cut].copy(), self.dt, self.names, self.stretch[cut].copy(), self.mask[cut].copy())
        return piece

    def runs(self, min_rows: int = 1) -> list[slice]:
        """The complete runs: rows without a gap, inside one stretch, at least `min_rows` long, in order of time."""
        complete: Flags = ~np.asarray(self.mask.any(axis=1))
        breaks = np.flatnonzero((np.diff(self.stretch) != 0) | (complete[1:] != complete[:-1])) + 1
        edges = [0, *breaks.tolist(), self.length]
        return [slice(a, b) for a, b in pairwise(edges) if b - a >= min_rows and complete[a]]

    def split(self, train: float = 0.7, validation: float = 0.1, test: float = 0.2) -> tuple[Self, Self, Self]:
        """Splits by time into (train, validation, test); the shares must add up to 1."""
        if not np.isclose(train + validation + test, 1.0) or min(train, validation, test) < 0:
            raise BadShape(f"shares {train}, {validation}, {test} do not add up to 1", shape=[self.length])
        first = round(self.length * train)
        second = round(self.length * (train + validation))
        return self.rows(0, first), self.rows(first, second), self.rows(second, self.length)

    def digest(self) -> str:
        """sha256 over values, gaps, stretches, names and dt: equal series have equal digests."""
        head = repr((self.x.shape, self.dt, self.names)).encode()
        body = np.nan_to_num(self.x).tobytes() + self.mask.tobytes() + self.stretch.tobytes()
        return hashlib.sha256(head + body).hexdigest()

    def to_npz(self) -> bytes:
        """The series as the bytes of an .npz file without Python objects."""
        buffer = io.BytesIO()
        dt = np.float64(np.nan if self.dt is None else self.dt)
        np.savez(buffer, x=self.x, dt=dt, names=np.array(self.names), stretch=self.stretch)
        return buffer.getvalue()

    @classmethod
    def from_npz(cls, content: bytes) -> Self:
        """Reads what `to_npz` wrote."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as members:
                dt, names = float(members["dt"]), [str(name) for name in members["names"]]
                x, stretch = members["x"], members["stretch"]
        except (ValueError, KeyError, OSError) as error:
            raise UnreadableFile(f"not a stored series: {error}") from error
        return cls(x, None if np.isnan(dt) else dt, names=names, stretch=stretch, missing="mask")


@dataclass(frozen=True)
class Scaling:
    """Per-channel z-score: the cell sees (x - mean) / std, both measured on the training piece only."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, series: Series) -> Self:
        """Mean and standard deviation of each channel over the entries that are there."""
        mean = np.nanmean(series.x, axis=0)
        std = np.nanstd(series.x, axis=0)
        flat = np.flatnonzero(std <= 1e-12 * np.maximum(1e-300, np.abs(mean)))
        if flat.size:
            name = series.names[int(flat[0])]
            raise ConstantChannel(f"column '{name}' does not vary in the training piece", column=name)
        return cls(tuple(mean.tolist()), tuple(std.tolist()))

    def apply(self, x: Floats) -> Floats:
        """Data units to scaled units, (..., N) to (..., N)."""
        scaled: Floats = (x - np.asarray(self.mean)) / np.asarray(self.std)
        return scaled

    def undo(self, x: Floats) -> Floats:
        """Scaled units to data units, (..., N) to (..., N)."""
        restored: Floats = x * np.asarray(self.std) + np.asarray(self.mean)
        return restored
