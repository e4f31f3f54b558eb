"""Tables in Parquet: the footer is judged before a column is read."""

from pathlib import Path

import numpy as np
import polars as pl

from chaos_core.errors import ColumnNotNumeric, EmptyData, UnreadableFile
from chaos_core.readers.bounds import bound_expansion, bound_shape
from chaos_core.readers.footer import MAGIC, bound_footer
from chaos_core.readers.formats import Format
from chaos_core.readers.moments import moments
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.refusals import DuplicateName, printable, unreadable
from chaos_core.readers.table import Selection, Table, choose, distinct
from chaos_core.typing import Floats

__all__ = ["FORMAT", "read_parquet"]

NUMBER_BYTES = 8


def read_parquet(path: Path, options: ReadOptions) -> tuple[Table, Selection]:
    """Reads the wanted columns; dates and times become seconds, null is a missing value.

    Args:
        path: the file.
        options: the sender's words.

    Returns:
        The numbers, and which columns are channels and time.

    Raises:
        ColumnNotNumeric: a wanted column of text, lists or structures, with `column` and `text`, its type.
        HeaderTooLong, TooLarge, ExpandsTooFar: judged by the footer.
        DuplicateName: two columns of one name.
        UnreadableFile: damaged, or a footer that lies.
        EmptyData, UnknownColumn: see there.
    """
    size = path.stat().st_size
    with unreadable("the Parquet file"):
        rows = bound_footer(path, options)
        schema = _announced(path)
        if not schema:
            raise EmptyData("the table has no column")
        bound_shape((rows, len(schema)), options)
        names = distinct(schema)
        selection = choose(names, options)
        bound_expansion(rows * len(selection.positions) * NUMBER_BYTES, size, options)
        found = _columns(path, [list(schema)[i] for i in selection.positions])
    if found.height != rows:
        raise UnreadableFile(f"the footer announces {rows} rows, but there are {found.height}")
    x = np.empty((rows, found.width), np.float64)
    for place, position in enumerate(selection.positions):
        x[:, place] = _numbers(found.to_series(place), names[position], clock=position == selection.time)

    def where(row: int, position: int) -> dict[str, str | int]:
        return {"row": row, "column": names[position]}

    return Table(names, selection.positions, x, where), selection


def _announced(path: Path) -> pl.Schema:
    try:
        with path.open("rb") as file:
            return pl.scan_parquet(file, glob=False, hive_partitioning=False, use_statistics=False).collect_schema()
    except pl.exceptions.DuplicateError as error:
        raise DuplicateName(f"two columns have one name: {printable(error, 200)}") from error
    except pl.exceptions.PanicException as error:
        raise UnreadableFile(f"the footer cannot be read: {printable(error, 200)}") from error


def _columns(path: Path, names: list[str]) -> pl.DataFrame:
    try:
        return pl.read_parquet(
            path, columns=names, glob=False, hive_partitioning=False, use_statistics=False, parallel="none"
        ).select(names)
    except pl.exceptions.PanicException as error:
        raise UnreadableFile(f"the columns cannot be read: {printable(error, 200)}") from error


def _numbers(column: pl.Series, name: str, *, clock: bool) -> Floats:
    kind = column.dtype
    values: pl.Series | None = None
    if kind.is_numeric() or kind == pl.Boolean:
        values = column.cast(pl.Float64)
    elif kind == pl.Date or isinstance(kind, pl.Datetime):
        values = column.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / 1e6
    elif kind == pl.Time or isinstance(kind, pl.Duration):
        values = column.cast(pl.Int64).cast(pl.Float64) / _units(kind)
    elif kind == pl.String and clock:
        values = moments(column)
    if values is None:
        detail = f"column '{name}' holds {printable(kind)}, not numbers"
        raise ColumnNotNumeric(detail, row=0, column=name, text=printable(kind))
    numbers: Floats = values.fill_null(np.nan).to_numpy().astype(np.float64)
    return numbers


def _units(kind: pl.DataType) -> float:
    """Ticks in a second; a time of day counts nanoseconds."""
    return {"ms": 1e3, "us": 1e6}.get(kind.time_unit or "ns", 1e9) if isinstance(kind, pl.Duration) else 1e9


FORMAT = Format(
    kind="parquet",
    read=read_parquet,
    endings=(".parquet", ".pq"),
    content_types=("application/vnd.apache.parquet", "application/x-parquet"),
    recognises=lambda head: head.startswith(MAGIC),
)
