"""One file to one Series: inflates it, tells the format, reads it, and says what was found."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from chaos_core.errors import EmptyData
from chaos_core.readers.compression import inflated
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.recognition import recognised
from chaos_core.readers.table import to_series
from chaos_core.series import Series

__all__ = ["Reading", "read", "read_file"]


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
        path: the file; it may be compressed with gzip or zstd.
        kind: a name of `chaos_core.readers.formats`, such as "csv" (with its relatives), "npz" or "hdf5"; or "auto"
            (default): told from the first bytes and the ending.
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
    with inflated(file, words) as (content, asked):
        found = recognised(content, kind, asked)
        table, selection = found.read(content, asked)
        series, time_column = to_series(table, selection, asked)
    return Reading(series, found.kind, time_column)
