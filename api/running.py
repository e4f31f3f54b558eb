"""Free runs and forecasts asked of a trained model: on numpy or native code, in a thread, within bounds."""

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from chaos_core.errors import DataError, Inconsistent, TooLarge, TooShort
from chaos_core.fitted import Fitted
from chaos_core.generation import checked_rows, forecast, free_latents, infer_latent, read_out, scattered
from chaos_core.typing import Floats
from chaos_store import trained, trajectories
from chaos_store.errors import NotFound
from chaos_store.tables import Trajectory

from .answering import answering
from .context import Caller, Context
from .schemas.models import ForecastCreate, ForecastOut, Rows, TrajectoryCreate
from .storing import BLOBS, WHOLE_BYTES

LIMITS = {
    "max_run_steps": 100_000,
    "max_run_numbers": 4_000_000,
    "max_run_work": 4_000_000_000,
    "max_forecast_steps": 10_000,
}
FORECAST_NUMBERS = 200_000


@dataclass(frozen=True)
class Runs:
    content: bytes
    steps: int
    channels: int
    runs: int


def run(fitted: Fitted, body: TrajectoryCreate) -> Runs:
    runs = max(1, len(body.starts)) * body.members
    width = fitted.channels + fitted.cell.state_size
    _within("steps", body.steps, LIMITS["max_run_steps"])
    _within("runs * steps * (channels + states)", runs * body.steps * width, LIMITS["max_run_numbers"])
    _within("runs * steps * parameters", runs * body.steps * _size(fitted), LIMITS["max_run_work"])
    if body.members > 1 and not body.spread:
        raise Inconsistent("`members` without `spread` would be the same run again and again", members=body.members)
    z0 = scattered(_starts(fitted, body.starts), body.members, body.spread, body.seed)
    z = free_latents(fitted, body.steps, z0, _inputs(fitted, body.inputs, body.steps))
    x = read_out(fitted, z)
    content = _npz(x, z, z0) if runs > 1 else _npz(x[0], z[0], z0[0])
    return Runs(content, body.steps, fitted.channels, runs)


def _npz(x: Floats, z: Floats, z0: Floats) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=x, z=z, latent_start=z0)
    return buffer.getvalue()


def predict(fitted: Fitted, model_id: str, body: ForecastCreate) -> ForecastOut:
    _within("horizon", body.horizon, LIMITS["max_forecast_steps"])
    _within("horizon * channels", body.horizon * fitted.channels, FORECAST_NUMBERS)
    _within("horizon * parameters", body.horizon * _size(fitted), LIMITS["max_run_work"])
    context = checked_rows(body.context, fitted.names)
    rows = forecast(fitted, context, body.horizon, _inputs(fitted, body.inputs, body.horizon))
    times = body.time + np.arange(1, body.horizon + 1) * (fitted.dt or 1.0)
    return ForecastOut(
        model_id=model_id,
        names=list(fitted.names),
        dt=fitted.dt,
        rows_used=fitted.embedding.rows_lost + 1,
        times=times.tolist(),
        rows=[[value if math.isfinite(value) else None for value in row] for row in rows.tolist()],
    )


def store(context: Context, caller: Caller, model_id: str, made: Runs, options: dict[str, Any]) -> Trajectory:
    with answering():
        small = len(made.content) <= WHOLE_BYTES
        blob = None if small else BLOBS.store(context.bulk, [made.content])
        with context.bulk.write.begin() as session:
            model = session.scalar(trained.get(caller.project_id, model_id).with_for_update())
            if model is None:
                raise NotFound(f"There is no model {model_id}.", kind="model", id=model_id)
            kept = blob or BLOBS.put(session, [made.content])
            counts = {"steps": made.steps, "channels": made.channels, "runs": made.runs}
            return trajectories.add(session, model=model, blob=kept, options=options, **counts)


def _within(what: str, value: int, limit: int) -> None:
    if value > limit:
        raise TooLarge(f"{what}: {value}, at most {limit}", value=value, limit=limit)


def _size(fitted: Fitted) -> int:
    return sum(int(value.size) for value in fitted.params.values())


def _inputs(fitted: Fitted, rows: Rows | None, steps: int) -> Floats | None:
    if rows is None or not fitted.cell.inputs:
        return None if rows is None else np.zeros((len(rows), 0))
    if len(rows) != steps:
        raise Inconsistent(f"{len(rows)} rows of inputs for {steps} steps", rows=len(rows), steps=steps)
    return checked_rows(rows, fitted.input_names)


def _starts(fitted: Fitted, windows: list[Rows]) -> Floats:
    if not windows:
        return fitted.latent_start[None]
    return np.stack([_start(fitted, index, window) for index, window in enumerate(windows)])


def _start(fitted: Fitted, index: int, window: Rows) -> Floats:
    needed = fitted.embedding.rows_lost + 1
    try:
        rows = checked_rows(window, fitted.names)
        if len(rows) < needed:
            raise TooShort(f"{len(rows)} rows; {needed} are needed", rows=len(rows), rows_needed=needed)
    except DataError as error:
        raise type(error)(f"start {index}: {error.detail}", start=index, **error.fields) from error
    return infer_latent(fitted, rows)
