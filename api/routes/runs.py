import asyncio

from fastapi import APIRouter, Response

from chaos_core import errors as core
from chaos_store.errors import BlobCorrupt, NotFound, StorageFull

from .. import problems
from ..deps import JsonBody, Known, Shared
from ..errors import BodyTooLarge, ConversionTooLarge, InvalidJson, InvalidRequest, UnsupportedMediaType
from ..making import load, make
from ..running import predict, run, store
from ..schemas.models import ForecastCreate, ForecastOut, TrajectoryCreate
from ..schemas.trajectories import TrajectoryOut
from ..uploads import require_room
from .models import find

router = APIRouter(prefix="/models", tags=["models"])
REFUSALS = (
    NotFound, BlobCorrupt, InvalidRequest, core.UnreadableFile, core.EmptyData, core.RaggedRow, core.NotFinite,
    core.TooShort, core.TooLarge, core.Inconsistent, ConversionTooLarge, InvalidJson, BodyTooLarge,
    UnsupportedMediaType,
)  # fmt: skip


@router.post(
    "/{model_id}/trajectories",
    status_code=201,
    operation_id="models_generate",
    summary="Let a model run by itself, from the stored start or from your own ones",
    description="Made at once and stored: the answer names the trajectory, whose content is downloaded as that of the "
    "job's own. The limits (`max_run_*` of GET /v1/limits) keep it to seconds.",
    dependencies=[JsonBody],
    responses=problems.declared(*REFUSALS, StorageFull, *problems.QUOTAS),
)
async def generate(
    model_id: str, body: TrajectoryCreate, caller: Known, context: Shared, response: Response
) -> TrajectoryOut:
    fitted = await load(context, await find(context, caller, model_id))
    async with context.generator_slot:
        made = await asyncio.to_thread(run, fitted, body)
    await require_room(context, caller, len(made.content))
    row = await asyncio.to_thread(store, context, caller, model_id, made, body.options())
    kept = TrajectoryOut.of(row)
    response.headers["Location"] = kept.links.self
    return kept


@router.post(
    "/{model_id}/forecast",
    operation_id="models_forecast",
    summary="What comes after a window of observations; nothing is stored",
    dependencies=[JsonBody],
    responses=problems.declared(*REFUSALS),
)
async def forecast(model_id: str, body: ForecastCreate, caller: Known, context: Shared) -> ForecastOut:
    fitted = await load(context, await find(context, caller, model_id))
    return await make(context, predict, fitted, model_id, body)
