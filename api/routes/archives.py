from fastapi import APIRouter, Request, Response

from chaos_store import artifacts, jobs, trained
from chaos_store.artifacts import GENERATED
from chaos_store.errors import WrongState
from chaos_store.states import FINISHED
from chaos_store.tables import Artifact, Job

from .. import archive
from ..conditional import ASK_AGAIN
from ..content import deliver_bytes, produced, whole
from ..context import Caller, Context
from ..deps import Known, Shared
from ..lineage import lineage
from ..lookup import one
from ..making import check_bytes, make
from ..schemas.lineage import LineageOut

router = APIRouter(prefix="/jobs", tags=["jobs"])
ZIP_TYPE = "application/zip"
ZIP = produced(ZIP_TYPE, errors=[WrongState])
FOLDERS = {"figure": "figures/"}


@router.get(
    "/{job_id}/archive.zip",
    operation_id="jobs_archive",
    summary="All that a finished job made, in one file: the same job gives the same bytes",
    description="plan.json, scores.json, trajectory, figures; with a trained model also model.safetensors, model.onnx, "
    "reader.py (runs the model on numpy alone), MODEL_CARD.md, REFERENCES.md and lineage.json.",
    **ZIP,
)
@router.head("/{job_id}/archive.zip", operation_id="jobs_archive_head", summary="Size and hash", **ZIP)
async def packed(job_id: str, request: Request, caller: Known, context: Shared) -> Response:
    job, made, told = await _rows(context, caller, job_id)
    check_bytes(sum(row.size for row in made), "the job's files")
    files = {FOLDERS.get(row.kind, "") + row.name: await whole(context, row.sha256) for row in made}
    files |= archive.about_job(job.plan, job.scores, job.baselines)
    if told is not None and archive.MODEL_FILE in files:
        files |= await make(context, archive.about_model, files[archive.MODEL_FILE], told)
    body = await make(context, archive.pack, files)
    return await deliver_bytes(request, body, ZIP_TYPE, f"{job_id}.zip", cache=ASK_AGAIN)


async def _rows(context: Context, caller: Caller, job_id: str) -> tuple[Job, list[Artifact], LineageOut | None]:
    async with context.read() as session:
        job = await one(session, jobs.get(caller.project_id, job_id), "job", job_id)
        if job.status not in FINISHED:
            raise WrongState(
                f"Job {job_id} is {job.status}; its archive is made once it is finished.", status=job.status
            )
        found = await session.scalars(artifacts.of_job(caller.project_id, job_id))
        made = [row for row in found if row.kind != GENERATED]
        if job.model_id is None:
            return job, made, None
        model = await one(session, trained.get(caller.project_id, job.model_id), "model", job.model_id)
        return job, made, await lineage(session, caller, model)
