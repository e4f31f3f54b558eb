from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Response

from chaos_store import analyses, broker
from chaos_store.errors import DatasetNotReady, NotFound, QueueFull, StorageFull
from chaos_store.states import FINISHED

from .. import problems
from ..context import Caller, Context
from ..deps import JsonBody, Known, PageQuery, Shared, Waiting
from ..errors import BodyTooLarge, DatabaseUnavailable, InvalidJson, UnsupportedMediaType
from ..lookup import pair, pairs
from ..schemas.analyses import AnalysisCreate, AnalysisOut
from ..schemas.resource import Page, Text
from ..waiting import until

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
    ),
)
async def create(
    body: AnalysisCreate, caller: Known, context: Shared, response: Response, background: BackgroundTasks
) -> AnalysisOut:
    async with context.write() as session:
        row, job = await session.run_sync(
            analyses.request,
            project_id=caller.project_id,
            dataset_id=body.dataset_id,
            max_attempts=context.settings.max_attempts,
            max_queued=context.settings.max_queued_jobs,
        )
        made = AnalysisOut.of(row, job)
    background.add_task(broker.wake, context.celery, job.id, job.kind)
    response.headers["Location"] = made.links.self
    return made


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
    return await until(
        context, query.wait, lambda: find(context, caller, analysis_id), lambda analysis: analysis.status in FINISHED
    )
