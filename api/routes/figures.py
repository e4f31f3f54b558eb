from fastapi import APIRouter, Request, Response

from chaos_store import artifacts
from chaos_store.errors import NotFound

from .. import problems
from ..content import Content, deliver, download
from ..deps import Known, Paged, Shared
from ..lookup import one, page
from ..schemas.artifacts import ArtifactOut
from ..schemas.resource import Page
from .models import find

FIGURE = "figure"
PICTURES = download("image/png", "image/svg+xml")

router = APIRouter(prefix="/models", tags=["models"])


@router.get(
    "/{model_id}/figures",
    operation_id="models_figures",
    summary="The pictures that the training drew",
    description="`name` of each is its address: GET /v1/models/{id}/figures/{name}.",
    responses=problems.declared(NotFound),
)
async def listed(model_id: str, query: Paged, caller: Known, context: Shared) -> Page[ArtifactOut]:
    model = await find(context, caller, model_id)
    statement = artifacts.page(caller.project_id, job_id=model.job_id, kind=FIGURE, **query.place())
    async with context.read() as session:
        return await page(session, statement, query, ArtifactOut.of)


@router.get("/{model_id}/figures/{name}", operation_id="models_figure", summary="One picture", **PICTURES)
@router.head("/{model_id}/figures/{name}", operation_id="models_figure_head", summary="Size and hash", **PICTURES)
async def figure(model_id: str, name: str, request: Request, caller: Known, context: Shared) -> Response:
    model = await find(context, caller, model_id)
    statement = artifacts.named(caller.project_id, model.job_id, name, FIGURE)
    async with context.read() as session:
        row = await one(session, statement, "figure", name)
    return await deliver(request, context, Content(row.sha256, row.size, row.media_type, row.name))
