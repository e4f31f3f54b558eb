"""Arrays in HDF5. Links that leave the file are refused, filters are checked, nothing is read before it is chosen."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chaos_core.errors import ChaosError, NotReal
from chaos_core.readers.arrangement import NamedArray, arranged, squeezed
from chaos_core.readers.bounds import bound_expansion, bound_members
from chaos_core.readers.conventions import decoded
from chaos_core.readers.formats import Format
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.refusals import ExternalReference, NestedTooDeep, UnknownFilter, printable, unreadable
from chaos_core.readers.table import Selection, Table

if TYPE_CHECKING:
    import h5py

__all__ = ["FORMAT", "MAGIC", "hdf5_arrays", "is_hdf5", "read_hdf5"]

MAGIC = b"\x89HDF\r\n\x1a\n"
OFFSETS = (0, 512, 1024, 2048)
FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
MATLAB_NUMBERS = {
    "double",
    "single",
    "logical",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}


def read_hdf5(path: Path, options: ReadOptions) -> tuple[Table, Selection]:
    """Reads the array that `dataset` names, or the only one; equally long flat arrays are columns.

    Args:
        path: the file.
        options: the sender's words; see `chaos_core.readers.arrangement` for which arrays make up the series.

    Returns:
        The numbers, and which columns are channels and time.

    Raises:
        ExternalReference: an external link, a virtual dataset or numbers kept in another file, anywhere.
        UnknownFilter: a packing other than gzip, lzf and shuffle.
        TooManyMembers, NestedTooDeep, TooLarge, ExpandsTooFar: judged before reading.
        AmbiguousDataset, UnknownDataset: with `candidates` or `known`.
        NotReal, BadShape, EmptyData, UnknownColumn, UnreadableFile: see there.
    """
    with hdf5_arrays(path, options) as arrays, unreadable("the HDF5 file"):
        return arranged(arrays, options, path.stat().st_size)


def is_hdf5(head: bytes) -> bool:
    """Whether the first bytes are those of HDF5, perhaps after a block of the user's own."""
    return any(head[offset : offset + len(MAGIC)] == MAGIC for offset in OFFSETS)


@contextmanager
def hdf5_arrays(path: Path, options: ReadOptions, *, matlab: bool = False) -> Iterator[list[NamedArray]]:
    """All arrays of the file, to be read as long as the context lasts.

    Args:
        path: the file.
        options: the limits.
        matlab: whether MATLAB wrote it: axes are then the other way round, and classes stand beside the numbers.

    Raises:
        ExternalReference, TooManyMembers, NestedTooDeep, ExpandsTooFar, UnreadableFile: as `read_hdf5` says.
    """
    import h5py

    with unreadable("the HDF5 file"):
        file = h5py.File(path, "r", locking=False)
    try:
        with unreadable("the HDF5 file"):
            walk = _Walk(path.stat().st_size, options, matlab)
            walk.group(file.id, "", 1)
        yield walk.found
    finally:
        file.close()


class _Walk:
    """Goes through the groups of a file by hard links alone."""

    def __init__(self, packed: int, options: ReadOptions, matlab: bool) -> None:
        self.found: list[NamedArray] = []
        self._packed, self._options, self._matlab, self._seen = packed, options, matlab, 0

    def group(self, group: "h5py.h5g.GroupID", prefix: str, depth: int) -> None:
        import h5py

        if depth > self._options.max_nesting_depth:
            detail = f"more than {self._options.max_nesting_depth} levels of groups"
            raise NestedTooDeep(detail, value=depth, limit=self._options.max_nesting_depth)
        self._seen += int(group.get_num_objs())
        bound_members(self._seen, self._options)
        for raw in list(group):
            name = prefix + printable(raw.decode("utf-8", "replace"), 200)
            kind = group.links.get_info(raw).type
            if kind == h5py.h5l.TYPE_SOFT or (self._matlab and raw.startswith(b"#")):
                continue
            if kind != h5py.h5l.TYPE_HARD:
                raise ExternalReference(f"'{name}' is a link to another file", name=name)
            node = h5py.h5o.open(group, raw)
            if isinstance(node, h5py.h5g.GroupID):
                self._subgroup(node, name, depth)
            elif isinstance(node, h5py.h5d.DatasetID):
                self.found.append(_array(node, name, self._packed, self._options, self._matlab))

    def _subgroup(self, group: "h5py.h5g.GroupID", name: str, depth: int) -> None:
        if self._matlab:
            detail = f"'{name}' is a structure, a sparse matrix or an object, not an array of numbers"
            self.found.append(NamedArray(name, (), _nothing, NotReal(detail, dtype="struct")))
        else:
            self.group(group, name + "/", depth + 1)


def _array(node: "h5py.h5d.DatasetID", name: str, packed: int, options: ReadOptions, matlab: bool) -> NamedArray:
    import h5py

    plan = node.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL:
        raise ExternalReference(f"'{name}' is a virtual dataset, put together from other files", name=name)
    if plan.get_layout() != h5py.h5d.CHUNKED and plan.get_external_count():
        raise ExternalReference(f"the numbers of '{name}' are kept in another file", name=name)
    shape = tuple(int(length) for length in node.shape or ())
    refusal = _refusal(node, name, matlab)
    dataset = h5py.Dataset(node)
    axis = refusal is None and _text(dataset, "CLASS") == "DIMENSION_SCALE"
    shown = squeezed(shape[::-1]) if matlab else shape

    def load() -> npt.NDArray[Any]:
        _bound_packing(node, name, packed, options)
        values = np.asarray(dataset[()])
        return values.T.reshape(shown) if matlab else decoded(values, lambda key: _attribute(dataset, key))

    return NamedArray(name, shown, load, refusal, axis)


def _nothing() -> npt.NDArray[Any]:
    return np.zeros(0)


def _refusal(node: "h5py.h5d.DatasetID", name: str, matlab: bool) -> ChaosError | None:
    import h5py

    kind = node.get_type().get_class()
    real = kind in (h5py.h5t.INTEGER, h5py.h5t.FLOAT) or (kind == h5py.h5t.ENUM and node.dtype.kind == "b")
    if matlab:
        written = _text(h5py.Dataset(node), "MATLAB_class")
        real = real and written in MATLAB_NUMBERS and not h5py.h5a.exists(node, b"MATLAB_empty")
    if real:
        return None
    return NotReal(f"the entries of '{name}' are not real numbers", dtype=f"HDF5 class {kind}")


def _bound_packing(node: "h5py.h5d.DatasetID", name: str, packed: int, options: ReadOptions) -> None:
    import h5py

    plan = node.get_create_plist()
    for place in range(plan.get_nfilters()):
        number = int(plan.get_filter(place)[0])
        if number not in FILTERS:
            detail = f"'{name}' is packed with filter {number}; known are {', '.join(FILTERS.values())}"
            raise UnknownFilter(detail, name=name, filter=number)
    if plan.get_layout() == h5py.h5d.CHUNKED:
        cells = 1
        for length in plan.get_chunk():
            cells *= int(length)
        bound_expansion(cells * node.get_type().get_size(), packed, options)


def _text(dataset: "h5py.Dataset", name: str) -> str:
    value = _attribute(dataset, name)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) if value is not None else ""


def _attribute(dataset: "h5py.Dataset", name: str) -> Any:
    """An attribute of one short text or a few numbers; others are not looked at."""
    import h5py

    if not h5py.h5a.exists(dataset.id, name.encode()):
        return None
    found = h5py.h5a.open(dataset.id, name.encode())
    if found.get_storage_size() > 1024 or found.get_type().get_class() not in (
        h5py.h5t.INTEGER,
        h5py.h5t.FLOAT,
        h5py.h5t.STRING,
    ):
        return None
    return dataset.attrs[name]


FORMAT = Format(
    kind="hdf5",
    read=read_hdf5,
    endings=(".h5", ".hdf5", ".hdf", ".he5"),
    content_types=("application/x-hdf5", "application/x-hdf"),
    recognises=lambda head: is_hdf5(head) and not head.startswith(b"MATLAB"),
)
