"""A dry run of a job: what it would be and what it would take; no row is written."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from chaos_core import costs
from chaos_core.analysed import Analysis
from chaos_core.costs import PastRun
from chaos_core.planning import plan as make_plan
from chaos_core.spec import Plan, Spec
from chaos_store import analyses, datasets
from chaos_store.errors import DatasetNotReady
from chaos_store.settings import Settings
from chaos_store.splits import with_split
from chaos_store.states import Kind
from chaos_store.tables import AnalysisRow, Dataset

from .context import Caller
from .errors import AnalysisMissing
from .lookup import one
from .schemas.jobs import JobCreate
from .schemas.resource import Json
from .schemas.validations import SecondsOut, Validation
from .starting import find_start, parent_of

Past = Row[*tuple[Any, ...]]


class Ground(NamedTuple):
    """What a plan is made from."""

    dataset: Dataset
    analysis: AnalysisRow
    start: Json | None


async def find_ground(session: AsyncSession, caller: Caller, body: JobCreate) -> Ground:
    dataset = await one(session, datasets.get(caller.project_id, body.dataset_id), "dataset", body.dataset_id)
    if dataset.status != "ready":
        raise DatasetNotReady(
            f"Dataset {dataset.id} is {dataset.status}.", dataset_id=dataset.id, status=dataset.status
        )
    wanted = analyses.newest(caller.project_id, body.dataset_id, done=True)
    if body.analysis_id is not None:
        wanted = analyses.get(caller.project_id, body.analysis_id)
    found: AnalysisRow | None = await session.scalar(wanted)
    if found is None or found.result is None:
        raise AnalysisMissing(f"{dataset.id} has not been analysed yet", dataset_id=dataset.id)
    return Ground(dataset, found, await find_start(session, caller, body.start_from))


def planned(body: JobCreate, ground: Ground) -> Plan:
    try:
        analysis = Analysis.model_validate(ground.analysis.result)
    except ValidationError as error:
        dataset_id = ground.dataset.id
        raise AnalysisMissing(f"{ground.analysis.id} was made by an older release", dataset_id=dataset_id) from error
    words = with_split(Kind.train, body.spec.model_dump(mode="json", exclude_unset=True), ground.dataset.split)
    return make_plan(Spec.model_validate(words), analysis, parent_of(ground.start))


def judged(body: JobCreate, ground: Ground, plan: Plan, past: Sequence[Past], settings: Settings) -> Validation:
    rows = ground.dataset.rows or 0
    alike, where = _alike(past)
    seconds, memory = costs.seconds(plan, alike), costs.memory_bytes(plan, rows)
    return Validation(
        dataset_id=ground.dataset.id,
        analysis_id=ground.analysis.id,
        plan=plan.model_dump(mode="json"),
        plan_hash=plan.digest(),
        parameter_count=costs.parameter_count(plan),
        memory_bytes=memory,
        seconds=SecondsOut(**seconds._asdict() | {"jobs": seconds.runs, "how": _how(seconds, where)}),
        notes=list(plan.notes),
        warnings=_warnings(body, seconds, memory, settings),
    )


def _alike(past: Sequence[Past]) -> tuple[list[PastRun], str]:
    """Those by the kernel and on the device of the newest."""
    if not past:
        return [], ""
    _, kernel, device, *_ = past[0]
    runs = [
        PastRun(
            start_s,
            rest_s,
            plan["training"]["updates"],
            plan["training"]["sequence_length"],
            plan["training"]["batch_size"],
            parameters,
        )
        for plan, own_kernel, own_device, start_s, rest_s, parameters in past
        if (own_kernel, own_device) == (kernel, device)
    ]
    return runs, f"kernel {kernel} on {device}"


def _how(seconds: costs.Seconds, where: str) -> str:
    return {
        "history": f"median of {seconds.runs} finished jobs with cells of this kind ({where}), scaled by "
        "updates x rows x windows x parameters",
        "trial": "no job with a cell of this kind has finished yet; the training step was tried on the API's machine",
        "table": "no job with a cell of this kind has finished yet; torch has to do it, and a table gives its pace",
    }[seconds.source]


def _warnings(body: JobCreate, seconds: costs.Seconds, memory: int, settings: Settings) -> list[str]:
    given = [limit for limit in (body.limits.wall_s, settings.job_wall_s) if limit is not None]
    bytes_given = [limit for limit in (body.limits.memory_bytes, settings.job_memory_bytes) if limit is not None]
    found = []
    if given and seconds.value > min(given):
        found.append(f"The job takes about {seconds.value:.0f} s; it may take {min(given):g} s.")
    if bytes_given and memory > min(bytes_given):
        found.append(f"The job needs about {memory} bytes of memory; it may take {min(bytes_given)}.")
    return found
