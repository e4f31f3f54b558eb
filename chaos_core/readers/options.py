"""What the sender of a file may say about it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat, PositiveInt

__all__ = ["ReadOptions"]


class ReadOptions(BaseModel):
    """How a file becomes a series.

    Args:
        name: the file's own name; its ending helps to tell the format.
        dt: sampling step in the sender's time units; goes before the one found in a time column.
        columns: channels to take, by name or by number from 0, in this order; all but the time column if left out.
        time_column: name or number of the column that holds the time. If left out, a column called t, time,
            timestamp, date or datetime counts as one when its values run on from row to row.
        inputs: columns that hold external inputs (a stimulus, a drive) and not channels, by name or number.
        stretch_column: column that tells the recordings apart; each change of its value begins a new one, and nothing
            is learnt across the border. Its numbers mean nothing else.
        missing: "refuse" (default) or "mask", which keeps missing entries as gaps.
        max_rows: more rows are refused.
        max_columns: more columns are refused; 4096 columns of text also bound what one line may cost.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    dt: FiniteFloat | None = None
    columns: tuple[str | int, ...] | None = None
    time_column: str | int | None = None
    inputs: tuple[str | int, ...] | None = None
    stretch_column: str | int | None = None
    missing: Literal["refuse", "mask"] = "refuse"
    max_rows: PositiveInt = 50_000_000
    max_columns: PositiveInt = 4096
