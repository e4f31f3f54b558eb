from collections import Counter

from fastapi import APIRouter

from chaos_store import workers
from chaos_store.states import Kind
from chaos_store.tables import Worker
from chaos_store.workers import Work

from ..context import Caller
from ..deps import Known, Shared
from ..schemas.resource import Page
from ..schemas.workers import Slots, WorkerOut

router = APIRouter(prefix="/workers", tags=["service"])


@router.get("", operation_id="workers_list", summary="Workers, their machines, and what they do")
async def listed(caller: Known, context: Shared) -> Page[WorkerOut]:
    async with context.read() as session:
        seen = (await session.execute(workers.listed(context.settings.lease_s))).all()
        work = [Work(*row) for row in (await session.execute(workers.at_work())).all()]
    return Page(data=[_shown(worker, alive, work, caller) for worker, alive in seen])


def _shown(worker: Worker, alive: bool, work: list[Work], caller: Caller) -> WorkerOut:
    own = [one for one in work if one.worker == worker.name]
    count = Counter(one.kind == Kind.train for one in own)
    return WorkerOut.model_validate(
        WorkerOut.facts(worker)
        | {"status": "alive" if alive else "silent"}
        | {"slots": Slots(training=worker.training_slots, light=worker.light_slots)}
        | {"busy": Slots(training=count[True], light=count[False])}
        | {"jobs": [one.job_id for one in own if one.project_id == caller.project_id]}
    )
