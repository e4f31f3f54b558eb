"""What a training starts from: a trained model or a checkpoint, with all that the job must know if that is deleted."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from chaos_core.errors import Inconsistent
from chaos_core.spec import Spec
from chaos_core.start import Parent, agreed
from chaos_store import checkpoints, datasets, jobs, trained
from chaos_store.errors import DatasetNotReady
from chaos_store.tables import Job

from .context import Caller
from .lookup import one
from .schemas.resource import Json
from .schemas.starts import StartFrom

MOST_ANCESTORS = 100
OF_A_START = ("kind", "id", "sha256", "scaling", "job_id")


async def find_start(session: AsyncSession, caller: Caller, asked: StartFrom | None) -> Json | None:
    """As it is kept in the job's row."""
    if asked is None:
        return None
    if asked.model_id is not None:
        model = await one(session, trained.get(caller.project_id, asked.model_id), "model", asked.model_id)
        parent, job_id = Parent.of_model(model.config, model.sha256, asked.scaling), model.job_id
    else:
        wanted = str(asked.checkpoint_id)
        state = await one(session, checkpoints.get(caller.project_id, wanted), "checkpoint", wanted)
        if state.damaged_at is not None:
            raise Inconsistent(f"{wanted} is damaged; start from another checkpoint of {state.job_id}")
        job = await one(session, jobs.get(caller.project_id, state.job_id), "job", state.job_id)
        parent, job_id = Parent.of_checkpoint(job.plan or {}, state.sha256, asked.scaling), state.job_id
    before = await one(session, jobs.get(caller.project_id, job_id), "job", job_id)
    return {
        **{name: getattr(parent, name) for name in ("kind", "sha256", "scaling")},
        "id": asked.model_id or asked.checkpoint_id,
        "job_id": job_id,
        "parent": parent.model_dump(mode="json"),
        "ancestors": _ancestors(before),
    }


def _ancestors(job: Job) -> list[Json]:
    """Of the job that made the parent, nearest first: they stay known where one of them is deleted."""
    if job.start is None:
        return []
    nearest = {name: job.start.get(name) for name in OF_A_START}
    return [nearest, *job.start.get("ancestors", [])][:MOST_ANCESTORS]


def parent_of(start: Mapping[str, Any] | None) -> Parent | None:
    return None if start is None else Parent.model_validate(start["parent"])


async def check_start(
    session: AsyncSession, caller: Caller, start: Mapping[str, Any] | None, spec: Mapping[str, Any], dataset_id: str
) -> None:
    """Refuses a spec or a series to which the parent does not fit."""
    parent = parent_of(start)
    if parent is None:
        return
    data = await one(session, datasets.get(caller.project_id, dataset_id), "dataset", dataset_id)
    if data.channels is None:
        raise DatasetNotReady(f"Dataset {data.id} is {data.status}.", dataset_id=data.id, status=data.status)
    agreed(Spec.model_validate(spec), parent, data.channels)
    if parent.cell.inputs not in (0, len(data.input_names or [])):
        detail = f"the cell of the {parent.kind} takes {parent.cell.inputs} external inputs"
        raise Inconsistent(f"{detail}, the series has {len(data.input_names or [])}", inputs=parent.cell.inputs)
