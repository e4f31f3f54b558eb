"""What clients ask of a job that exists."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Body, Response
from sqlalchemy.orm import Session

from chaos_core.errors import Inconsistent, SpecError, UnknownKind
from chaos_store import broker, commands, datasets, jobs
from chaos_store.errors import (
    DatasetNotReady,
    NotCancellable,
    NotClonable,
    NotDeletable,
    NotFound,
    NotPausable,
    NotResumable,
    NotRetryable,
    QueueFull,
    StorageFull,
    TooManyLabels,
)
from chaos_store.tables import Dataset, Job

from .. import problems
from ..cloning import words_of
from ..conditional import IfMatch, require_match
from ..context import Caller, Context
from ..deps import JsonBody, JsonIfAny, Known, Shared
from ..errors import BodyTooLarge, DatabaseUnavailable, InvalidJson, PreconditionFailed, UnsupportedMediaType
from ..lookup import one
from ..queueing import queue_job
from ..schemas.jobs import JobClone, JobOut, JobRetry, JobUpdate
from ..starting import check_start, find_start
from .jobs import shown

router = APIRouter(prefix="/jobs", tags=["jobs"])
FROM_CHECKPOINT = JobRetry()
UNCHANGED = JobClone()


async def _ask(context: Context, caller: Caller, job_id: str, command: Callable[..., Job], **words: Any) -> JobOut:
    def ask(session: Session) -> Job:
        return command(session, caller.project_id, job_id, **words)

    async with context.write() as session:
        job = await session.run_sync(ask)
        return await shown(session, caller, job)


@router.post(
    "/{job_id}/cancel",
    operation_id="jobs_cancel",
    summary="Stop a job: at once if it waits, within seconds if a worker has it",
    responses=problems.declared(NotFound, NotCancellable, StorageFull),
)
async def cancel(job_id: str, caller: Known, context: Shared) -> JobOut:
    return await _ask(context, caller, job_id, commands.request_cancel)


@router.post(
    "/{job_id}/pause",
    operation_id="jobs_pause",
    summary="Set a job aside: at once if queued, after a checkpoint if running",
    responses=problems.declared(NotFound, NotPausable, StorageFull),
)
async def pause(job_id: str, caller: Known, context: Shared) -> JobOut:
    return await _ask(context, caller, job_id, commands.request_pause)


@router.post(
    "/{job_id}/resume",
    operation_id="jobs_resume",
    summary="Queue a paused job again; it goes on from its newest checkpoint",
    responses=problems.declared(NotFound, NotResumable, StorageFull, *problems.QUOTAS),
)
async def resume(job_id: str, caller: Known, context: Shared, background: BackgroundTasks) -> JobOut:
    made = await _ask(context, caller, job_id, commands.request_resume)
    background.add_task(broker.wake, context.celery, made.id, made.kind)
    return made


@router.post(
    "/{job_id}/retry",
    operation_id="jobs_retry",
    summary="Queue a failed or cancelled job again, from its newest checkpoint or from the start",
    dependencies=[JsonIfAny],
    responses=problems.declared(
        NotFound, NotRetryable, InvalidJson, BodyTooLarge, UnsupportedMediaType, StorageFull, *problems.QUOTAS
    ),
)
async def retry(
    job_id: str,
    caller: Known,
    context: Shared,
    background: BackgroundTasks,
    body: Annotated[JobRetry, Body()] = FROM_CHECKPOINT,
) -> JobOut:
    made = await _ask(context, caller, job_id, commands.request_retry, fresh=body.origin == "start")
    background.add_task(broker.wake, context.celery, made.id, made.kind)
    return made


@router.post(
    "/{job_id}/clone",
    status_code=202,
    operation_id="jobs_clone",
    summary="Queue a job like this one, with changes",
    dependencies=[JsonIfAny],
    responses=problems.declared(
        NotFound, NotClonable, TooManyLabels, DatasetNotReady, SpecError, UnknownKind, Inconsistent, InvalidJson,
        BodyTooLarge, UnsupportedMediaType, QueueFull, DatabaseUnavailable, StorageFull, *problems.QUOTAS,
    ),
)  # fmt: skip
async def clone(
    job_id: str,
    caller: Known,
    context: Shared,
    response: Response,
    background: BackgroundTasks,
    body: Annotated[JobClone, Body()] = UNCHANGED,
) -> JobOut:
    async with context.read() as session:
        job = await one(session, jobs.get(caller.project_id, job_id), "job", job_id)
        split = await session.scalar(datasets.get(caller.project_id, job.dataset_id).with_only_columns(Dataset.split))
        words = words_of(job, body, split)
        if "start_from" in body.model_fields_set:
            words["start"] = await find_start(session, caller, body.start_from)
        await check_start(session, caller, words["start"], words["spec"], words["dataset_id"])
    return await queue_job(context, caller, response, background, **words)


@router.patch(
    "/{job_id}",
    operation_id="jobs_update",
    summary="Change labels, priority or deadline of a job, in any state",
    dependencies=[JsonBody],
    responses=problems.declared(
        NotFound, TooManyLabels, InvalidJson, BodyTooLarge, UnsupportedMediaType, StorageFull, PreconditionFailed
    ),
)
async def update(job_id: str, body: JobUpdate, caller: Known, context: Shared, match: IfMatch = "*") -> JobOut:
    given = body.model_dump(exclude_unset=True, exclude={"labels"})
    if body.deadline is not None:
        given["deadline"] = body.deadline.timestamp()
    async with context.write() as session:
        locked = jobs.get(caller.project_id, job_id).with_for_update()
        require_match(match, await shown(session, caller, await one(session, locked, "job", job_id)))
        job = await session.run_sync(commands.revise, caller.project_id, job_id, labels=body.labels, **given)
        return await shown(session, caller, job)


@router.delete(
    "/{job_id}",
    status_code=204,
    response_class=Response,
    operation_id="jobs_delete",
    summary="Remove a finished job with all that it made: model, trajectories, files, metrics, analysis",
    responses=problems.declared(NotFound, NotDeletable, StorageFull),
)
async def delete(job_id: str, caller: Known, context: Shared) -> None:
    async with context.write() as session:
        await session.run_sync(commands.delete, caller.project_id, job_id)
