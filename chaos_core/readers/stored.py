"""The archive that `Series.to_npz` writes, such as a free run that was downloaded, read back with all that it knows."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from chaos_core.errors import UnreadableFile
from chaos_core.readers.bounds import bound_shape
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.table import Selection, Table, choose, columns_at, distinct

__all__ = ["is_stored", "stored"]

MEMBERS = {"x", "dt", "names", "stretch"}
MORE = {"inputs", "input_names"}


def is_stored(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the members, by name with their shapes, are those of a stored series."""
    return MEMBERS <= shapes.keys() <= MEMBERS | MORE and len(shapes["x"]) == 2 and shapes["dt"] == ()


def stored(
    shapes: Mapping[str, tuple[int, ...]], load: Callable[[str], npt.NDArray[Any]], options: ReadOptions
) -> tuple[Table, Selection]:
    """Reads a stored series: its names, its step, its stretches and its inputs come with it.

    Args:
        shapes: the members, by name with their shapes.
        load: reads a member.
        options: the sender's words, which go before what the file says.

    Raises:
        UnreadableFile: members that do not fit together.
        TooLarge, BadShape, EmptyData, UnknownColumn: as always.
    """
    bound_shape(shapes["x"], options)
    rows, columns = shapes["x"]
    driven = shapes.keys() >= MORE
    width = shapes["inputs"][1] if driven and len(shapes["inputs"]) == 2 else 0
    expected = {"names": (columns,), "stretch": (rows,), "inputs": (rows, width), "input_names": (width,)}
    if any(shape != expected[name] for name, shape in shapes.items() if name in expected):
        raise UnreadableFile("the members of the stored series do not fit together")
    labels = [*load("names").tolist(), *(load("input_names").tolist() if driven else [])]
    names = distinct(labels)
    if driven and options.inputs is None:
        options = options.model_copy(update={"inputs": tuple(range(columns, columns + width))})
    if (options.columns, options.time_column, options.stretch_column) == (None, None, None):
        options = options.model_copy(update={"columns": tuple(range(columns))})
    x = np.concatenate([load("x"), load("inputs")], axis=1) if driven else load("x")
    selection = choose(names, options)
    step, stretch = float(load("dt")), load("stretch").astype(np.int64)
    if (np.diff(stretch) < 0).any():
        raise UnreadableFile("the stretches of the stored series are out of order")

    def where(row: int, position: int) -> dict[str, str | int]:
        return {"row": row, "column": names[position]}

    read = columns_at(x, selection.positions).astype(np.float64, copy=False)
    dt = step if np.isfinite(step) and step > 0 else None
    return Table(names, selection.positions, read, where, stretch - stretch[0], dt), selection
