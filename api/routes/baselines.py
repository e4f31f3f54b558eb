from fastapi import APIRouter, BackgroundTasks, Response

from chaos_core.errors import SpecError, UnknownKind
from chaos_store.errors import DatasetNotReady, NotFound, QueueFull, StorageFull
from chaos_store.states import Kind

from .. import problems
from ..deps import JsonBody, Known, Shared
from ..errors import BodyTooLarge, DatabaseUnavailable, InvalidJson, UnsupportedMediaType
from ..queueing import queue_job
from ..schemas.baselines import BaselineCreate
from ..schemas.jobs import JobOut

router = APIRouter(prefix="/baselines", tags=["jobs"])


@router.post(
    "",
    status_code=202,
    operation_id="baselines_create",
    summary="Fit and score a baseline",
    description="A job of kind `baseline`: its scores are made as those of a trained model are. "
    "GET /v1/model-types lists the baselines.",
    dependencies=[JsonBody],
    responses=problems.declared(
        NotFound, DatasetNotReady, SpecError, UnknownKind, InvalidJson, BodyTooLarge, UnsupportedMediaType,
        QueueFull, DatabaseUnavailable, StorageFull, *problems.QUOTAS,
    ),
)  # fmt: skip
async def create(
    body: BaselineCreate, caller: Known, context: Shared, response: Response, background: BackgroundTasks
) -> JobOut:
    return await queue_job(
        context,
        caller,
        response,
        background,
        kind=Kind.baseline,
        dataset_id=body.dataset_id,
        spec=body.spec.model_dump(mode="json", exclude_unset=True),
        labels=body.labels,
    )
