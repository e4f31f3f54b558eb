import asyncio

from fastapi import APIRouter

from chaos_core.errors import Inconsistent, SpecError, TooShort, UnknownKind
from chaos_store import history
from chaos_store.errors import DatasetNotReady, NotFound

from .. import problems
from ..deps import JsonBody, Known, Shared
from ..errors import AnalysisMismatch, AnalysisMissing, BodyTooLarge, InvalidJson, UnsupportedMediaType
from ..schemas.jobs import JobCreate
from ..schemas.validations import Validation
from ..validating import find_ground, judged, planned
from .jobs import check_analysis

router = APIRouter(prefix="/jobs:validate", tags=["jobs"])


@router.post(
    "",
    operation_id="jobs_validate",
    summary="What a job would be and take: its plan, parameters, memory, seconds; nothing is queued",
    description="Needs an analysis of the series that is done, as the plan rests on it: 409 `analysis_missing` where "
    "there is none.",
    dependencies=[JsonBody],
    responses=problems.declared(
        NotFound, DatasetNotReady, AnalysisMissing, AnalysisMismatch, SpecError, UnknownKind, Inconsistent, TooShort,
        InvalidJson, BodyTooLarge, UnsupportedMediaType,
    ),
)  # fmt: skip
async def validate(body: JobCreate, caller: Known, context: Shared) -> Validation:
    if body.analysis_id is not None:
        await check_analysis(context, caller, body.analysis_id, body.dataset_id)
    async with context.read() as session:
        ground = await find_ground(session, caller, body)
    plan = await asyncio.to_thread(planned, body, ground)
    async with context.read() as session:
        past = (await session.execute(history.done_in_one_go(str(plan.cell.model_dump()["kind"])))).all()
    return await asyncio.to_thread(judged, body, ground, plan, past, context.settings)
