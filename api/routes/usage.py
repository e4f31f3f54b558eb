from fastapi import APIRouter

from chaos_store import capacity, projects, usage

from ..deps import Known, Shared
from ..lookup import one
from ..schemas.projects import Quotas
from ..schemas.usage import UsageOut

router = APIRouter(prefix="/usage", tags=["access"])


@router.get("", operation_id="usage_get", summary="What the project uses, and its quotas")
async def get_usage(caller: Known, context: Shared) -> UsageOut:
    mine = caller.project_id
    async with context.read() as session:
        project = await one(session, projects.get(mine), "project", mine)
        kinds = {row[0]: row[1] for row in await session.execute(capacity.bytes_by_kind(mine))}
        jobs = {row[0]: row[1] for row in await session.execute(usage.jobs_by_status(mine))}
        return UsageOut(
            project_id=mine,
            period_days=usage.PERIOD_DAYS,
            stored_bytes=await session.scalar(capacity.project_bytes(mine)) or 0,
            stored_bytes_by_kind=kinds,
            datasets=await session.scalar(usage.datasets(mine)) or 0,
            jobs=jobs,
            core_seconds=await session.scalar(usage.core_seconds(mine)) or 0.0,
            requests=(await session.scalar(usage.requests(mine)) or 0) + context.ledger.pending(mine),
            quotas=Quotas.of(project),
        )
