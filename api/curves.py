"""Numbers of a run by step, thinned out, as JSON, CSV or Parquet."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

import numpy as np
from sqlalchemy import Row

from chaos_core.thinning import kept_places

from .schemas.jobs import MetricsOut
from .tabling import TABLE_TYPES, table

Form = Literal["json", "csv", "parquet"]
MEDIA_TYPES: Mapping[str, str] = {"json": "application/json", **TABLE_TYPES}
TYPES = {"name": str, "step": int, "value": float, "wall": float}

Number = Row[str, int, float | None, float]


def thin(rows: Sequence[Number], most: int | None) -> list[Number]:
    """Of each series at most so many; the rows are in the order of name and step."""
    if most is None:
        return list(rows)
    return [row for _, group in groupby(rows, key=_name) for row in _thin_one(list(group), most)]


def written(job_id: str, rows: Sequence[Number], most: int | None, form: Form) -> bytes:
    few = thin(rows, most)
    if form == "json":
        return MetricsOut.of(job_id, few).model_dump_json().encode()
    return table({name: [row[place] for row in few] for place, name in enumerate(TYPES)}, form, TYPES)


def _thin_one(rows: list[Number], most: int) -> list[Number]:
    values = np.array([np.nan if row[2] is None else row[2] for row in rows], dtype=np.float64)
    return [rows[place] for place in kept_places(values, most)]


def _name(row: Row[Any, Any, Any, Any]) -> str:
    return str(row[0])
