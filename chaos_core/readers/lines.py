"""A text file as blocks of whole lines, so that memory does not grow with the file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chaos_core.errors import EmptyData, TooLarge, UnreadableFile
from chaos_core.readers.dialect import COMMENTS
from chaos_core.typing import Ints

__all__ = ["Block", "blocks"]

BLOCK_BYTES = 4 * 1024 * 1024
LINE_BYTES = 1024 * 1024
"""No line of numbers is longer: 4096 columns of 25 characters take 100 kB."""

BOM = b"\xef\xbb\xbf"
WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
NEWLINE, QUOTE = 10, 34


@dataclass(frozen=True)
class Block:
    """Whole lines of the file, those that are comments left out.

    Args:
        content: the bytes, line ends as "\\n".
        starts: where each kept line starts.
        stops: where it ends, without its line end.
        numbers: its line number in the file, from 1.
        blank: whether nothing but blanks stands on it.
        inside: for each byte, whether it stands within quotation marks; None where there are none.
    """

    content: bytes
    starts: Ints
    stops: Ints
    numbers: Ints
    blank: npt.NDArray[np.bool_]
    inside: npt.NDArray[np.bool_] | None

    def line(self, place: int) -> str:
        """The text of a kept line; line ends within quotation marks become blanks."""
        raw = self.content[self.starts[place] : self.stops[place]]
        return raw.decode("utf-8", errors="replace").replace("\n", " ")

    def drop(self, gone: npt.NDArray[np.bool_]) -> "Block":
        """The same block without some of its lines."""
        keep = ~gone
        return Block(
            self.content, self.starts[keep], self.stops[keep], self.numbers[keep], self.blank[keep], self.inside
        )

    def text(self) -> bytes:
        """The kept lines as one piece, each with its line end."""
        whole = len(self.starts) and self.stops[-1] - self.starts[0] == (self.stops - self.starts + 1).sum() - 1
        if whole:
            return self.content[self.starts[0] : self.stops[-1]] + b"\n"
        return b"".join(self.content[a:b] + b"\n" for a, b in zip(self.starts, self.stops, strict=True))

    def count(self, character: str) -> Ints:
        """How often a character stands on each kept line, outside quotation marks."""
        marks = np.frombuffer(self.content, np.uint8) == ord(character)
        if self.inside is not None:
            marks &= ~self.inside
        places = np.flatnonzero(marks)
        counts: Ints = np.searchsorted(places, self.stops) - np.searchsorted(places, self.starts)
        return counts


def blocks(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Reads a text file block by block, and its comment lines never.

    Args:
        path: the file. A byte order mark is skipped; the three usual line ends are understood; empty lines at the
            end do not count.
        block_bytes: how much is read at once; 4 MiB keep the working memory near 50 MB.

    Raises:
        EmptyData: nothing but white space.
        UnreadableFile: a wide encoding (UTF-16), binary bytes, or a quotation that never ends.
        TooLarge: a line that is longer than any line of numbers.
    """
    end = _content_end(path)
    first = 1
    with path.open("rb") as file:
        head = file.read(4096)
        _refuse_binary(head)
        file.seek(len(BOM) if head.startswith(BOM) else 0)
        old_ends = b"\n" not in head and b"\r" in head
        rest = b""
        while rest or file.tell() < end:
            chunk = file.read(min(block_bytes, end - file.tell()))
            last = file.tell() >= end
            rest += chunk.replace(b"\r", b"\n") if old_ends else chunk
            whole, rest = _cut(rest, last)
            if not whole:
                _refuse_long(rest, first)
                continue
            if b"\0" in whole:
                line = first + whole.count(b"\n", 0, whole.index(b"\0"))
                raise UnreadableFile(f"line {line} holds binary bytes, not text", line=line)
            block, seen = _scan(whole.replace(b"\r\n", b"\n") if b"\r" in whole else whole, first)
            first += seen
            yield block


def _content_end(path: Path) -> int:
    """The file's length without white space at its end."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            kept = len(file.read(end - start).rstrip())
            if kept:
                file.seek(0)
                if start + kept == len(BOM) and file.read(len(BOM)) == BOM:
                    break
                return start + kept
            end = start
    raise EmptyData("the file is empty")


def _refuse_binary(head: bytes) -> None:
    if head.startswith(WIDE_BOMS):
        raise UnreadableFile("the text is encoded as UTF-16; save it as UTF-8", encoding="utf-16")
    if b"\0" in head:
        raise UnreadableFile("the file holds binary bytes, not text")


def _cut(content: bytes, last: bool) -> tuple[bytes, bytes]:
    """Cuts after the last line end that stands outside quotation marks."""
    if last:
        return content, b""
    end = content.rfind(b"\n") + 1
    while end and content.count(b'"', 0, end) % 2:
        end = content.rfind(b"\n", 0, end - 1) + 1
    return content[:end], content[end:]


def _refuse_long(rest: bytes, number: int) -> None:
    if len(rest) <= LINE_BYTES:
        return
    if b'"' in rest and b"\n" in rest:
        raise _open_quotation(rest, number)
    raise _too_long(number, len(rest))


def _open_quotation(content: bytes, first: int) -> UnreadableFile:
    line = first + content.count(b"\n", 0, content.rfind(b'"'))
    return UnreadableFile(f"a quotation that opens in line {line} never ends", line=line)


def _too_long(number: int, length: int) -> TooLarge:
    return TooLarge(
        f"line {number} is longer than {LINE_BYTES} bytes; rows of the series must be lines",
        value=length,
        limit=LINE_BYTES,
        line=number,
    )


def _scan(content: bytes, first: int) -> tuple[Block, int]:
    codes = np.frombuffer(content, np.uint8)
    ends = codes == NEWLINE
    inside = None
    if b'"' in content:
        inside = np.bitwise_xor.accumulate((codes == QUOTE).view(np.uint8)).astype(np.bool_)
        if inside[-1]:
            raise _open_quotation(content, first)
        every = np.cumsum(ends, dtype=np.int64)
        ends &= ~inside
    stops = np.flatnonzero(ends)
    if not ends[-1]:
        stops = np.append(stops, len(content))
    starts = np.concatenate([[0], stops[:-1] + 1])
    if inside is None:
        numbers = np.arange(first, first + len(starts))
        seen = len(starts)
    else:
        numbers = first + np.concatenate([[0], every[starts[1:] - 1]])
        seen = int(content.count(b"\n"))
    longest = int(np.argmax(stops - starts))
    if stops[longest] - starts[longest] > LINE_BYTES:
        raise _too_long(int(numbers[longest]), int(stops[longest] - starts[longest]))
    blank, comment = _kinds(content, codes, starts, stops)
    block = Block(content, starts, stops, numbers, blank, inside)
    return block.drop(comment) if comment.any() else block, seen


def _kinds(
    content: bytes, codes: npt.NDArray[np.uint8], starts: Ints, stops: Ints
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which lines are blank, and which are comments; only lines with a suspicious first byte are looked at."""
    blank, comment = np.zeros(len(starts), np.bool_), np.zeros(len(starts), np.bool_)
    lead = codes[np.minimum(starts, len(codes) - 1)]
    marks = [ord(mark) for mark in COMMENTS]
    for place in np.flatnonzero((lead <= 32) | np.isin(lead, marks)):
        text = content[starts[place] : stops[place]].strip()
        blank[place] = not text
        comment[place] = text.startswith(tuple(mark.encode() for mark in COMMENTS))
    return blank, comment
