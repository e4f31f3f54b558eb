from functools import partial
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Response

from chaos_core import errors as core
from chaos_store import broker, evaluations
from chaos_store.errors import DatasetNotReady, NotFound, QueueFull, StorageFull
from chaos_store.evaluations import Generated
from chaos_store.states import State

from .. import problems
from ..context import Caller, Context
from ..deps import JsonBody, Known, PageQuery, Shared, Waiting
from ..errors import BodyTooLarge, DatabaseUnavailable, InvalidJson, InvalidRequest, UnsupportedMediaType
from ..evaluating import options_of
from ..lookup import after_job, pair, pairs
from ..schemas.evaluations import EvaluationCreate, EvaluationOut
from ..schemas.resource import Page, Text

router = APIRouter(prefix="/evaluations", tags=["evaluations"])


class EvaluationsQuery(PageQuery):
    status: State | None = None
    dataset_id: Text | None = None
    generated_dataset_id: Text | None = None
    trajectory_id: Text | None = None


async def find(context: Context, caller: Caller, evaluation_id: str) -> EvaluationOut:
    async with context.read() as session:
        statement = evaluations.get(caller.project_id, evaluation_id)
        return EvaluationOut.of(*await pair(session, statement, "evaluation", evaluation_id))


@router.post(
    "",
    status_code=202,
    operation_id="evaluations_create",
    summary="Score a trajectory, ours or anyone's, against a series",
    description="A job of kind `evaluate`. Both sides are in data units, with equal channels and sampling step. "
    "A metric that two trajectories do not allow has a reason in place of a value.",
    dependencies=[JsonBody],
    responses=problems.declared(
        NotFound, DatasetNotReady, InvalidRequest, core.Inconsistent, InvalidJson, BodyTooLarge, UnsupportedMediaType,
        QueueFull, DatabaseUnavailable, StorageFull, *problems.QUOTAS,
    ),
)  # fmt: skip
async def create(
    body: EvaluationCreate, caller: Known, context: Shared, response: Response, background: BackgroundTasks
) -> EvaluationOut:
    async with context.read() as session:
        options = await options_of(session, caller, body)
    async with context.write() as session:
        row, job = await session.run_sync(
            evaluations.create,
            project_id=caller.project_id,
            dataset_id=body.true.dataset_id,
            generated=Generated(body.generated.dataset_id, body.generated.trajectory_id),
            options=options,
            labels=body.labels,
            max_attempts=context.settings.max_attempts,
            max_queued=context.settings.max_queued_jobs,
        )
        made = EvaluationOut.of(row, job)
    background.add_task(broker.wake, context.celery, job.id, job.kind)
    response.headers["Location"] = made.links.self
    return made


@router.get("", operation_id="evaluations_list", summary="Evaluations, newest first")
async def listed(query: Annotated[EvaluationsQuery, Query()], caller: Known, context: Shared) -> Page[EvaluationOut]:
    statement = evaluations.page(caller.project_id, **query.model_dump())
    async with context.read() as session:
        return await pairs(session, statement, query, EvaluationOut.of)


@router.get(
    "/{evaluation_id}",
    operation_id="evaluations_get",
    summary="One evaluation; waits for its end if asked",
    responses=problems.declared(NotFound),
)
async def get(evaluation_id: str, query: Waiting, caller: Known, context: Shared) -> EvaluationOut:
    return await after_job(context, caller, query.wait, partial(find, context, caller, evaluation_id))
