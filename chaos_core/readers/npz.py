"""Several arrays in NumPy's own archive: the list of members is judged before one of them is opened."""

import struct
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from chaos_core.errors import ChaosError, PickleRefused, TooLarge, UnknownFormat, UnreadableFile
from chaos_core.readers.arrangement import NamedArray, arranged
from chaos_core.readers.bounds import bound_expansion, bound_members
from chaos_core.readers.formats import Format
from chaos_core.readers.npy import Header, filled, judge, read_header
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.refusals import DuplicateName, UnsafeArchive, printable, unreadable
from chaos_core.readers.stored import is_stored, stored
from chaos_core.readers.table import Selection, Table

__all__ = ["FORMAT", "read_npz"]

MAGIC = b"PK\x03\x04"
END = b"PK\x05\x06"
END_BYTES = 22
TAIL_BYTES = 65536 + END_BYTES
ENTRY_BYTES = 46
"""A member's entry in the list is at least so long."""

NAME_BYTES = 1024
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1


def read_npz(path: Path, options: ReadOptions) -> tuple[Table, Selection]:
    """Reads what `np.savez` and `np.savez_compressed` write: several members are recordings in natural order.

    An archive that `Series.to_npz` wrote, such as a free run from the service, is read back as the series it was.

    Args:
        path: the file; nothing is unpacked to disk, and nothing in it is ever unpickled.
        options: the sender's words; see `chaos_core.readers.arrangement` for which members make up the series.

    Returns:
        The numbers, and which columns are channels and time.

    Raises:
        TooManyMembers, ExpandsTooFar: judged by the archive's own list.
        UnsafeArchive: a name that leaves the archive's folder, a password, an unusual packing.
        DuplicateName: two members of one name.
        PickleRefused: a member holds Python objects.
        UnknownFormat: an archive of something else, such as .xlsx.
        UnreadableFile: damaged, or sizes that lie.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        _bound_list(file, size, options)
        with unreadable("the archive"), zipfile.ZipFile(file) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            bound_members(len(members), options)
            _judge_members(members)
            bound_expansion(sum(info.file_size for info in members), size, options)
            arrays = [_found(archive, info, options) for info in members]
            shapes = {array.name: array.shape for array in arrays}
            if is_stored(shapes) and not options.dataset:
                loads = {array.name: array.load for array in arrays}
                return stored(shapes, lambda name: loads[name](), options)
            return arranged(arrays, options, size, recordings=True)


def _bound_list(file: BinaryIO, size: int, options: ReadOptions) -> None:
    """The length of the list of members: a list of millions is not even read."""
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read()
    place = tail.rfind(END)
    if place < 0 or len(tail) - place < END_BYTES:
        raise UnreadableFile("the archive has no list of its members: it is cut off")
    _, _, _, _, count, length, _, _ = struct.unpack("<4s4H2LH", tail[place : place + END_BYTES])
    if count < 0xFFFF:
        bound_members(count, options)
    if length > (ENTRY_BYTES + NAME_BYTES) * options.max_file_members:
        bound_members(length // ENTRY_BYTES, options)


def _judge_members(members: list[zipfile.ZipInfo]) -> None:
    seen = set()
    for info in members:
        name, shown = info.filename, printable(info.filename)
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if ".." in parts or name.startswith(("/", "\\")) or ":" in name or len(name) > NAME_BYTES:
            raise UnsafeArchive(f"member '{shown}' would leave the archive's folder", member=shown)
        if name in seen:
            raise DuplicateName(f"two members are called '{shown}'", name=shown)
        if info.flag_bits & ENCRYPTED or info.compress_type not in PACKINGS:
            raise UnsafeArchive(f"member '{shown}' is encrypted or packed in an unusual way", member=shown)
        seen.add(name)
    strange = [info.filename for info in members if not info.filename.endswith(".npy")]
    if strange:
        detail = f"a ZIP archive that holds '{printable(strange[0])}' is no .npz (.xlsx files are such archives)"
        raise UnknownFormat(detail, member=printable(strange[0]))


def _found(archive: zipfile.ZipFile, info: zipfile.ZipInfo, options: ReadOptions) -> NamedArray:
    name = info.filename.removesuffix(".npy")
    with archive.open(info) as member:
        header = read_header(member)
    refusal: ChaosError | None = None
    try:
        judge(header, info.file_size - header.offset, options)
    except ChaosError as error:
        if isinstance(error, PickleRefused | UnreadableFile):
            raise
        refusal = None if isinstance(error, TooLarge) else error

    def load() -> npt.NDArray[Any]:
        return _content(archive, info, header)

    return NamedArray(name, header.shape, load, refusal)


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: Header) -> npt.NDArray[Any]:
    with archive.open(info) as member:
        member.seek(header.offset)
        array = filled(member, np.empty(header.shape, header.dtype, order="F" if header.fortran else "C"))
        if member.read(1):
            raise UnreadableFile(f"member '{printable(info.filename)}' is not as long as the archive says")
    return array


FORMAT = Format(
    kind="npz",
    read=read_npz,
    endings=(".npz",),
    content_types=("application/x-npz", "application/zip"),
    recognises=lambda head: head.startswith((MAGIC, END)),
)
