"""Arrays of numbers in MATLAB's files: version 4, 5 to 7, and 7.3, which is HDF5.

The first two are read here and not by SciPy: its reader, given 56 000 damaged files, broke down 66 times with the
whole process.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from chaos_core.errors import NotReal, UnreadableFile
from chaos_core.readers.arrangement import NamedArray, arranged, squeezed
from chaos_core.readers.bounds import bound_expansion, bound_members
from chaos_core.readers.formats import Format
from chaos_core.readers.hdf5 import hdf5_arrays, is_hdf5
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.refusals import printable, unreadable
from chaos_core.readers.table import Selection, Table

__all__ = ["FORMAT", "matlab_arrays", "read_matlab"]

HEAD_BYTES = 128
LOOK_BYTES = 4096
"""Flags, axes, name and the tag of the numbers stand within the first bytes of an array."""

COMPRESSED, MATRIX = 15, 14
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CLASSES = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single", 8: "int8", 9: "uint8",
    10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64", 16: "function handle",
    17: "object",
}  # fmt: skip
FIRST_NUMBER, LAST_NUMBER = 6, 15
COMPLEX = 0x08
OLD_NUMBERS = {0: "f8", 1: "f4", 2: "i4", 3: "i2", 4: "u2", 5: "u1"}
OLD_NAME_BYTES = 256


class Tag(NamedTuple):
    """The head of an element: its type, its length, and where its content starts and the next one."""

    kind: int
    length: int
    start: int
    after: int


@dataclass(frozen=True)
class Element:
    """An array of a file of version 5: where its bytes stand, and in which order."""

    path: Path
    start: int
    length: int
    packed: bool
    order: str


def read_matlab(path: Path, options: ReadOptions) -> tuple[Table, Selection]:
    """Reads the variable that `dataset` names, or the only one that is an array of numbers.

    Args:
        path: the file. Vectors are flat, standing or lying.
        options: the sender's words; see `chaos_core.readers.arrangement` for which variables make up the series.

    Returns:
        The numbers, and which columns are channels and time.

    Raises:
        NotReal: complex or sparse numbers, text, cells, structures, objects, function handles.
        AmbiguousDataset, UnknownDataset: with `candidates` or `known`.
        TooManyMembers, TooLarge, ExpandsTooFar: judged before reading.
        BadShape, EmptyData, UnknownColumn, UnreadableFile: see there; of version 7.3 what HDF5 raises.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(LOOK_BYTES)
    if is_hdf5(head):
        with hdf5_arrays(path, options, matlab=True) as arrays, unreadable("the MATLAB file"):
            return arranged(arrays, options, size)
    with unreadable("the MATLAB file"):
        return arranged(matlab_arrays(path, options), options, size)


def matlab_arrays(path: Path, options: ReadOptions) -> list[NamedArray]:
    """All variables of a file of version 4 to 7, none of them read yet.

    Raises:
        TooManyMembers, ExpandsTooFar, UnreadableFile: as `read_matlab` says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return list(_elements(path, head, size, options) if head.startswith(b"MATLAB") else _old(path, size, options))


def _elements(path: Path, head: bytes, size: int, options: ReadOptions) -> Iterator[NamedArray]:
    if len(head) < HEAD_BYTES or head[126:128] not in (b"IM", b"MI"):
        raise UnreadableFile("the head of the MATLAB file is cut off")
    order = "<" if head[126:128] == b"IM" else ">"
    place, count = HEAD_BYTES, 0
    with path.open("rb") as file:
        while place < size:
            count += 1
            bound_members(count, options)
            file.seek(place)
            tag = _tag(file.read(8), 0, order)
            stop = place + 8 + tag.length
            if stop > size or tag.kind not in (COMPRESSED, MATRIX):
                raise UnreadableFile(f"element {count} is cut off or damaged")
            element = Element(path, place, tag.length, tag.kind == COMPRESSED, order)
            found = _announced(file, element, options)
            if found.name:
                yield found
            place = stop


def _announced(file: BinaryIO, element: Element, options: ReadOptions) -> NamedArray:
    look = _opening(file, element, LOOK_BYTES)
    order, whole = element.order, _tag(look, 0, element.order)
    bound_expansion(whole.length, element.length, options)
    flags = _tag(look, 8, order)
    word = int(_values(look, flags, order, 6)[0])
    axes = _tag(look, flags.after, order)
    shape = tuple(int(length) for length in _values(look, axes, order, 5))
    label = _tag(look, axes.after, order)
    name = printable(look[label.start : label.start + label.length].decode("latin-1"))
    kind = CLASSES.get(word & 0xFF, "unknown")
    if not FIRST_NUMBER <= word & 0xFF <= LAST_NUMBER or (word >> 8) & COMPLEX:
        kind = "complex" if (word >> 8) & COMPLEX and word & 0xFF >= FIRST_NUMBER else kind
        refusal = NotReal(f"variable '{name}' ({kind}) is no array of real numbers", dtype=kind)
        return NamedArray(name, (), lambda: np.zeros(0), refusal)
    plain, numbers = squeezed(shape), label.after

    def load() -> npt.NDArray[Any]:
        return _content(element, numbers, shape, options).reshape(plain)

    return NamedArray(name, plain, load)


def _tag(content: bytes, place: int, order: str) -> Tag:
    if place + 8 > len(content):
        raise UnreadableFile("an element is cut off")
    first, second = struct.unpack(f"{order}2I", content[place : place + 8])
    if first >> 16:
        return Tag(first & 0xFFFF, min(first >> 16, 4), place + 4, place + 8)
    return Tag(first, second, place + 8, place + 8 + -(-second // 8) * 8)


def _values(content: bytes, tag: Tag, order: str, kind: int) -> npt.NDArray[Any]:
    stop = tag.start + tag.length
    if tag.kind != kind or tag.length < 8 or tag.length % 4 or stop > len(content):
        raise UnreadableFile("an array's head is damaged")
    return np.frombuffer(content[tag.start : stop], f"{order}{NUMBERS[kind]}")


def _opening(file: BinaryIO, element: Element, length: int) -> bytes:
    """The first bytes of an array, from its own tag on."""
    if not element.packed:
        file.seek(element.start)
        return file.read(min(length, element.length + 8))
    file.seek(element.start + 8)
    return zlib.decompressobj().decompress(file.read(min(element.length, LOOK_BYTES)), length)


def _content(element: Element, place: int, shape: tuple[int, ...], options: ReadOptions) -> npt.NDArray[Any]:
    with element.path.open("rb") as file:
        whole = _tag(_opening(file, element, 8), 0, element.order)
        file.seek(element.start + (8 if element.packed else 0))
        content = file.read(element.length + (0 if element.packed else 8))
    if element.packed:
        stream = zlib.decompressobj()
        content = stream.decompress(content, whole.length + 9)
        if len(content) != whole.length + 8 or stream.decompress(stream.unconsumed_tail, 1) or not stream.eof:
            raise UnreadableFile("a compressed variable is not as long as it says")
    numbers = _tag(content, place, element.order)
    bound_expansion(prod(shape), element.length, options)
    kind = NUMBERS.get(numbers.kind)
    if kind is None or numbers.start + numbers.length > len(content):
        raise UnreadableFile("the numbers of a variable are cut off or of an unknown kind")
    values = np.frombuffer(content[numbers.start : numbers.start + numbers.length], f"{element.order}{kind}")
    if values.size != prod(shape):
        raise UnreadableFile(f"a variable of shape {shape} holds {values.size} numbers")
    return values.reshape(shape, order="F")


class Old(NamedTuple):
    """The head of an array of version 4, and the order of its bytes."""

    kind: int
    rows: int
    columns: int
    imaginary: int
    name_bytes: int
    order: str


def _old_head(content: bytes) -> Old | None:
    if len(content) < 20:
        return None
    for order in "<>":
        kind, rows, columns, imaginary, length = struct.unpack(f"{order}5i", content[:20])
        thousands, hundreds, tens, ones = kind // 1000, kind // 100 % 10, kind // 10 % 10, kind % 10
        sane = thousands == (order == ">") and hundreds == 0 and tens in OLD_NUMBERS and ones in (0, 1, 2)
        if sane and min(rows, columns) >= 0 and imaginary in (0, 1) and 1 < length <= OLD_NAME_BYTES:
            return Old(kind, rows, columns, imaginary, length, order)
    return None


def _is_old(head: bytes) -> bool:
    found = _old_head(head)
    if found is None or len(head) < 20 + found.name_bytes:
        return False
    name = head[20 : 20 + found.name_bytes]
    return name.endswith(b"\0") and name[:-1].isascii() and name[:-1].decode("ascii").isidentifier()


def _old(path: Path, size: int, options: ReadOptions) -> Iterator[NamedArray]:
    place, count = 0, 0
    with path.open("rb") as file:
        while place < size:
            count += 1
            bound_members(count, options)
            file.seek(place)
            head = file.read(20 + OLD_NAME_BYTES)
            found = _old_head(head)
            if found is None:
                raise UnreadableFile(f"the head of variable {count} is cut off or damaged")
            name = printable(head[20 : 20 + found.name_bytes].split(b"\0")[0].decode("latin-1"))
            dtype = np.dtype(found.order + OLD_NUMBERS[found.kind // 10 % 10])
            start = place + 20 + found.name_bytes
            place = start + found.rows * found.columns * dtype.itemsize * (1 + found.imaginary)
            if place > size:
                raise UnreadableFile(f"variable '{name}' is cut off")
            yield _old_array(path, name, found, start, dtype)


def _old_array(path: Path, name: str, found: Old, start: int, dtype: np.dtype[Any]) -> NamedArray:
    kind = {1: "char", 2: "sparse"}.get(found.kind % 10, "complex" if found.imaginary else "")
    shape = (found.rows, found.columns)
    if kind:
        refusal = NotReal(f"variable '{name}' ({kind}) is no array of real numbers", dtype=kind)
        return NamedArray(name, (), lambda: np.zeros(0), refusal)

    def load() -> npt.NDArray[Any]:
        return np.fromfile(path, dtype, prod(shape), offset=start).reshape(shape, order="F").reshape(squeezed(shape))

    return NamedArray(name, squeezed(shape), load)


FORMAT = Format(
    kind="matlab",
    read=read_matlab,
    endings=(".mat",),
    content_types=("application/x-matlab-data", "application/matlab-mat"),
    recognises=lambda head: head.startswith((b"MATLAB 5.0", b"MATLAB 7.")) or _is_old(head),
)
