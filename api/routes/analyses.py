from functools import partial
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response

from chaos_store import analyses, artifacts, broker
from chaos_store.errors import DatasetNotReady, NotFound, QueueFull, StorageFull

from .. import problems
from ..content import Content, deliver, download
from ..context import Caller, Context
from ..deps import JsonBody, Known, PageQuery, Shared, Waiting
from ..errors import BodyTooLarge, DatabaseUnavailable, InvalidJson, UnsupportedMediaType
from ..lookup import after_job, one, pair, pairs
from ..schemas.analyses import AnalysisCreate, AnalysisOut
from ..schemas.resource import Page, Text

FIGURE = "divergence.png"
PNG = download("image/png")

router = APIRouter(prefix="/analyses", tags=["analyses"])


class AnalysesQuery(PageQuery):
    dataset_id: Text | None = None


async def find(context: Context, caller: Caller, analysis_id: str) -> AnalysisOut:
    async with context.read() as session:
        statement = analyses.get(caller.project_id, analysis_id)
        return AnalysisOut.of(*await pair(session, statement, "analysis", analysis_id))


@router.post(
    "",
    status_code=202,
    operation_id="analyses_create",
    summary="Analyse a dataset: exponent, embedding, forcing interval",
    description="The same series analysed with the same options gives the analysis that there is: 200 with its result, "
    "or 202 where it is still to come. `fresh` makes another one.",
    dependencies=[JsonBody],
    responses=problems.declared(
        NotFound,
        DatasetNotReady,
        InvalidJson,
        BodyTooLarge,
        UnsupportedMediaType,
        QueueFull,
        DatabaseUnavailable,
        StorageFull,
        *problems.QUOTAS,
    )
    | {200: {"model": AnalysisOut, "description": "analysed before, with its result"}},
)
async def create(
    body: AnalysisCreate, caller: Known, context: Shared, response: Response, background: BackgroundTasks
) -> AnalysisOut:
    async with context.write() as session:
        row, job, made = await session.run_sync(
            analyses.obtain,
            project_id=caller.project_id,
            dataset_id=body.dataset_id,
            max_attempts=context.settings.max_attempts,
            max_queued=context.settings.max_queued_jobs,
            options=body.options,
            fresh=body.fresh,
        )
        found = AnalysisOut.of(row, job)
    if made:
        background.add_task(broker.wake, context.celery, job.id, job.kind)
    response.status_code = 202 if found.result is None else 200
    response.headers["Location"] = found.links.self
    return found


@router.get("", operation_id="analyses_list", summary="Analyses, newest first")
async def listed(query: Annotated[AnalysesQuery, Query()], caller: Known, context: Shared) -> Page[AnalysisOut]:
    statement = analyses.page(caller.project_id, **query.model_dump())
    async with context.read() as session:
        return await pairs(session, statement, query, AnalysisOut.of)


@router.get(
    "/{analysis_id}",
    operation_id="analyses_get",
    summary="One analysis; waits for its end if asked",
    responses=problems.declared(NotFound),
)
async def get(analysis_id: str, query: Waiting, caller: Known, context: Shared) -> AnalysisOut:
    return await after_job(context, caller, query.wait, partial(find, context, caller, analysis_id))


@router.get("/{analysis_id}/figure", operation_id="analyses_figure", summary="The divergence curve as a PNG", **PNG)
@router.head("/{analysis_id}/figure", operation_id="analyses_figure_head", summary="Size and hash", **PNG)
async def figure(analysis_id: str, request: Request, caller: Known, context: Shared) -> Response:
    async with context.read() as session:
        found, _ = await pair(session, analyses.get(caller.project_id, analysis_id), "analysis", analysis_id)
        statement = artifacts.named(caller.project_id, found.job_id, FIGURE)
        row = await one(session, statement, "figure of analysis", analysis_id)
    return await deliver(request, context, Content(row.sha256, row.size, row.media_type, row.name))
