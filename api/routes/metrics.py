import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from chaos_core.thinning import FEWEST
from chaos_store import jobs
from chaos_store.errors import NotFound
from chaos_store.tables import Metric

from .. import curves, problems
from ..deps import Known, Shared, Strict
from ..lookup import one
from ..schemas.jobs import MetricsOut

router = APIRouter(prefix="/jobs", tags=["jobs"])
TABLE = {"schema": {"type": "string", "format": "binary"}}


class MetricsQuery(Strict):
    names: str | None = Field(None, description="metrics to show, separated by commas; all if left out")
    after_step: int = Field(-1, ge=-1, lt=2**63, description="only later steps")
    max_points: int | None = Field(
        None, ge=FEWEST, le=1_000_000, description="most points of each series: its ends, and lows and highs between"
    )
    format: curves.Form = Field("json", description="CSV and Parquet have the columns name, step, value, wall")


@router.get(
    "/{job_id}/metrics",
    operation_id="jobs_metrics",
    summary="Numbers of the run by step, as JSON, CSV or Parquet",
    response_model=MetricsOut,
    responses=problems.declared(NotFound)
    | {
        200: {
            "description": "the numbers; null, or an empty cell, where one was not finite",
            "content": {media_type.partition(";")[0]: TABLE for form, media_type in curves.MEDIA_TYPES.items()
                        if form != "json"},
        }
    },
)  # fmt: skip
async def metrics(job_id: str, query: Annotated[MetricsQuery, Query()], caller: Known, context: Shared) -> Response:
    names = [name.strip() for name in query.names.split(",")] if query.names else None
    statement = jobs.metrics(caller.project_id, job_id, names=names, after_step=query.after_step)
    columns = statement.with_only_columns(Metric.name, Metric.step, Metric.value, Metric.wall)
    async with context.read() as session:
        await one(session, jobs.get(caller.project_id, job_id), "job", job_id)
        rows = (await session.execute(columns)).all()
    content = await asyncio.to_thread(curves.written, job_id, rows, query.max_points, query.format)
    headers = {} if query.format == "json" else {
        "Content-Disposition": f'attachment; filename="{job_id}-metrics.{query.format}"'
    }  # fmt: skip
    return Response(content, headers=headers, media_type=curves.MEDIA_TYPES[query.format])
