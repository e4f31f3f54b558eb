"""From a system to what a recording of it would be: chosen channels, observation noise, a CSV file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chaos_core.errors import UnknownColumn
from chaos_core.series import Series
from chaos_core.systems.base import System

__all__ = ["as_csv", "chosen", "record", "with_noise"]

ROWS_AT_ONCE = 10_000
"""Python's numbers take ten times the room of numpy's: only so many rows are turned into them at a time."""


def with_noise(series: Series, share: float, *, seed: int = 0) -> Series:
    """Adds independent normal observation noise of `share` times each channel's standard deviation."""
    noise = np.random.default_rng(seed).standard_normal(series.x.shape)
    x = series.x + share * np.nanstd(series.x, axis=0) * noise
    return series.with_entries(x)


def chosen(names: Sequence[str], channels: Sequence[str] | None) -> list[int]:
    """The places of the channels asked for, in their order; all places where none are named.

    Raises:
        UnknownColumn: with `column` and `known`.
    """
    if channels is None:
        return list(range(len(names)))
    for channel in channels:
        if channel not in names:
            raise UnknownColumn(f"there is no channel '{channel}'", column=channel, known=list(names))
    return [names.index(channel) for channel in channels]


def record(
    system: System,
    steps: int,
    *,
    noise: float = 0.0,
    noise_seed: int = 0,
    channels: Sequence[str] | None = None,
    limit: int | None = None,
) -> Series:
    """A recording of a system: its rows with observation noise, seen through some of its channels.

    Args:
        system: its settings.
        steps: T, how many rows.
        noise: standard deviation of the noise over that of each channel; 0 records the rows as they are.
        noise_seed: of the noise, which does not disturb the dynamics; drawn for all channels, so that a choice of
            channels does not change it.
        channels: names of those to keep, in this order; all if left out.
        limit: most units of work, see `chaos_core.systems.base.Meter`.

    Returns:
        Series (steps, number of channels).

    Raises:
        UnknownColumn: a channel that the system does not have.
        TooShort, TooLarge, Inconsistent, ConstantChannel: see `System.generate`.
    """
    kept = chosen(system.names, channels)
    series = system.generate(steps, limit=limit)
    if noise:
        series = with_noise(series, noise, seed=noise_seed)
    names = [series.names[place] for place in kept]
    inputs, input_names = (series.inputs, series.input_names) if series.driven_by else (None, None)
    return Series(series.x[:, kept], series.dt, names=names, inputs=inputs, input_names=input_names)


def as_csv(series: Series) -> bytes:
    """The series as CSV: a header with the names, then one line a row, each number in full (it reads back equal).

    External inputs are the last columns.
    """
    pieces = [",".join([*series.names, *series.input_names]) + "\n"]
    for first in range(0, series.length, ROWS_AT_ONCE):
        some = slice(first, first + ROWS_AT_ONCE)
        block = np.hstack([series.x[some], series.inputs[some]]).tolist()
        pieces.append("".join([",".join(map(repr, row)) + "\n" for row in block]))
    return "".join(pieces).encode()
