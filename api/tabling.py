"""Columns as CSV or Parquet, and a stored trajectory in these and NumPy's format."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from chaos_core.typing import Floats

TableForm = Literal["csv", "parquet"]
TABLE_TYPES: Mapping[str, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
RunForm = Literal["npz", "npy", "parquet", "csv"]
RUN_TYPES: Mapping[str, str] = {"npz": "application/x-npz", "npy": "application/x-npy", **TABLE_TYPES}


def table(columns: Mapping[str, Any], form: TableForm, types: Mapping[str, Any] | None = None) -> bytes:
    import polars

    buffer, made = io.BytesIO(), polars.DataFrame(columns, schema_overrides=types)
    if form == "parquet":
        made.write_parquet(buffer)
    else:
        made.write_csv(buffer)
    return buffer.getvalue()


def converted(npz: bytes, form: RunForm, names: Sequence[str], dt: float | None) -> bytes:
    with np.load(io.BytesIO(npz), allow_pickle=False) as stored:
        x: Floats = stored["x"]
    if form == "parquet" or form == "csv":
        return table(_columns(x, names, dt), form)
    buffer = io.BytesIO()
    np.save(buffer, x)
    return buffer.getvalue()


def _columns(x: Floats, names: Sequence[str], dt: float | None) -> dict[str, np.ndarray]:
    """Several runs stand below each other; the time of a row is counted from the start of its run."""
    runs, steps = (1, len(x)) if x.ndim == 2 else x.shape[:2]
    count = np.tile(np.arange(1, steps + 1), runs)
    columns: dict[str, np.ndarray] = {}
    if x.ndim == 3:
        columns[_free("run", names)] = np.repeat(np.arange(runs), steps)
    columns[_free("step" if dt is None else "time", names)] = count if dt is None else count * dt
    flat = x.reshape(runs * steps, -1)
    return columns | {name: np.ascontiguousarray(flat[:, index]) for index, name in enumerate(names)}


def _free(word: str, names: Sequence[str]) -> str:
    while word in names:
        word += "_"
    return word
