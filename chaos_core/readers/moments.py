"""Dates and times as seconds."""

import polars as pl

__all__ = ["moments"]


def moments(texts: pl.Series) -> pl.Series | None:
    """Dates and times as seconds since 1970.

    Args:
        texts: text such as 2024-02-28T23:59:55.5.

    Returns:
        Seconds, null where a text is no moment; None where none is.
    """
    try:
        found = texts.str.to_datetime(strict=False, time_unit="us")
    except pl.exceptions.PolarsError:
        return None
    return found.dt.epoch("us").cast(pl.Float64) / 1e6
