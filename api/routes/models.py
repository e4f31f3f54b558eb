from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from chaos_core.onnx_model import to_onnx
from chaos_store import trained, trajectories
from chaos_store.errors import NotFound, StorageFull
from chaos_store.tables import TrainedModel

from .. import problems
from ..card import CARD_FILE, card
from ..conditional import ASK_AGAIN, IfMatch, require_match
from ..content import OCTETS, SAFETENSORS, deliver_bytes, download, produced
from ..context import Caller, Context
from ..deps import JsonBody, Known, Paged, PageQuery, Shared
from ..errors import BodyTooLarge, InvalidJson, PreconditionFailed, UnsupportedMediaType
from ..lineage import lineage
from ..lookup import one, page
from ..making import load, make
from ..schemas.lineage import LineageOut
from ..schemas.models import FileQuery, ModelChange, ModelOut, Stage
from ..schemas.resource import Page, Text
from ..schemas.trajectories import TrajectoryOut
from .artifacts import send

router = APIRouter(prefix="/models", tags=["models"])
missing = problems.declared(NotFound)
ONNX = "application/x-onnx"
MARKDOWN = "text/markdown; charset=utf-8"
MODEL, CARD = produced(SAFETENSORS, OCTETS, ONNX), download(MARKDOWN)


class ModelsQuery(PageQuery):
    dataset_id: Text | None = None
    stage: Stage | None = None


async def find(context: Context, caller: Caller, model_id: str) -> TrainedModel:
    async with context.read() as session:
        return await one(session, trained.get(caller.project_id, model_id), "model", model_id)


@router.get("", operation_id="models_list", summary="Trained models, newest first")
async def listed(query: Annotated[ModelsQuery, Query()], caller: Known, context: Shared) -> Page[ModelOut]:
    statement = trained.page(caller.project_id, **query.model_dump())
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


@router.patch(
    "/{model_id}",
    operation_id="models_update",
    summary="Give a trained model another name, a licence or a stage",
    dependencies=[JsonBody],
    responses=problems.declared(
        NotFound, InvalidJson, BodyTooLarge, UnsupportedMediaType, StorageFull, PreconditionFailed
    ),
)
async def update(model_id: str, body: ModelChange, caller: Known, context: Shared, match: IfMatch = "*") -> ModelOut:
    async with context.write() as session:
        locked = trained.get(caller.project_id, model_id).with_for_update()
        require_match(match, ModelOut.of(await one(session, locked, "model", model_id)))
        return ModelOut.of(await session.run_sync(trained.describe, caller.project_id, model_id, body.words()))


@router.get(
    "/{model_id}/content",
    operation_id="models_content",
    summary="The safetensors file, whose metadata key `chaos` holds `config`; or one step as ONNX",
    **MODEL,
)
@router.head("/{model_id}/content", operation_id="models_content_head", summary="Size and hash", **MODEL)
async def content(
    model_id: str, query: Annotated[FileQuery, Query()], request: Request, caller: Known, context: Shared
) -> Response:
    row = await find(context, caller, model_id)
    if query.format == "safetensors":
        return await send(request, context, caller, row.artifact_id)
    made = await make(context, to_onnx, await load(context, row), query.precision)
    return await deliver_bytes(request, made, ONNX, "model.onnx")


@router.get(
    "/{model_id}/lineage",
    operation_id="models_lineage",
    summary="Where a model came from: data, analysis, plan, code, seed, attempts, checkpoints, metrics, scores, papers",
    responses=missing,
)
async def ancestry(model_id: str, caller: Known, context: Shared) -> LineageOut:
    row = await find(context, caller, model_id)
    async with context.read() as session:
        return await lineage(session, caller, row)


@router.get("/{model_id}/card", operation_id="models_card", summary="The model card, as Markdown", **CARD)
@router.head("/{model_id}/card", operation_id="models_card_head", summary="Size and hash", **CARD)
async def model_card(model_id: str, request: Request, caller: Known, context: Shared) -> Response:
    told = await ancestry(model_id, caller, context)
    return await deliver_bytes(request, card(told).encode(), MARKDOWN, CARD_FILE, cache=ASK_AGAIN)


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
