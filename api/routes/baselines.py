from functools import cache

from fastapi import APIRouter, BackgroundTasks, Response

from chaos_core.baselines import BASELINES
from chaos_core.errors import SpecError, UnknownKind
from chaos_store import broker, jobs
from chaos_store.errors import DatasetNotReady, NotFound, QueueFull, StorageFull
from chaos_store.states import Kind

from .. import problems
from ..deps import JsonBody, Known, Shared
from ..errors import BodyTooLarge, DatabaseUnavailable, InvalidJson, UnsupportedMediaType
from ..schemas.baselines import BaselineCreate, BaselineOut, Baselines
from ..schemas.jobs import JobOut

kinds = APIRouter(prefix="/baselines", tags=["service"])
router = APIRouter(prefix="/baselines", tags=["jobs"])


@kinds.get("", operation_id="baselines_list", summary="Cheap generators that a trained model has to beat")
async def listed() -> Baselines:
    return _listed()


@cache
def _listed() -> Baselines:
    return Baselines(data=[BaselineOut.of(kind, settings) for kind, settings in BASELINES.items()])


@router.post(
    "",
    status_code=202,
    operation_id="baselines_create",
    summary="Fit and score a baseline",
    description="A job of kind `baseline`: its scores are made as those of a trained model are.",
    dependencies=[JsonBody],
    responses=problems.declared(
        NotFound, DatasetNotReady, SpecError, UnknownKind, InvalidJson, BodyTooLarge, UnsupportedMediaType,
        QueueFull, DatabaseUnavailable, StorageFull,
    ),
)  # fmt: skip
async def create(
    body: BaselineCreate, caller: Known, context: Shared, response: Response, background: BackgroundTasks
) -> JobOut:
    async with context.write() as session:
        job = await session.run_sync(
            jobs.create,
            project_id=caller.project_id,
            kind=Kind.baseline,
            dataset_id=body.dataset_id,
            spec=body.spec.model_dump(mode="json", exclude_unset=True),
            labels=body.labels,
            max_attempts=context.settings.max_attempts,
            max_queued=context.settings.max_queued_jobs,
        )
        made = JobOut.of(job, None)
    background.add_task(broker.wake, context.celery, job.id, job.kind)
    response.headers["Location"] = made.links.self
    return made
