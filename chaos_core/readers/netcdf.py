"""Variables in NetCDF: the classic formats (CDF-1, 2, 5), read here, and NetCDF-4, which is HDF5."""

import struct
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chaos_core.errors import NotReal, UnreadableFile
from chaos_core.readers.arrangement import NamedArray, arranged
from chaos_core.readers.bounds import bound_members
from chaos_core.readers.conventions import decoded
from chaos_core.readers.formats import Format
from chaos_core.readers.hdf5 import is_hdf5, read_hdf5
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.refusals import DuplicateName, HeaderTooLong, printable, unreadable
from chaos_core.readers.table import Selection, Table

__all__ = ["FORMAT", "read_netcdf"]

MAGICS = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
NUMBERS = {1: "i1", 3: "i2", 4: "i4", 5: "f4", 6: "f8", 7: "u1", 8: "u2", 9: "u4", 10: "i8", 11: "u8"}
TEXT = 2
DIMENSIONS, VARIABLES, ATTRIBUTES = 10, 11, 12
MOST_DIMENSIONS = 1024


@dataclass
class Variable:
    """What the header says about a variable."""

    name: str
    axes: tuple[int, ...]
    attributes: dict[str, Any]
    kind: int
    begin: int


@dataclass
class Header:
    """What the header says: the lengths of the dimensions (0 for that of the records), and the variables."""

    records: int
    names: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)

    def is_record(self, variable: Variable) -> bool:
        """Whether the variable grows with the records."""
        return bool(variable.axes) and self.lengths[variable.axes[0]] == 0

    def shape(self, variable: Variable) -> tuple[int, ...]:
        """Its shape, with as many records as there are."""
        return tuple(self.lengths[axis] or self.records for axis in variable.axes)

    def stride(self) -> int:
        """Bytes of one record over all variables; a single one is not padded."""
        sizes = [self.record_bytes(variable) for variable in self.variables if self.is_record(variable)]
        return sizes[0] if len(sizes) == 1 else sum(-(-size // 4) * 4 for size in sizes)

    def record_bytes(self, variable: Variable) -> int:
        """Bytes of one record of a variable, without padding."""
        width = np.dtype(NUMBERS.get(variable.kind, "i1")).itemsize
        return width * prod(self.lengths[axis] for axis in variable.axes[1:])


def read_netcdf(path: Path, options: ReadOptions) -> tuple[Table, Selection]:
    """Reads the variable that `dataset` names, or the only one; flat ones of equal length are columns.

    Args:
        path: the file. Fill values are missing entries; packed integers are scaled.
        options: the sender's words; see `chaos_core.readers.arrangement` for which variables make up the series.
            A coordinate variable called time (or as `time_column` says) is the clock; other ones are left out.

    Returns:
        The numbers, and which columns are channels and time.

    Raises:
        AmbiguousDataset, UnknownDataset: with `candidates` or `known`.
        TooManyMembers, HeaderTooLong, TooLarge, ExpandsTooFar: judged by the header.
        DuplicateName: two variables of one name.
        NotReal, BadShape, EmptyData, UnknownColumn, UnreadableFile: see there; of NetCDF-4 what HDF5 raises.
    """
    with path.open("rb") as file:
        content = file.read(options.max_file_header_bytes)
    if is_hdf5(content[:4096]):
        return read_hdf5(path, options)
    size = path.stat().st_size
    with unreadable("the NetCDF file"):
        header = _Cursor(content, size, options).header()
        names = [variable.name for variable in header.variables]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise DuplicateName(f"two variables are called '{twice}'", name=twice)
        arrays = [_array(path, header, variable, size) for variable in header.variables]
        return arranged(arrays, options, size)


class _Cursor:
    """Reads the header from left to right and never beyond it."""

    def __init__(self, content: bytes, size: int, options: ReadOptions) -> None:
        self._content, self._size, self._options = content, size, options
        self._place, self._seen = 4, 0
        self._wide, self._far = content[3] == 5, content[3] >= 2

    def header(self) -> Header:
        records = self._count()
        found = Header(0 if records >= (2**64 - 1 if self._wide else 2**32 - 1) else records)
        streaming = found.records != records
        for _ in range(self._list(DIMENSIONS)):
            found.names.append(self._name())
            found.lengths.append(self._count())
        self._attributes()
        for _ in range(self._list(VARIABLES)):
            found.variables.append(self._variable(len(found.lengths)))
        if streaming and found.stride():
            first = min(variable.begin for variable in found.variables if found.is_record(variable))
            found.records = max(0, self._size - first) // found.stride()
        return found

    def _take(self, length: int) -> bytes:
        stop = self._place + length
        if length < 0 or stop > len(self._content):
            if len(self._content) < self._size:
                limit = self._options.max_file_header_bytes
                raise HeaderTooLong(f"the header has more than {limit} bytes", value=stop, limit=limit)
            raise UnreadableFile("the header is cut off")
        piece = self._content[self._place : stop]
        self._place = stop
        return piece

    def _word(self) -> int:
        return int(struct.unpack(">I", self._take(4))[0])

    def _count(self) -> int:
        return int(struct.unpack(">Q", self._take(8))[0]) if self._wide else self._word()

    def _list(self, kind: int) -> int:
        tag, count = self._word(), self._count()
        if tag not in (0, kind) or (tag == 0 and count):
            raise UnreadableFile("a list in the header is damaged")
        self._seen += count
        bound_members(self._seen, self._options)
        return count

    def _name(self) -> str:
        length = self._count()
        text = self._take(-(-length // 4) * 4)[:length]
        return printable(text.decode("utf-8", "replace"), 200)

    def _attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(self._list(ATTRIBUTES)):
            name, kind, count = self._name(), self._word(), self._count()
            width = 1 if kind == TEXT else np.dtype(NUMBERS[kind]).itemsize
            content = self._take(-(-count * width // 4) * 4)[: count * width]
            found[name] = content if kind == TEXT else np.frombuffer(content, f">{NUMBERS[kind]}")
        return found

    def _variable(self, dimensions: int) -> Variable:
        name, count = self._name(), self._count()
        if count > MOST_DIMENSIONS:
            raise UnreadableFile(f"variable '{name}' has {count} dimensions")
        axes = tuple(self._count() for _ in range(count))
        if any(axis >= dimensions for axis in axes):
            raise UnreadableFile(f"variable '{name}' has a dimension that there is not")
        attributes, kind = self._attributes(), self._word()
        self._count()
        begin = int(struct.unpack(">Q", self._take(8))[0]) if self._far else self._word()
        return Variable(name, axes, attributes, kind, begin)


def _array(path: Path, header: Header, variable: Variable, size: int) -> NamedArray:
    shape, name = header.shape(variable), variable.name
    axis = len(variable.axes) == 1 and header.names[variable.axes[0]] == name
    if variable.kind not in NUMBERS:
        refusal = NotReal(f"the entries of '{name}' are not numbers", dtype="text")
        return NamedArray(name, shape, lambda: np.zeros(0), refusal, axis)
    dtype = np.dtype(f">{NUMBERS[variable.kind]}")

    def load() -> npt.NDArray[Any]:
        inner = header.record_bytes(variable) if header.is_record(variable) else dtype.itemsize * prod(shape[1:])
        stride = header.stride() if header.is_record(variable) else inner
        if variable.begin + (shape[0] - 1) * stride + inner > size:
            raise UnreadableFile(f"variable '{name}' is cut off")
        steps = [stride] + [dtype.itemsize * prod(shape[place + 1 :]) for place in range(1, len(shape))]
        content = np.memmap(path, np.uint8, "r")
        values: npt.NDArray[Any] = np.ndarray(shape, dtype, content, variable.begin, steps)
        return decoded(values, variable.attributes.get)

    return NamedArray(name, shape, load, None, axis)


FORMAT = Format(
    kind="netcdf",
    read=read_netcdf,
    endings=(".nc", ".nc3", ".nc4", ".cdf", ".netcdf"),
    content_types=("application/x-netcdf", "application/netcdf"),
    recognises=lambda head: head.startswith(MAGICS) or (is_hdf5(head) and not head.startswith(b"MATLAB")),
)
