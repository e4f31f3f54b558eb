"""Arrays in NumPy's own format: the header is judged before anything else is read."""

import math
import struct
import tokenize
import warnings
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from chaos_core.errors import BadShape, EmptyData, NotReal, PickleRefused, TooLarge, UnreadableFile
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.table import Selection, Table, choose

__all__ = ["MAGIC", "read_npy"]

MAGIC = b"\x93NUMPY"
UNREADABLE = (ValueError, TypeError, SyntaxError, EOFError, RecursionError, struct.error, tokenize.TokenError)


class Header(NamedTuple):
    """What the file says about its array."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    offset: int


def read_npy(path: Path, options: ReadOptions) -> tuple[Table, Selection]:
    """Reads the wanted columns of a (T,) or (T, N) array; channels are called x0, x1, ...

    Args:
        path: the file; nothing in it is ever unpickled.
        options: the sender's words.

    Returns:
        The numbers, and which columns are channels and time.

    Raises:
        PickleRefused: the array holds Python objects.
        NotReal: complex, structured or other entries that are no real numbers.
        BadShape: more than two axes.
        UnreadableFile: not this format, or shorter or longer than its header says.
        EmptyData, TooLarge, UnknownColumn: see there.
    """
    with path.open("rb") as file:
        header = _header(file)
        size = file.seek(0, 2) - header.offset
    _judge(header, size, options)
    columns = 1 if len(header.shape) == 1 else header.shape[1]
    names = tuple(f"x{i}" for i in range(columns))
    selection = choose(names, options)
    order: Any = "F" if header.fortran else "C"
    array = np.memmap(path, header.dtype, "r", header.offset, header.shape, order)
    x = array.reshape(header.shape[0], columns)[:, list(selection.positions)].astype(np.float64)

    def where(row: int, position: int) -> dict[str, str | int]:
        return {"row": row, "column": names[position]}

    return Table(names, selection.positions, x, where), selection


def _header(file: BinaryIO) -> Header:
    start = file.read(len(MAGIC))
    if start != MAGIC:
        if start.startswith(b"\x80"):
            raise PickleRefused("the file is a pickle, not an array in NumPy's format")
        raise UnreadableFile("the file does not begin as a .npy file does")
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            shape, fortran, dtype = _announced(file)
    except UNREADABLE as error:
        raise UnreadableFile(f"the header cannot be read: {error}") from error
    return Header(shape, fortran, dtype, file.tell())


def _announced(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise NotReal(f"version {version} of the format, which only structured arrays need", version=list(version))


def _judge(header: Header, size: int, options: ReadOptions) -> None:
    shape, dtype = header.shape, header.dtype
    if dtype.hasobject:
        raise PickleRefused(f"the array holds Python objects (dtype {dtype})", dtype=str(dtype))
    if dtype.kind not in "fiub" or dtype.subdtype is not None:
        raise NotReal(f"the entries (dtype {dtype}) are not real numbers", dtype=str(dtype))
    if any(length < 0 for length in shape):
        raise UnreadableFile(f"the header names an impossible shape {shape}")
    if len(shape) not in (1, 2):
        raise BadShape(f"an array of shape {shape} is not (T,) or (T, N)", shape=list(shape))
    if math.prod(shape) == 0:
        raise EmptyData(f"an array of shape {shape} holds no number", shape=list(shape))
    limits = zip(("rows", "columns"), shape, (options.max_rows, options.max_columns), strict=False)
    for what, value, limit in limits:
        if value > limit:
            raise TooLarge(
                f"{value} {what}; at most {limit} are allowed (time runs along the first axis)",
                value=value,
                limit=limit,
            )
    needed = math.prod(shape) * dtype.itemsize
    if size != needed:
        kind = "is cut off" if size < needed else "goes on after the array"
        raise UnreadableFile(
            f"the file {kind}: {size} bytes of numbers where its header announces {needed}",
            bytes_found=size,
            bytes_announced=needed,
        )
