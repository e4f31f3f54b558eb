"""A stored series in a form to look at, made in a thread and within bounds."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from chaos_core.description import describe
from chaos_core.errors import UnknownColumn
from chaos_core.series import Series
from chaos_core.thinning import kept_places
from chaos_core.triangles import largest_triangles
from chaos_core.typing import Floats, Ints
from chaos_store.errors import DatasetNotReady
from chaos_store.tables import Dataset

from .content import whole
from .context import Context
from .errors import InvalidRequest
from .making import check_bytes, make

MAX_POINTS = 10_000
MAX_NUMBERS = 200_000
BREAKS_SHOWN = 1000
METHODS: dict[str, Callable[[Floats, int], Ints]] = {"min_max": kept_places, "lttb": largest_triangles}

Json = dict[str, Any]


def require_ready(row: Dataset) -> str:
    """The hash of its series."""
    if row.status != "ready" or row.series_sha256 is None:
        raise DatasetNotReady(f"Dataset {row.id} is {row.status}.", dataset_id=row.id, status=row.status)
    return row.series_sha256


async def look(context: Context, row: Dataset, view: Callable[[Series], Json]) -> Json:
    sha256 = require_ready(row)
    columns = (row.channels or 0) + len(row.input_names or ()) + 1
    check_bytes((row.rows or 0) * columns * 8, "the series")
    content = await whole(context, sha256)
    return await make(context, lambda: {"dataset_id": row.id} | view(Series.from_npz(content)))


def preview(series: Series, limit: int) -> Json:
    table = np.concatenate([series.x, series.inputs], axis=1)
    last_start = max(min(limit, series.length), series.length - limit)
    return {
        "rows": series.length,
        "dt": series.dt,
        "names": [*series.names, *series.input_names],
        "channels": series.channels,
        "first": table[:limit].tolist(),
        "last": table[last_start:].tolist(),
        "last_start": last_start,
    }


def stats(series: Series) -> Json:
    return asdict(describe(series))


def curves(series: Series, names: list[str] | None, start: int, stop: int | None, most: int, method: str) -> Json:
    end = series.length if stop is None else min(stop, series.length)
    if start >= end:
        entry = {"loc": ["query", "start"], "msg": f"start must lie before stop and before {series.length}"}
        raise InvalidRequest(f"start {start}, stop {end} of {series.length} rows", errors=[entry | {"type": "range"}])
    columns = _columns(series, names)
    if len(columns) * min(most, end - start) > MAX_NUMBERS:
        entry = {"loc": ["query", "max_points"], "msg": f"channels times points may be {MAX_NUMBERS}"}
        raise InvalidRequest(f"{len(columns)} channels of {most} points", errors=[entry | {"type": "too_many"}])
    breaks = np.flatnonzero(np.diff(series.stretch[start:end]) != 0) + start + 1
    return {
        "rows": series.length,
        "dt": series.dt,
        "start": start,
        "stop": end,
        "method": method,
        "channels": [_curve(name, role, x[start:end], start, most, method) for name, role, x in columns],
        "breaks": breaks[:BREAKS_SHOWN].tolist(),
    }


def _columns(series: Series, names: list[str] | None) -> list[tuple[str, str, Floats]]:
    known = {name: (name, "channel", series.x[:, at]) for at, name in enumerate(series.names)}
    driven = {name: (name, "input", series.inputs[:, at]) for at, name in enumerate(series.input_names)}
    if names is None:
        return list(known.values())
    every = known | driven
    absent = [name for name in names if name not in every]
    if absent:
        raise UnknownColumn(f"there is no channel '{absent[0]}'", column=absent[0], known=list(every)[:100])
    return [every[name] for name in dict.fromkeys(names)]


def _curve(name: str, role: str, values: Floats, start: int, most: int, method: str) -> Json:
    places = METHODS[method](values, most)
    return {"name": name, "role": role, "index": (places + start).tolist(), "values": values[places].tolist()}
