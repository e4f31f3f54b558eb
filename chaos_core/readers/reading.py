"""One file to one Series: tells the format, reads it, and says what was found."""

import os
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from chaos_core.errors import EmptyData, PickleRefused, UnknownFormat, UnreadableFile
from chaos_core.readers.csv import read_csv
from chaos_core.readers.npy import MAGIC, read_npy
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.table import to_series
from chaos_core.series import Series

__all__ = ["FORMATS", "Reading", "read", "read_file"]

FORMATS = {"csv": read_csv, "npy": read_npy}
ENDINGS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".dat": "csv", ".asc": "csv", ".npy": "npy"}
OTHERS = {
    b"PK\x03\x04": "a ZIP archive (as .xlsx and .npz are)",
    b"\x1f\x8b": "compressed with gzip",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"\x89HDF": "an HDF5 file",
    b"PAR1": "a Parquet file",
    b"MATLAB": "a MATLAB file",
    b"\xd0\xcf\x11\xe0": "an old Office file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"RIFF": "a sound or video file",
    b"<": "HTML or XML",
    b"{": "JSON",
    b"[": "JSON",
}


class Reading(NamedTuple):
    """A series, the format it came in, and its time column's name where it had one."""

    series: Series
    format: str
    time_column: str | None

    def facts(self) -> dict[str, Any]:
        """What a dataset's record keeps about the series."""
        return {
            "format": self.format,
            "rows": self.series.length,
            "channels": self.series.channels,
            "names": list(self.series.names),
            "dt": self.series.dt,
            "missing_count": int(self.series.mask.sum()),
            "stretches": int(self.series.stretch[-1]) + 1,
            "input_names": list(self.series.input_names),
        }


def read(path: str | os.PathLike[str], kind: str = "auto", options: ReadOptions | None = None) -> Series:
    """Reads a file as a series.

    Args:
        path: the file.
        kind: "csv" (with its relatives), "npy", or "auto" (default): told from the ending and the first bytes.
        options: what the sender says about columns, time and gaps.

    Raises:
        DataError: one of its kinds, with row, line and column where there is one.
    """
    return read_file(path, kind, options).series


def read_file(path: str | os.PathLike[str], kind: str = "auto", options: ReadOptions | None = None) -> Reading:
    """As `read`, and says what was found beside the series."""
    file, words = Path(path), options or ReadOptions()
    if file.stat().st_size == 0:
        raise EmptyData("the file is empty")
    kind = _told(file, words.name or file.name) if kind == "auto" else kind
    if kind not in FORMATS:
        raise UnknownFormat(f"there is no format '{kind}'", format=kind, known=sorted(FORMATS))
    table, selection = FORMATS[kind](file, words)
    series, time_column = to_series(table, selection, words)
    return Reading(series, kind, time_column)


def _told(file: Path, name: str) -> str:
    with file.open("rb") as content:
        head = content.read(4096)
    if head.startswith(MAGIC):
        return "npy"
    for start, what in OTHERS.items():
        if head.startswith(start):
            raise UnknownFormat(f"'{name}' is {what}", name=name)
    ending = PurePath(name).suffix.lower()
    kind = ENDINGS.get(ending)
    if kind == "npy":
        return "npy"
    if head.startswith(b"\x80") and b"\0" in head:
        raise PickleRefused(f"'{name}' is a pickle", name=name)
    if kind is None and not _is_text(head):
        raise UnknownFormat(f"neither the name '{name}' nor the bytes tell the format", name=name)
    if kind == "csv" and b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableFile(f"'{name}' holds binary bytes, not text")
    return "csv"


def _is_text(head: bytes) -> bool:
    odd = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in head)
    return odd == 0
