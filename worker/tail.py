"""Lines of a file that a child writes to, as they come, however much it says."""

import os
from pathlib import Path

MOST_AT_ONCE = 256 * 1024
MOST_FILE_BYTES = 8 * 1024 * 1024
MOST_LINE_BYTES = 16 * 1024


class Tail:
    """The child appends. Of what it says faster than this is read only the newest part is shown."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def lines(self, *, last: bool = False) -> list[str]:
        """New ones; with `last` also one that was not ended."""
        try:
            found, skipped = self._news()
        except OSError:
            return []
        *whole, self._rest = (self._rest + found).split(b"\n")
        if self._rest and (last or len(self._rest) > MOST_LINE_BYTES):
            whole, self._rest = [*whole, self._rest], b""
        shown = [_shorten(line).decode(errors="replace").rstrip() for line in whole]
        note = [f"{skipped} bytes of output were skipped"] if skipped else []
        return note + [line for line in shown if line]

    def _news(self) -> tuple[bytes, int]:
        with self._path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            skipped = max(0, size - self._offset - MOST_AT_ONCE)
            if skipped:
                self._rest = b""
            file.seek(self._offset + skipped)
            found = file.read(MOST_AT_ONCE)
            self._offset = file.tell()
        if self._offset > MOST_FILE_BYTES:
            os.truncate(self._path, 0)
            self._offset = 0
        return found, skipped


def _shorten(line: bytes) -> bytes:
    over = len(line) - MOST_LINE_BYTES
    return line if over <= 0 else line[:MOST_LINE_BYTES] + f" ({over} bytes more)".encode()
