"""What a series looks like in numbers: each column, and how it was sampled."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from chaos_core.series import Flags, Series
from chaos_core.typing import Floats, Ints

__all__ = ["QUANTILES", "Column", "Description", "Flat", "Sampling", "describe"]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
FLAT_ROWS, FLAT_SHARE = 20, 0.01
"""A value that repeats for so many rows, and for so large a share of them, is worth a warning."""

STRETCHES_SHOWN = 100


@dataclass(frozen=True)
class Flat:
    """Rows [start, start + rows) that hold the same value."""

    start: int
    rows: int
    value: float


@dataclass(frozen=True)
class Column:
    """Facts of one column over the entries that are there; `quantiles` by their shares, `flat` the longest run of one
    value (None where no value is repeated)."""

    name: str
    role: str
    count: int
    missing: int
    min: float
    max: float
    mean: float
    std: float
    quantiles: dict[str, float]
    flat: Flat | None
    warnings: list[str]


@dataclass(frozen=True)
class Sampling:
    """`gaps` are runs of rows in which at least one channel is missing; `stretches` the [start, stop) of the first
    recordings."""

    rows: int
    dt: float | None
    duration: float | None
    stretch_count: int
    shortest_stretch: int
    longest_stretch: int
    stretches: list[tuple[int, int]]
    gaps: int
    gap_rows: int
    longest_gap: int


@dataclass(frozen=True)
class Description:
    """A series in numbers."""

    sampling: Sampling
    columns: list[Column]


def describe(series: Series) -> Description:
    """Counts, extremes, moments and quantiles of each channel and input, and the facts of the sampling.

    Args:
        series: any; entries that are missing count nowhere but in `missing` and in the gaps.

    Returns:
        The facts; the standard deviation is that of the entries (divided by their number), quantiles are linear.
    """
    fresh = np.flatnonzero(np.diff(series.stretch) != 0) + 1
    channels = [_column(name, "channel", series.x[:, at], fresh) for at, name in enumerate(series.names)]
    inputs = [_column(name, "input", series.inputs[:, at], fresh) for at, name in enumerate(series.input_names)]
    return Description(_sampling(series, fresh), channels + inputs)


def _column(name: str, role: str, values: Floats, fresh: Ints) -> Column:
    there = values[np.isfinite(values)]
    flat = _flattest(values, fresh)
    warnings = []
    if flat is not None and flat.rows >= max(FLAT_ROWS, FLAT_SHARE * len(values)):
        last = flat.start + flat.rows - 1
        warnings.append(f"'{name}' is {flat.value:.6g} in the {flat.rows} rows {flat.start} to {last}")
    if there.size < len(values):
        share = 100 * (1 - there.size / len(values))
        warnings.append(f"{len(values) - there.size} entries of '{name}' are missing ({share:.2g} %)")
    quantiles = np.quantile(there, QUANTILES)
    return Column(
        name=name,
        role=role,
        count=int(there.size),
        missing=int(len(values) - there.size),
        min=float(there.min()),
        max=float(there.max()),
        mean=float(there.mean()),
        std=float(there.std()),
        quantiles={f"{share:g}": float(value) for share, value in zip(QUANTILES, quantiles, strict=True)},
        flat=flat,
        warnings=warnings,
    )


def _flattest(values: Floats, fresh: Ints) -> Flat | None:
    """The first of the longest runs of one value inside one recording."""
    changes = values[1:] != values[:-1]
    changes[fresh - 1] = True
    edges = np.concatenate([[0], np.flatnonzero(changes) + 1, [len(values)]])
    lengths = np.diff(edges)
    longest = int(np.argmax(lengths))
    if lengths[longest] < 2:
        return None
    start = int(edges[longest])
    return Flat(start, int(lengths[longest]), float(values[start]))


def _sampling(series: Series, fresh: Ints) -> Sampling:
    edges = [0, *fresh.tolist(), series.length]
    lengths = np.diff(edges)
    lacking: Flags = np.asarray(series.mask.any(axis=1))
    starts = np.flatnonzero(lacking & ~np.concatenate([[False], lacking[:-1]]))
    stops = np.flatnonzero(lacking & ~np.concatenate([lacking[1:], [False]])) + 1
    return Sampling(
        rows=series.length,
        dt=series.dt,
        duration=None if series.dt is None else float(series.dt * (series.length - len(lengths))),
        stretch_count=len(lengths),
        shortest_stretch=int(lengths.min()),
        longest_stretch=int(lengths.max()),
        stretches=list(pairwise(edges))[:STRETCHES_SHOWN],
        gaps=len(starts),
        gap_rows=int(lacking.sum()),
        longest_gap=int((stops - starts).max(initial=0)),
    )
