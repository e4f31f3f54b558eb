from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Header, Query, Request, Response
from pydantic import Field, TypeAdapter, ValidationError, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from chaos_core.errors import Inconsistent, SpecError, UnknownKind
from chaos_store import analyses, artifacts, checkpoints, datasets, jobs, trajectories
from chaos_store.errors import DatasetNotReady, NotFound, QueueFull, StorageFull
from chaos_store.paging import cut
from chaos_store.states import Kind, State
from chaos_store.tables import Job

from .. import events as streams
from .. import problems
from ..conditional import Document
from ..context import Caller, Context
from ..deps import JsonBody, Known, Paged, PageQuery, Shared, Strict, Waiting, context_of
from ..errors import (
    AnalysisMismatch,
    BodyTooLarge,
    DatabaseUnavailable,
    InvalidJson,
    InvalidRequest,
    UnsupportedMediaType,
)
from ..lookup import one, page, pair
from ..polled import Polled
from ..queueing import queue_job
from ..schemas.artifacts import ArtifactOut
from ..schemas.jobs import CheckpointOut, EventOut, JobCreate, JobOut, LabelName
from ..schemas.resource import Page, Text
from ..starting import check_start, find_start

polls = APIRouter(prefix="/jobs", tags=["jobs"], route_class=Polled)
router = APIRouter(prefix="/jobs", tags=["jobs"])
missing = problems.declared(NotFound)


LABEL = "label."
LABELS = TypeAdapter(dict[LabelName, Text])
LABEL_FILTER = {
    "name": "label.NAME",
    "in": "query",
    "schema": {"type": "string"},
    "description": "only jobs whose label NAME has this value; several must all hold",
}


class JobsQuery(PageQuery):
    status: State | None = None
    kind: Kind | None = None
    dataset_id: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_labels(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if not name.startswith(LABEL)}


def wanted_labels(request: Request) -> dict[str, str]:
    given = [(name.removeprefix(LABEL), value) for name, value in request.query_params.multi_items()
             if name.startswith(LABEL)]  # fmt: skip
    try:
        return LABELS.validate_python(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ["query", LABEL + str(first["loc"][0])]
        entry = {"loc": place, "msg": first["msg"], "type": first["type"]}
        raise InvalidRequest(f"{'.'.join(place)}: {first['msg']}", errors=[entry]) from error


class EventsQuery(Strict):
    after: int = Field(
        0, ge=0, lt=2**62, description="`seq` of the last event seen; also `next_cursor` of the page before"
    )
    limit: int = Field(200, ge=1, le=1000)


async def shown(session: AsyncSession, caller: Caller, job: Job) -> JobOut:
    made = await _trajectories(session, caller, [job])
    return JobOut.of(job, made.get(job.id))


async def _trajectories(session: AsyncSession, caller: Caller, rows: Sequence[Job]) -> dict[str, str]:
    ids = [job.id for job in rows if job.model_id]
    if not ids:
        return {}
    found = await session.execute(trajectories.of_jobs(caller.project_id, ids))
    return {row[0]: row[1] for row in found}


@router.post(
    "",
    status_code=202,
    operation_id="jobs_create",
    summary="Train a model",
    dependencies=[JsonBody],
    responses=problems.declared(
        NotFound, DatasetNotReady, AnalysisMismatch, SpecError, UnknownKind, Inconsistent, InvalidJson, BodyTooLarge,
        UnsupportedMediaType, QueueFull, DatabaseUnavailable, StorageFull,
        *problems.QUOTAS,
    ),
)  # fmt: skip
async def create(
    body: JobCreate, caller: Known, context: Shared, response: Response, background: BackgroundTasks
) -> JobOut:
    if body.analysis_id is not None:
        await check_analysis(context, caller, body.analysis_id, body.dataset_id)
    spec = body.spec.model_dump(mode="json", exclude_unset=True)
    async with context.read() as session:
        start = await find_start(session, caller, body.start_from)
        await check_start(session, caller, start, spec, body.dataset_id)
    return await queue_job(
        context,
        caller,
        response,
        background,
        kind=Kind.train,
        dataset_id=body.dataset_id,
        analysis_id=body.analysis_id,
        spec=spec,
        seed=body.seed,
        labels=body.labels,
        limits=body.limits.model_dump(exclude_none=True),
        priority=body.priority,
        deadline=None if body.deadline is None else body.deadline.timestamp(),
        start=start,
    )


async def check_analysis(context: Context, caller: Caller, analysis_id: str, dataset_id: str) -> None:
    async with context.read() as session:
        analysis, _ = await pair(session, analyses.get(caller.project_id, analysis_id), "analysis", analysis_id)
        same = (await session.scalars(datasets.same_series(caller.project_id, dataset_id))).all()
    if analysis.dataset_id not in same:
        raise AnalysisMismatch(f"{analysis_id} is of {analysis.dataset_id}", dataset_id=analysis.dataset_id)


@router.get("", operation_id="jobs_list", summary="Jobs, newest first", openapi_extra={"parameters": [LABEL_FILTER]})
async def listed(
    caller: Known,
    query: Annotated[JobsQuery, Query()],
    labels: Annotated[dict[str, str], Depends(wanted_labels)],
    context: Shared,
) -> Page[JobOut]:
    statement = jobs.page(caller.project_id, labels=labels, **query.model_dump())
    async with context.read() as session:
        rows, next_cursor = cut((await session.scalars(statement)).all(), query.limit)
        made = await _trajectories(session, caller, rows)
    data = [JobOut.of(job, made.get(job.id)) for job in rows]
    return Page(data=data, next_cursor=next_cursor, has_more=next_cursor is not None)


@polls.get(
    "/{job_id}",
    operation_id="jobs_get",
    summary="One job; waits for its end if asked",
    response_model=JobOut,
    responses=missing,
)
async def get(job_id: str, query: Waiting, request: Request, caller: Known) -> Response:
    context = await context_of(request)
    if query.wait:
        seconds = min(query.wait, context.settings.max_wait_s)
        job = await context.watch.finished(caller.project_id, job_id, seconds)
        return Document.of(job).answer(request)
    return (await context.asking.job(caller.project_id, job_id)).answer(request)


@router.get(
    "/{job_id}/events",
    operation_id="jobs_events",
    summary="What happened, in order: a page, or a stream that ends with the job",
    description="With `Accept: text/event-stream` each event is sent as it happens, its `seq` as `id`; comments keep "
    "the line open. `Last-Event-ID` resumes. 204: the job has finished and nothing is left to tell.",
    response_model=Page[EventOut],
    responses=missing
    | {
        200: {"description": "a page, or the stream", "content": {streams.MEDIA_TYPE: {"schema": {"type": "string"}}}},
        204: {"description": "a stream was asked for, and nothing is left to tell"},
    },
)
async def events(
    job_id: str,
    query: Annotated[EventsQuery, Query()],
    request: Request,
    caller: Known,
    context: Shared,
    last_event_id: Annotated[int, Header(ge=0, lt=2**62, description="of a stream: the last `id` seen")] = 0,
) -> Page[EventOut] | Response:
    if streams.is_wanted(request.headers.get("accept", "")):
        return await streams.stream(context, caller, job_id, max(query.after, last_event_id))
    statement = jobs.events(caller.project_id, job_id, after=query.after, limit=query.limit + 1)
    async with context.read() as session:
        await one(session, jobs.get(caller.project_id, job_id), "job", job_id)
        rows = (await session.scalars(statement)).all()
    data = [EventOut.of(row) for row in rows[: query.limit]]
    return Page(data=data, next_cursor=str(data[-1].seq) if data else None, has_more=len(rows) > query.limit)


@router.get(
    "/{job_id}/checkpoints",
    operation_id="jobs_checkpoints",
    summary="States of the training kept to go on from, newest first",
    responses=missing,
)
async def kept(job_id: str, caller: Known, context: Shared) -> Page[CheckpointOut]:
    async with context.read() as session:
        await one(session, jobs.get(caller.project_id, job_id), "job", job_id)
        rows = (await session.scalars(checkpoints.of_job(caller.project_id, job_id))).all()
    return Page(data=[CheckpointOut.of(row) for row in rows])


@router.get("/{job_id}/artifacts", operation_id="jobs_artifacts", summary="What the job made", responses=missing)
async def of_job(job_id: str, query: Paged, caller: Known, context: Shared) -> Page[ArtifactOut]:
    statement = artifacts.page(caller.project_id, job_id=job_id, **query.place())
    async with context.read() as session:
        await one(session, jobs.get(caller.project_id, job_id), "job", job_id)
        return await page(session, statement, query, ArtifactOut.of)
