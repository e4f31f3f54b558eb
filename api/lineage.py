"""Where a trained model came from, in one document."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from chaos_core.citations import citations
from chaos_store import analyses, checkpoints, datasets, jobs, trained
from chaos_store.tables import Job, JobEvent, Metric, TrainedModel

from .context import Caller
from .lookup import one
from .schemas.jobs import CheckpointOut
from .schemas.lineage import (
    Ancestor,
    Attempt,
    LineageAnalysis,
    LineageData,
    LineageJob,
    LineageModel,
    LineageOut,
    MetricEnd,
    Paper,
)
from .starting import OF_A_START


async def lineage(session: AsyncSession, caller: Caller, model: TrainedModel) -> LineageOut:
    project = caller.project_id
    job = await one(session, jobs.get(project, model.job_id), "job", model.job_id)
    data = await one(session, datasets.get(project, model.dataset_id), "dataset", model.dataset_id)
    kept = (await session.scalars(checkpoints.of_job(project, job.id))).all()
    provenance = dict(model.config.get("provenance", {}))
    code, digest = provenance.pop("code", None), provenance.pop("series_sha256", None)
    return LineageOut(
        model=LineageModel.of(model),
        dataset=LineageData.of(data, digest),
        analysis=await _analysis(session, caller, job),
        start_from=await _ancestors(session, caller, job),
        job=LineageJob.of(job),
        code=code,
        provenance=provenance,
        attempts=await _attempts(session, job),
        checkpoints=[CheckpointOut.of(row) for row in kept],
        metrics=await _ends(session, job),
        scores=job.scores,
        baselines=job.baselines,
        papers=_papers(job, model),
    )


async def _analysis(session: AsyncSession, caller: Caller, job: Job) -> LineageAnalysis | None:
    if job.analysis_id is None:
        return None
    found = (await session.execute(analyses.get(caller.project_id, job.analysis_id))).first()
    return None if found is None else LineageAnalysis.of(found[0])


async def _ancestors(session: AsyncSession, caller: Caller, job: Job) -> list[Ancestor]:
    start = job.start or {}
    known = [start, *start.get("ancestors", [])] if start else []
    ids = [step["id"] for step in known]
    found = set(await session.scalars(trained.existing(caller.project_id, ids)))
    found |= set(await session.scalars(checkpoints.existing(caller.project_id, ids)))
    return [
        Ancestor.model_validate({name: step[name] for name in OF_A_START} | {"present": step["id"] in found})
        for step in known
    ]


async def _attempts(session: AsyncSession, job: Job) -> list[Attempt]:
    changes = select(JobEvent).where(JobEvent.job_id == job.id, JobEvent.type == "status").order_by(JobEvent.seq)
    return [Attempt.of(row) for row in await session.scalars(changes)]


async def _ends(session: AsyncSession, job: Job) -> list[MetricEnd]:
    of_job = select(Metric.name, func.count().label("numbers"), func.max(Metric.step).label("last"))
    ends = of_job.where(Metric.job_id == job.id).group_by(Metric.name).subquery()
    last = select(Metric.name, ends.c.numbers, Metric.step, Metric.value).join(
        ends, (Metric.name == ends.c.name) & (Metric.step == ends.c.last)
    )
    rows = await session.execute(last.where(Metric.job_id == job.id).order_by(Metric.name))
    words = MetricEnd.model_fields
    return [MetricEnd.model_validate(dict(zip(words, row, strict=True))) for row in rows]


def _papers(job: Job, model: TrainedModel) -> list[Paper]:
    known: dict[str, Any] = {"cell": {"kind": model.config.get("cell")}, "observation": model.config.get("observation")}
    scored = [name for name, score in (job.scores or {}).items() if score]
    return [Paper(**found._asdict()) for found in citations(known | (job.plan or {}), scored)]
