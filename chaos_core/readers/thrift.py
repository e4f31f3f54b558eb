"""The compact protocol of Thrift, in which Parquet writes its footer and the heads of its pages."""

import struct
from typing import Any

from chaos_core.errors import UnreadableFile

__all__ = ["Compact"]

TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
WHOLE = (4, 5, 6)
MOST_LEVELS = 24


class Compact:
    """Reads one structure after the other from bytes, and never beyond them.

    Args:
        content: the bytes.
        place: where to begin; afterwards, where the next structure begins.
    """

    def __init__(self, content: bytes, place: int = 0) -> None:
        self.place = place
        self._content = content

    def structure(self, level: int = 0) -> dict[int, Any]:
        """The next structure as a map from field number to value; structures within it likewise.

        Raises:
            UnreadableFile: cut off, nested beyond reason, or of a type that there is not.
        """
        if level > MOST_LEVELS:
            raise UnreadableFile("the structures of the footer are nested too deeply")
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            kind = head & 15
            found[number] = kind == TRUE if kind in (TRUE, FALSE) else self._value(kind, level)
        return found

    def _value(self, kind: int, level: int) -> Any:
        if kind in WHOLE:
            return self._signed()
        if kind == STRUCT:
            return self.structure(level + 1)
        if kind == BINARY:
            return self._take(self._unsigned())
        if kind in (LIST, SET):
            return self._list(level + 1)
        if kind in (TRUE, FALSE, BYTE):
            return self._byte()
        if kind == DOUBLE:
            return struct.unpack("<d", self._take(8))[0]
        if kind == MAP:
            return self._map(level + 1)
        raise UnreadableFile(f"there is no type {kind} in a footer")

    def _list(self, level: int) -> list[Any]:
        head = self._byte()
        count = self._unsigned() if head >> 4 == 15 else head >> 4
        self._bound(count)
        return [self._value(head & 15, level) for _ in range(count)]

    def _map(self, level: int) -> dict[Any, Any]:
        count = self._unsigned()
        self._bound(count)
        kinds = self._byte() if count else 0
        return {str(self._value(kinds >> 4, level)): self._value(kinds & 15, level) for _ in range(count)}

    def _bound(self, count: int) -> None:
        if count > len(self._content) - self.place:
            raise UnreadableFile("a list of the footer is longer than the footer")

    def _byte(self) -> int:
        if self.place >= len(self._content):
            raise UnreadableFile("the footer is cut off")
        self.place += 1
        return self._content[self.place - 1]

    def _take(self, length: int) -> bytes:
        self._bound(length)
        self.place += length
        return self._content[self.place - length : self.place]

    def _unsigned(self) -> int:
        number = shift = 0
        while (piece := self._byte()) & 0x80:
            number |= (piece & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise UnreadableFile("a number of the footer is too long")
        return number | piece << shift

    def _signed(self) -> int:
        number = self._unsigned()
        return (number >> 1) ^ -(number & 1)
