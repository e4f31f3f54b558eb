from fastapi import APIRouter, Request, Response

from chaos_store import trained, trajectories
from chaos_store.errors import NotFound, StorageFull
from chaos_store.tables import TrainedModel

from .. import problems
from ..content import DOWNLOAD
from ..context import Caller, Context
from ..deps import Known, Paged, Shared
from ..lookup import one, page
from ..schemas.models import ModelOut
from ..schemas.resource import Page
from ..schemas.trajectories import TrajectoryOut
from .artifacts import send

router = APIRouter(prefix="/models", tags=["models"])
missing = problems.declared(NotFound)


async def find(context: Context, caller: Caller, model_id: str) -> TrainedModel:
    async with context.read() as session:
        return await one(session, trained.get(caller.project_id, model_id), "model", model_id)


@router.get("", operation_id="models_list", summary="Trained models, newest first")
async def listed(query: Paged, caller: Known, context: Shared) -> Page[ModelOut]:
    statement = trained.page(caller.project_id, **query.place())
    async with context.read() as session:
        return await page(session, statement, query, ModelOut.of)


@router.get("/{model_id}", operation_id="models_get", summary="One trained model", responses=missing)
async def get(model_id: str, caller: Known, context: Shared) -> ModelOut:
    return ModelOut.of(await find(context, caller, model_id))


@router.delete(
    "/{model_id}",
    status_code=204,
    response_class=Response,
    operation_id="models_delete",
    summary="Remove a trained model with its file and trajectories; the job that made it stays",
    responses=problems.declared(NotFound, StorageFull),
)
async def delete(model_id: str, caller: Known, context: Shared) -> None:
    async with context.write() as session:
        await session.run_sync(trained.delete, caller.project_id, model_id)


@router.get(
    "/{model_id}/content",
    operation_id="models_content",
    summary="The safetensors file; its metadata key `chaos` holds `config`",
    **DOWNLOAD,
)
@router.head("/{model_id}/content", operation_id="models_content_head", summary="Size and hash", **DOWNLOAD)
async def content(model_id: str, request: Request, caller: Known, context: Shared) -> Response:
    row = await find(context, caller, model_id)
    return await send(request, context, caller, row.artifact_id)


@router.get(
    "/{model_id}/trajectories",
    operation_id="models_trajectories",
    summary="Trajectories of one model, newest first",
    responses=missing,
)
async def of_model(model_id: str, query: Paged, caller: Known, context: Shared) -> Page[TrajectoryOut]:
    row = await find(context, caller, model_id)
    statement = trajectories.page(caller.project_id, model_id=row.id, **query.place())
    async with context.read() as session:
        return await page(session, statement, query, TrajectoryOut.of)
