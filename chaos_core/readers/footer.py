"""What a Parquet file says about itself, checked against itself: a library that believes it may ask for any memory."""

from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from chaos_core.errors import UnreadableFile
from chaos_core.readers.bounds import bound_expansion
from chaos_core.readers.limits import Limits
from chaos_core.readers.refusals import ExternalReference, HeaderTooLong
from chaos_core.readers.thrift import Compact

__all__ = ["MAGIC", "bound_footer"]

MAGIC = b"PAR1"
TAIL_BYTES = 8
PAGE_HEAD_BYTES = 65536
DICTIONARY = 2
DATA_PAGES = {0: 5, 3: 8}
"""Type of page -> the field with its counts."""


class Chunk(NamedTuple):
    """The pages of one column in one group of rows."""

    values: int
    start: int
    packed: int
    unpacked: int
    flat: bool


def bound_footer(path: Path, limits: Limits) -> int:
    """Judges the footer and the heads of all pages.

    Args:
        path: a file that begins as Parquet does.
        limits: the longest footer, and how much may come out.

    Returns:
        The number of rows.

    Raises:
        HeaderTooLong: the footer is too long.
        ExpandsTooFar: the columns become too large.
        ExternalReference: a column is kept in another file.
        UnreadableFile: cut off, or counts and places that contradict each other.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        footer = _footer(file, size, limits)
        rows, groups = _whole(footer, 3), footer.get(4, [])
        if not isinstance(groups, list) or sum(_whole(group, 3) for group in groups) != rows:
            raise UnreadableFile("the groups of rows do not add up to the rows of the footer")
        expanded = 0
        for group in groups:
            for column in group.get(1, []):
                chunk = _chunk(column, _whole(group, 3), size)
                expanded += chunk.unpacked
                bound_expansion(expanded, size, limits)
                _walk(file, chunk)
    return rows


def _footer(file: BinaryIO, size: int, limits: Limits) -> dict[int, Any]:
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read(TAIL_BYTES)
    if size < len(MAGIC) + TAIL_BYTES or tail[4:] != MAGIC:
        raise UnreadableFile("the file does not end as a Parquet file does: it is cut off")
    length = int.from_bytes(tail[:4], "little")
    if length > size - TAIL_BYTES - len(MAGIC):
        raise UnreadableFile(f"the footer announces {length} bytes in a file of {size}")
    if length > limits.max_file_header_bytes:
        detail = f"the footer has {length} bytes; at most {limits.max_file_header_bytes} are allowed"
        raise HeaderTooLong(detail, value=length, limit=limits.max_file_header_bytes)
    file.seek(size - TAIL_BYTES - length)
    return Compact(file.read(length)).structure()


def _whole(structure: Any, field: int) -> int:
    number = structure.get(field) if isinstance(structure, dict) else None
    if not isinstance(number, int) or number < 0:
        raise UnreadableFile("a count of the footer is missing or negative")
    return number


def _chunk(column: Any, rows: int, size: int) -> Chunk:
    if not isinstance(column, dict) or not isinstance(column.get(3), dict):
        raise UnreadableFile("a column of the footer is damaged")
    if column.get(1):
        raise ExternalReference("a column is kept in another file", name=str(column[1][:80]))
    facts = column[3]
    start = _whole(facts, 9)
    if isinstance(facts.get(11), int) and 0 < facts[11] < start:
        start = facts[11]
    path = facts.get(3)
    flat = isinstance(path, list) and len(path) == 1
    chunk = Chunk(_whole(facts, 5), start, _whole(facts, 7), _whole(facts, 6), flat)
    if chunk.start < len(MAGIC) or chunk.start + chunk.packed > size or (flat and chunk.values != rows):
        raise UnreadableFile("a column lies outside of the file, or has another number of values than there are rows")
    return chunk


def _walk(file: BinaryIO, chunk: Chunk) -> None:
    """Goes from page to page: their sizes and counts must stay within those of the column."""
    place, stop, left, unpacked = chunk.start, chunk.start + chunk.packed, chunk.values, 0
    while place < stop:
        file.seek(place)
        reader = Compact(file.read(min(PAGE_HEAD_BYTES, stop - place)))
        head = reader.structure()
        kind, grown, packed = _whole(head, 1), _whole(head, 2), _whole(head, 3)
        unpacked += grown + reader.place
        place += reader.place + packed
        if place > stop or unpacked > chunk.unpacked:
            raise UnreadableFile("a page is larger than its column")
        if kind == DICTIONARY and _whole(head.get(7), 1) > grown:
            raise UnreadableFile("a dictionary has more entries than bytes")
        if kind in DATA_PAGES:
            left -= _whole(head.get(DATA_PAGES[kind]), 1)
        if left < 0:
            raise UnreadableFile("a page has more values than its column")
    if left:
        raise UnreadableFile(f"{left} values of a column are in no page")
