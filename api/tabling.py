"""A stored trajectory in other formats than its own."""

import io
from collections.abc import Sequence
from typing import Literal

import numpy as np

from chaos_core.typing import Floats

TableFormat = Literal["npz", "npy", "parquet", "csv"]
MEDIA_TYPES: dict[TableFormat, str] = {
    "npz": "application/x-npz",
    "npy": "application/x-npy",
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv; charset=utf-8",
}


def converted(npz: bytes, kind: TableFormat, names: Sequence[str], dt: float | None) -> bytes:
    with np.load(io.BytesIO(npz), allow_pickle=False) as stored:
        x: Floats = stored["x"]
    buffer = io.BytesIO()
    if kind == "npy":
        np.save(buffer, x)
        return buffer.getvalue()
    import polars

    table = polars.DataFrame(_columns(x, names, dt))
    if kind == "parquet":
        table.write_parquet(buffer)
    else:
        table.write_csv(buffer)
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
