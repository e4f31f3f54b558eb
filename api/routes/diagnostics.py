import asyncio

from fastapi import APIRouter

from chaos_core import errors as core
from chaos_store import jobs
from chaos_store.errors import BlobCorrupt, NotFound

from .. import problems
from ..deps import JsonBody, Known, Shared
from ..diagnosing import diagnosed
from ..errors import BodyTooLarge, ConversionTooLarge, InvalidJson, UnsupportedMediaType
from ..lookup import one
from ..making import load
from ..schemas.diagnostics import DiagnosisCreate, DiagnosisOut
from .models import find

router = APIRouter(prefix="/models", tags=["models"])


@router.post(
    "/{model_id}/diagnostics",
    operation_id="models_diagnose",
    summary="Lyapunov spectrum, dimension, gradient growth and fixed points of a model; nothing is stored",
    description="Each a value or a reason, from the model's own free run. `max_diagnosis_work` of GET /v1/limits keeps "
    "it to seconds.",
    dependencies=[JsonBody],
    responses=problems.declared(
        NotFound, BlobCorrupt, core.UnreadableFile, core.TooLarge, ConversionTooLarge, InvalidJson, BodyTooLarge,
        UnsupportedMediaType,
    ),
)  # fmt: skip
async def diagnose(model_id: str, body: DiagnosisCreate, caller: Known, context: Shared) -> DiagnosisOut:
    row = await find(context, caller, model_id)
    async with context.read() as session:
        job = await one(session, jobs.get(caller.project_id, row.job_id), "job", row.job_id)
    fitted = await load(context, row)
    async with context.generator_slot:
        return await asyncio.to_thread(diagnosed, fitted, model_id, body, job.plan)
