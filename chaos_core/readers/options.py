"""What the sender of a file may say about it."""

from typing import Literal

from pydantic import FiniteFloat

from chaos_core.readers.limits import Limits

__all__ = ["ReadOptions"]


class ReadOptions(Limits):
    """How a file becomes a series; the limits of `Limits` come with it.

    Args:
        name: the file's own name; its ending helps to tell the format.
        content_type: the media type that came with the file; it counts where bytes and ending say nothing.
        dt: sampling step in the sender's time units; goes before the one found in a time column.
        columns: channels to take, by name or by number from 0, in this order; all but the time column if left out.
        time_column: name or number of the column that holds the time. If left out, a column called t, time,
            timestamp, date or datetime counts as one when its values run on from row to row.
        inputs: columns that hold external inputs (a stimulus, a drive) and not channels, by name or number.
        stretch_column: column that tells the recordings apart; each change of its value begins a new one, and nothing
            is learnt across the border. Its numbers mean nothing else.
        missing: "refuse" (default) or "mask", which keeps missing entries as gaps.
        dataset: the arrays to read, by name, from a file that holds several (NPZ, HDF5, MATLAB, NetCDF).
        arrays: what several arrays of one file are: "stretches" (recordings, one after the other) or "columns" (each
            one is a channel). If left out, it is told from their names and shapes, see docs/formats.md.
        delimiter: what stands between the cells of a text table; told from its lines if left out.
        decimal: the decimal mark of a text table; told from its cells if left out.
        header: whether the first line of a text table names the columns; told from it if left out.
    """

    name: str | None = None
    content_type: str | None = None
    dt: FiniteFloat | None = None
    columns: tuple[str | int, ...] | None = None
    time_column: str | int | None = None
    inputs: tuple[str | int, ...] | None = None
    stretch_column: str | int | None = None
    missing: Literal["refuse", "mask"] = "refuse"
    dataset: tuple[str, ...] | None = None
    arrays: Literal["stretches", "columns"] | None = None
    delimiter: Literal["comma", "semicolon", "tab", "bar", "blank"] | None = None
    decimal: Literal["point", "comma"] | None = None
    header: bool | None = None
