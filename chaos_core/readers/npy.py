"""Arrays in NumPy's own format: the header is judged before anything else is read."""

import io
import math
import struct
import tokenize
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from chaos_core.errors import NotReal, PickleRefused, UnreadableFile
from chaos_core.readers.bounds import bound_shape
from chaos_core.readers.formats import Format
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.refusals import HeaderTooLong, printable
from chaos_core.readers.table import Selection, Table, choose, columns_at
from chaos_core.typing import Floats

__all__ = ["FORMAT", "MAGIC", "Header", "filled", "judge", "read_header", "read_npy"]

MAGIC = b"\x93NUMPY"
HEADER_BYTES = 10_000
"""NumPy itself reads no longer header without being told to."""

PIECE = 1024 * 1024
"""Entries, or bytes of them, that are read at a time."""

UNREADABLE = (
    ValueError, TypeError, SyntaxError, EOFError, RecursionError, MemoryError, OverflowError, KeyError, AttributeError,
    struct.error, tokenize.TokenError,
)  # fmt: skip


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
        header = read_header(file)
        judge(header, file.seek(0, 2) - header.offset, options)
        columns = 1 if len(header.shape) == 1 else header.shape[1]
        names = tuple(f"x{i}" for i in range(columns))
        selection = choose(names, options)
        file.seek(header.offset)
        x = _columns(file, header, selection.positions)

    def where(row: int, position: int) -> dict[str, str | int]:
        return {"row": row, "column": names[position]}

    return Table(names, selection.positions, x, where), selection


def read_header(file: IO[bytes]) -> Header:
    """The header of an array in NumPy's format, from a file that stands at its start.

    Raises:
        HeaderTooLong: longer than NumPy writes for arrays of numbers.
        PickleRefused, NotReal, UnreadableFile: as `read_npy` says.
    """
    start = file.read(len(MAGIC) + 2)
    if not start.startswith(MAGIC):
        if start.startswith(b"\x80"):
            raise PickleRefused("the file is a pickle, not an array in NumPy's format")
        raise UnreadableFile("the file does not begin as a .npy file does")
    version, width = tuple(start[len(MAGIC) :]), 2 if start[len(MAGIC) :] == b"\x01\x00" else 4
    if version not in ((1, 0), (2, 0)):
        if version == (3, 0):
            raise NotReal("version 3.0 of the format, which only structured arrays need", version=list(version))
        raise UnreadableFile("the header names a version of the format that there is not")
    lead = file.read(width)
    length = int.from_bytes(lead, "little")
    if length > HEADER_BYTES:
        raise HeaderTooLong(
            f"a header of {length} bytes; at most {HEADER_BYTES} are read", value=length, limit=HEADER_BYTES
        )
    text = file.read(length)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, fortran, dtype = _announced(version, lead + text)
    except UNREADABLE as error:
        raise UnreadableFile(f"the header cannot be read: {printable(error, 200)}") from error
    return Header(shape, fortran, dtype, len(start) + width + length)


def _announced(version: tuple[int, ...], header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(io.BytesIO(header))
    return np.lib.format.read_array_header_2_0(io.BytesIO(header))


def judge(header: Header, size: int, options: ReadOptions) -> None:
    """Refuses an array for what its header announces.

    Args:
        header: the header.
        size: how many bytes follow it.
        options: the limits.

    Raises:
        PickleRefused, NotReal, BadShape, EmptyData, TooLarge, UnreadableFile: as `read_npy` says.
    """
    shape, dtype = header.shape, header.dtype
    if dtype.hasobject:
        raise PickleRefused(f"the array holds Python objects (dtype {printable(dtype)})", dtype=printable(dtype))
    if dtype.kind not in "fiub" or dtype.subdtype is not None:
        raise NotReal(f"the entries (dtype {printable(dtype)}) are not real numbers", dtype=printable(dtype))
    bound_shape(shape, options)
    needed = math.prod(shape) * dtype.itemsize
    if size != needed:
        kind = "is cut off" if size < needed else "goes on after the array"
        raise UnreadableFile(
            f"the file {kind}: {size} bytes of numbers where its header announces {needed}",
            bytes_found=size,
            bytes_announced=needed,
        )


def _columns(file: IO[bytes], header: Header, positions: Sequence[int]) -> Floats:
    """(T, K) of the columns at these positions, read piece by piece: a file may fill most of the memory there is."""
    rows = header.shape[0]
    columns = math.prod(header.shape[1:])
    x = np.empty((rows, len(positions)))
    if header.fortran:
        start, column_bytes = file.tell(), rows * header.dtype.itemsize
        for place, position in enumerate(positions):
            file.seek(start + position * column_bytes)
            for first in range(0, rows, PIECE):
                piece = filled(file, np.empty(min(PIECE, rows - first), header.dtype))
                x[first : first + PIECE, place] = piece
        return x
    step = max(1, PIECE // columns)
    for first in range(0, rows, step):
        piece = filled(file, np.empty((min(step, rows - first), columns), header.dtype))
        x[first : first + step] = columns_at(piece, positions)
    return x


def filled(file: IO[bytes], array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array, its entries read from the file in the order of its memory.

    Raises:
        UnreadableFile: the file ends before.
    """
    room = array.reshape(-1, order="A").view(np.uint8).data
    while room:
        piece = file.read(min(PIECE, len(room)))
        if not piece:
            raise UnreadableFile(f"the file is cut off: {len(room)} bytes of numbers are missing")
        room[: len(piece)] = piece
        room = room[len(piece) :]
    return array


FORMAT = Format(
    kind="npy",
    read=read_npy,
    endings=(".npy",),
    content_types=("application/x-npy",),
    recognises=lambda head: head.startswith(MAGIC),
)
