"""From the named arrays of one file (NPZ, HDF5, MATLAB, NetCDF) to one table: which are read, and what they are."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chaos_core.errors import BadShape, ChaosError, EmptyData
from chaos_core.readers.bounds import bound_expansion, bound_shape
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.refusals import AmbiguousDataset, UnknownDataset, printable
from chaos_core.readers.table import Selection, Table, choose, columns_at, distinct, is_time_name
from chaos_core.typing import Floats, Ints

__all__ = ["NamedArray", "arranged", "squeezed"]

NUMBER_BYTES = 8
SHOWN_NAMES = 100


@dataclass(frozen=True)
class NamedArray:
    """An array that has been found, but not read.

    Args:
        name: its name or path in the file.
        shape: (T,) or (T, N) where it can be read.
        load: reads it.
        refusal: why it can be no part of a series; None where it can.
        axis: it only counts along an axis of another array, and is read if it is named or is the clock.
    """

    name: str
    shape: tuple[int, ...]
    load: Callable[[], npt.NDArray[Any]]
    refusal: ChaosError | None = None
    axis: bool = False

    @property
    def leaf(self) -> str:
        """The last part of its path."""
        return self.name.rsplit("/", 1)[-1]

    @property
    def folder(self) -> str:
        """What stands before it."""
        return self.name.rpartition("/")[0]

    @property
    def columns(self) -> int:
        """N, 1 for a flat array."""
        return self.shape[1] if len(self.shape) == 2 else 1


def arranged(
    arrays: Sequence[NamedArray], options: ReadOptions, packed: int, *, recordings: bool = False
) -> tuple[Table, Selection]:
    """Reads the arrays that make up the series.

    `dataset` names them. If it is left out, all arrays of numbers with one or two axes are meant, scalars not. One is
    the table itself. Several flat ones of one length are its columns, unless their names differ in nothing but a
    number. Where `recordings` is set, others with equally many columns are recordings that follow each other, in
    natural order of their names (run2 before run10). `arrays` says outright which of the two they are. A flat array
    called t, time or the like (or as `time_column` says) is the clock: of all rows, or of each recording.

    Args:
        arrays: all that the file holds.
        options: the sender's words.
        packed: bytes of the file, to judge what they become.
        recordings: whether several arrays may be recordings without being called so.

    Returns:
        The numbers, and which columns are channels and time.

    Raises:
        AmbiguousDataset: several arrays that are neither.
        UnknownDataset: `dataset` names none of them.
        EmptyData, BadShape, NotReal, TooLarge, ExpandsTooFar, UnknownColumn: as always.
    """
    chosen, clocks = _chosen(arrays, options)
    for array in chosen:
        if array.refusal is not None:
            raise array.refusal
        bound_shape(array.shape, options)
    follow = _follow(chosen, options, recordings)
    chosen = sorted(chosen, key=lambda array: _natural(array.name)) if follow and not options.dataset else chosen
    rows = sum(array.shape[0] for array in chosen) if follow else chosen[0].shape[0]
    columns = chosen[0].columns if follow else sum(array.columns for array in chosen)
    bound_shape((rows, columns), options)
    bound_expansion(rows * columns * NUMBER_BYTES, packed, options)
    lengths = [array.shape[0] for array in chosen] if follow else [rows]
    clock = _clock(clocks, chosen, lengths, options)
    names = _names(chosen, clock, follow)
    if clock is not None and options.time_column is not None:
        options = options.model_copy(update={"time_column": 0})
    selection = choose(names, options)
    x = columns_at(_numbers(chosen, clock, lengths, follow), selection.positions)
    return _table(names, selection, x, chosen, lengths), selection


def squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape without axes of length one: MATLAB knows no flat arrays."""
    return tuple(length for length in shape if length != 1) or tuple(shape[:1])


def _chosen(arrays: Sequence[NamedArray], options: ReadOptions) -> tuple[list[NamedArray], list[NamedArray]]:
    flat = [array for array in arrays if array.refusal is None and len(array.shape) == 1 and array.shape[0] > 1]
    if options.dataset:
        chosen = [_named(arrays, name) for name in dict.fromkeys(options.dataset)]
        return chosen, [array for array in flat if _is_clock(array, options) and array not in chosen]
    good = [array for array in arrays if array.refusal is None and _is_table(array.shape)]
    clocks = [array for array in flat if _is_clock(array, options)] if len(good) > 1 else []
    chosen = [array for array in good if array not in clocks and not array.axis]
    if not chosen and clocks:
        return clocks[:1], []
    if not chosen:
        raise _nothing(arrays)
    return chosen, clocks


def _is_table(shape: tuple[int, ...]) -> bool:
    return len(shape) in (1, 2) and shape[0] > 1 and all(length > 0 for length in shape)


def _is_clock(array: NamedArray, options: ReadOptions) -> bool:
    if options.time_column is not None:
        return str(options.time_column) in (array.name, array.leaf)
    return is_time_name(array.leaf)


def _named(arrays: Sequence[NamedArray], name: str) -> NamedArray:
    plain = name.strip().strip("/")
    found = [array for array in arrays if array.name == plain] or [array for array in arrays if array.leaf == plain]
    if len(found) == 1:
        return found[0]
    if found:
        raise _ambiguous(found, f"{len(found)} arrays are called '{printable(plain)}'")
    known = [printable(array.name) for array in arrays[:SHOWN_NAMES]]
    raise UnknownDataset(f"there is no array '{printable(name)}'", dataset=printable(name), known=known)


def _nothing(arrays: Sequence[NamedArray]) -> ChaosError:
    refused = next((array.refusal for array in arrays if array.refusal is not None), None)
    if refused is not None:
        return refused
    many = next((array for array in arrays if len(array.shape) > 2), None)
    if many is not None:
        detail = f"array '{printable(many.name)}' of shape {many.shape} is not (T,) or (T, N)"
        return BadShape(detail, shape=list(many.shape))
    return EmptyData("the file holds no array of numbers", names=[printable(array.name) for array in arrays[:100]])


def _follow(chosen: Sequence[NamedArray], options: ReadOptions, recordings: bool) -> bool:
    """Whether the arrays are recordings one after the other, and not columns side by side."""
    if len(chosen) == 1:
        return False
    beside = len({array.shape[0] for array in chosen}) == 1
    alike = len({array.columns for array in chosen}) == 1
    if options.arrays is not None:
        if not (alike if options.arrays == "stretches" else beside):
            equal = "columns" if options.arrays == "stretches" else "rows"
            raise _ambiguous(chosen, f"arrays={options.arrays} needs arrays with equally many {equal}")
        return options.arrays == "stretches"
    counted = len({re.sub(r"\d+", "", array.name) for array in chosen}) == 1
    flat = all(len(array.shape) == 1 for array in chosen)
    if flat and beside and not counted:
        return False
    if recordings and alike:
        return True
    raise _ambiguous(chosen, f"{len(chosen)} arrays of numbers, and nothing says which is the series")


def _ambiguous(arrays: Sequence[NamedArray], detail: str) -> AmbiguousDataset:
    found = [{"name": printable(array.name), "shape": list(array.shape)} for array in arrays[:SHOWN_NAMES]]
    return AmbiguousDataset(detail, candidates=found)


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(int(part[:18]), "") if place % 2 else (0, part) for place, part in enumerate(parts)]


def _clock(
    clocks: Sequence[NamedArray], chosen: Sequence[NamedArray], lengths: list[int], options: ReadOptions
) -> NamedArray | None:
    rows = sum(lengths)
    fitting = [c for c in clocks if c.shape[0] == rows or all(c.shape[0] == length for length in lengths)]
    near = [clock for clock in fitting if clock.folder == chosen[0].folder]
    if fitting:
        return (near or fitting)[0]
    if clocks and (not options.dataset or options.time_column is not None):
        detail = f"the time '{printable(clocks[0].name)}' has {clocks[0].shape[0]} entries for {rows} rows"
        raise BadShape(detail, shape=list(clocks[0].shape))
    return None


def _names(chosen: Sequence[NamedArray], clock: NamedArray | None, follow: bool) -> tuple[str, ...]:
    first = chosen[0]
    if len(chosen) == 1 or follow:
        single = first.columns == 1 and not follow
        names = [first.leaf] if single else [f"x{i}" for i in range(first.columns)]
    else:
        leaves = [array.leaf for array in chosen]
        heads = leaves if len(set(leaves)) == len(leaves) else [array.name for array in chosen]
        names = []
        for head, array in zip(heads, chosen, strict=True):
            names += [head] if array.columns == 1 else [f"{head}{i}" for i in range(array.columns)]
    return distinct([*([clock.leaf] if clock is not None else []), *names])


def _numbers(chosen: Sequence[NamedArray], clock: NamedArray | None, lengths: list[int], follow: bool) -> Floats:
    pieces = [_loaded(array) for array in chosen]
    x = np.concatenate(pieces, axis=0 if follow else 1) if len(pieces) > 1 else pieces[0]
    if clock is None:
        return x
    moments = _loaded(clock)
    if len(moments) != len(x):
        moments = np.tile(moments, (len(lengths), 1))
    return np.concatenate([moments, x], axis=1)


def _loaded(array: NamedArray) -> Floats:
    values = np.asarray(array.load())
    return values.reshape(array.shape[0], array.columns).astype(np.float64, copy=False)


def _table(
    names: tuple[str, ...], selection: Selection, x: Floats, chosen: Sequence[NamedArray], lengths: list[int]
) -> Table:
    stretch: Ints | None = None
    if len(lengths) > 1:
        stretch = np.repeat(np.arange(len(lengths)), lengths).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])

    def where(row: int, position: int) -> dict[str, str | int]:
        fields: dict[str, str | int] = {"row": row, "column": names[position]}
        if len(lengths) > 1:
            member = int(np.searchsorted(starts, row, side="right")) - 1
            fields |= {"member": printable(chosen[member].name), "member_row": row - int(starts[member])}
        return fields

    return Table(names, selection.positions, x, where, stretch)
