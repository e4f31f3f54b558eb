"""A time series as everybody here receives it: checked once, then read-only."""

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, Any, Literal, Self

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


def _as_matrix(x: Any, *, copy: bool = True) -> Floats:
    array = np.asarray(x)
    if array.size == 0:
        raise EmptyData("the array holds no numbers", shape=list(array.shape))
    if array.ndim not in (1, 2):
        raise BadShape(f"an array of shape {array.shape} is not (T,) or (T, N)", shape=list(array.shape))
    if array.dtype.kind not in "fiub":
        raise NotReal(f"an array of dtype {array.dtype} does not hold real numbers", dtype=str(array.dtype))
    matrix = array.reshape(len(array), -1)
    if copy or not matrix.flags.writeable:
        return np.array(matrix, dtype=np.float64, order="C")
    return np.ascontiguousarray(matrix, dtype=np.float64)


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
    lowest, highest = np.fmin.reduce(x, axis=0).tolist(), np.fmax.reduce(x, axis=0).tolist()
    for name, low, high in zip(names, lowest, highest, strict=True):
        if np.isnan(low):
            raise EmptyData(f"column '{name}' has no finite entry", column=name)
        if high - low <= 1e-12 * max(1e-300, abs(low), abs(high)):
            raise ConstantChannel(f"column '{name}' is {low:g} in every row", column=name, value=low)


def _driven_by(
    inputs: Any, names: Sequence[str] | None, rows: int, channels: tuple[str, ...]
) -> tuple[Floats, tuple[str, ...]]:
    if inputs is None:
        return np.zeros((rows, 0)), ()
    u = _as_matrix(inputs)
    labels = tuple(names) if names is not None else tuple(f"u{i}" for i in range(u.shape[1]))
    if len(u) != rows:
        raise BadShape(f"{len(u)} rows of inputs for {rows} rows of data", shape=list(u.shape))
    if len(labels) != u.shape[1] or len({*labels, *channels}) != len(labels) + len(channels):
        raise BadShape(f"{u.shape[1]} inputs need as many names of their own, not {labels}", shape=list(u.shape))
    _check_finite(u, labels)
    return u, labels


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
        inputs: (T, K) or (T,) external inputs that drove the system, such as a stimulus: row t acts on the step that
            leads to x[t]. They may be constant but must be known everywhere. None where nothing is known to drive it.
        input_names: K names; `u0, u1, ...` where none are given.
        copy: False takes `x` over where it is float64 and contiguous, for one who has just made it and needs it no
            more: series may be large.

    Raises:
        EmptyData, BadShape, NotReal, BadStep, TooShort, NotFinite, ConstantChannel: with `row` and `column` where
            there is one.
    """

    x: Floats
    dt: float | None
    names: tuple[str, ...]
    stretch: Ints
    mask: Flags
    inputs: Floats
    input_names: tuple[str, ...]

    def __init__(
        self,
        x: Any,
        dt: float | None = None,
        *,
        names: Sequence[str] | None = None,
        stretch: Any = None,
        missing: Literal["refuse", "mask"] = "refuse",
        inputs: Any = None,
        input_names: Sequence[str] | None = None,
        copy: bool = True,
    ) -> None:
        matrix = _as_matrix(x, copy=copy)
        rows, channels = matrix.shape
        labels = tuple(names) if names is not None else tuple(f"x{i}" for i in range(channels))
        index = np.zeros(rows, np.int64) if stretch is None else np.asarray(stretch, np.int64)
        if len(labels) != channels or len(set(labels)) != channels:
            raise BadShape(f"{len(labels)} distinct names for {channels} channels", shape=[rows, channels])
        if index.shape != (rows,) or (stretch is not None and (index[1:] < index[:-1]).any()):
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
        driven, drives = _driven_by(inputs, input_names, rows, labels)
        self._set(x=matrix, dt=dt, names=labels, stretch=index, mask=mask, inputs=driven, input_names=drives)

    def _set(self, **fields: Any) -> None:
        for name, value in fields.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    @classmethod
    def joined(cls, pieces: Sequence[Self]) -> Self:
        """Several recordings of one system as one series; each stretch of each piece stays one of its own.

        Raises:
            BadShape: names, inputs or sampling steps differ, or there is no piece.
        """
        if not pieces:
            raise BadShape("no series to join", shape=[0])
        first, after = pieces[0], 0
        stretches = []
        for number, piece in enumerate(pieces):
            for what in ("names", "input_names", "dt"):
                if getattr(piece, what) != getattr(first, what):
                    detail = f"series {number} has {what} {getattr(piece, what)}, the first has {getattr(first, what)}"
                    raise BadShape(detail, shape=list(piece.x.shape))
            stretches.append(piece.stretch - piece.stretch[0] + after)
            after = int(stretches[-1][-1]) + 1
        whole = object.__new__(cls)
        whole._set(
            x=np.concatenate([piece.x for piece in pieces]),
            dt=first.dt,
            names=first.names,
            stretch=np.concatenate(stretches),
            mask=np.concatenate([piece.mask for piece in pieces]),
            inputs=np.concatenate([piece.inputs for piece in pieces]),
            input_names=first.input_names,
        )
        return whole

    def with_entries(self, x: Floats) -> Self:
        """The same series with other values, say with its gaps bridged: NaN where an entry is missing."""
        other = object.__new__(type(self))
        facts = {"dt": self.dt, "names": self.names, "stretch": self.stretch, "mask": ~np.isfinite(x)}
        other._set(x=x, inputs=self.inputs, input_names=self.input_names, **facts)
        return other

    @property
    def length(self) -> int:
        """T, the number of rows."""
        return len(self.x)

    @property
    def channels(self) -> int:
        """N, the number of observed channels."""
        return int(self.x.shape[1])

    @property
    def driven_by(self) -> int:
        """K, the number of external inputs; 0 for an autonomous system."""
        return len(self.input_names)

    def rows(self, start: int, stop: int) -> Self:
        """The piece [start, stop), not checked again (a piece of a good series may be short or flat)."""
        piece = object.__new__(type(self))
        cut = slice(start, stop)
        arrays = {name: getattr(self, name)[cut].copy() for name in ("x", "stretch", "mask", "inputs")}
        piece._set(dt=self.dt, names=self.names, input_names=self.input_names, **arrays)
        return piece

    def runs(self, min_rows: int = 1, longest_gap: int = 0) -> list[slice]:
        """The complete runs: rows inside one stretch, at least `min_rows` long, in order of time.

        A missing entry ends a run unless it belongs to a gap of its channel of at most `longest_gap` rows.
        """
        complete: Flags = ~np.asarray((self.gap_lengths() > longest_gap).any(axis=1))
        breaks = np.flatnonzero((np.diff(self.stretch) != 0) | (complete[1:] != complete[:-1])) + 1
        edges = [0, *breaks.tolist(), self.length]
        return [slice(a, b) for a, b in pairwise(edges) if b - a >= min_rows and complete[a]]

    def gap_lengths(self) -> Ints:
        """(T, N) for each missing entry the rows of its gap, 0 for measured ones; a new stretch begins a new gap."""
        lengths = np.zeros(self.mask.shape, np.int64)
        if not self.mask.any():
            return lengths
        fresh = np.concatenate([[True], np.diff(self.stretch) != 0])
        for column in range(self.channels):
            missing = self.mask[:, column]
            starts = np.flatnonzero(fresh | np.concatenate([[True], missing[1:] != missing[:-1]]))
            sizes = np.diff(starts, append=self.length)
            lengths[:, column] = np.where(missing, np.repeat(sizes, sizes), 0)
        return lengths

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
        drive = repr(self.input_names).encode() + self.inputs.tobytes() if self.driven_by else b""
        return hashlib.sha256(head + body + drive).hexdigest()

    def to_npz(self) -> bytes:
        """The series as the bytes of an .npz file without Python objects."""
        buffer = io.BytesIO()
        self.write_npz(buffer)
        return buffer.getvalue()

    def write_npz(self, file: str | os.PathLike[str] | IO[bytes]) -> None:
        """Writes what `to_npz` gives to a file, without holding it in memory."""
        dt = np.float64(np.nan if self.dt is None else self.dt)
        members: dict[str, Any] = {"x": self.x, "dt": dt, "names": np.array(self.names), "stretch": self.stretch}
        if self.driven_by:
            members |= {"inputs": self.inputs, "input_names": np.array(self.input_names)}
        np.savez(file, **members)

    @classmethod
    def from_npz(cls, content: bytes) -> Self:
        """Reads what `to_npz` wrote."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as members:
                dt, names = float(members["dt"]), [str(name) for name in members["names"]]
                x, stretch = members["x"], members["stretch"]
                inputs = members.get("inputs")
                drives = None if inputs is None else [str(name) for name in members["input_names"]]
        except (ValueError, KeyError, OSError) as error:
            raise UnreadableFile(f"not a stored series: {error}") from error
        facts: dict[str, Any] = {"names": names, "stretch": stretch, "inputs": inputs, "input_names": drives}
        return cls(x, None if np.isnan(dt) else dt, missing="mask", copy=False, **facts)


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
        flat = np.flatnonzero(_is_flat(mean, std))
        if flat.size:
            name = series.names[int(flat[0])]
            raise ConstantChannel(f"column '{name}' does not vary in the training piece", column=name)
        return cls(tuple(mean.tolist()), tuple(std.tolist()))

    @classmethod
    def of_rows(cls, *pieces: Floats) -> Self:
        """The same over pieces (T_i, N) without gaps, such as external inputs; a flat channel is only shifted."""
        x = np.concatenate(pieces)
        mean, std = x.mean(axis=0), x.std(axis=0)
        return cls(tuple(mean.tolist()), tuple(np.where(_is_flat(mean, std), 1.0, std).tolist()))

    def apply(self, x: Floats) -> Floats:
        """Data units to scaled units, (..., N) to (..., N)."""
        scaled: Floats = (x - np.asarray(self.mean)) / np.asarray(self.std)
        return scaled

    def undo(self, x: Floats) -> Floats:
        """Scaled units to data units, (..., N) to (..., N)."""
        restored: Floats = x * np.asarray(self.std) + np.asarray(self.mean)
        return restored


def _is_flat(mean: Floats, std: Floats) -> Flags:
    """Whether a channel varies by no more than the rounding of its mean."""
    flat: Flags = std <= 1e-12 * np.maximum(1e-300, np.abs(mean))
    return flat
