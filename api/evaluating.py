"""What an evaluation is made with: both sides looked up and compared, every default filled in."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from chaos_core.errors import Inconsistent
from chaos_core.scoring_options import Scoring, check_dt
from chaos_core.spec import Split
from chaos_store import analyses, datasets, trained, trajectories
from chaos_store.errors import DatasetNotReady
from chaos_store.tables import Dataset, TrainedModel, Trajectory

from .context import Caller
from .lookup import one
from .schemas.evaluations import EvaluationCreate, GeneratedSide, TrueSide
from .schemas.resource import Json


async def options_of(session: AsyncSession, caller: Caller, body: EvaluationCreate) -> Json:
    """Refuses what the worker would refuse, before a job is queued."""
    true = await _ready(session, caller, body.true.dataset_id)
    told: dict[str, Any] = {"noise": (), "embedding": {}}
    if body.generated.dataset_id is not None:
        other = await _ready(session, caller, body.generated.dataset_id)
        _check_fit(true, other.channels, other.dt)
        generated: Json = {"kind": "dataset", "piece": body.generated.piece, "split": _split(body.generated, other)}
    else:
        run, model = await _trajectory(session, caller, str(body.generated.trajectory_id))
        _check_fit(true, run.channels, model.config.get("dt"))
        generated = {"kind": "trajectory", "run": _run(body.generated, run)}
        told = {"noise": model.config.get("observation_noise") or (), "embedding": model.config.get("embedding") or {}}
    given = body.model_dump(include=set(Scoring.model_fields), exclude_none=True)
    told |= {"lambda_max_per_step": await _exponent(session, caller, body)}
    scoring = Scoring.model_validate(told | given)
    if scoring.noise and len(scoring.noise) != true.channels:
        detail = f"noise has {len(scoring.noise)} numbers for {true.channels} channels"
        raise Inconsistent(detail, channels=true.channels)
    return {
        "true": {"piece": body.true.piece, "split": _split(body.true, true)},
        "generated": generated,
        "scoring": scoring.model_dump(mode="json"),
    }


async def _ready(session: AsyncSession, caller: Caller, dataset_id: str) -> Dataset:
    found = await one(session, datasets.get(caller.project_id, dataset_id), "dataset", dataset_id)
    if found.status != "ready":
        raise DatasetNotReady(f"Dataset {found.id} is {found.status}.", dataset_id=found.id, status=found.status)
    return found


async def _trajectory(session: AsyncSession, caller: Caller, trajectory_id: str) -> tuple[Trajectory, TrainedModel]:
    run = await one(session, trajectories.get(caller.project_id, trajectory_id), "trajectory", trajectory_id)
    return run, await one(session, trained.get(caller.project_id, run.model_id), "model", run.model_id)


def _split(side: TrueSide | GeneratedSide, row: Dataset) -> Json:
    """That of the request, else the one stored with the dataset."""
    given = side.split.model_dump() if "split" in side.model_fields_set else row.split
    return given or Split().model_dump()


def _check_fit(true: Dataset, channels: int | None, dt: float | None) -> None:
    if channels != true.channels:
        detail = f"the true series has {true.channels} channels and the generated one {channels}"
        raise Inconsistent(detail, channels_true=true.channels, channels_generated=channels)
    check_dt(true.dt, dt)


def _run(side: GeneratedSide, row: Trajectory) -> int | str:
    if side.run is None and row.runs > 1:
        detail = f"{row.id} holds {row.runs} runs: say which by `run`, counted from 0, or `all`"
        raise Inconsistent(detail, runs=row.runs)
    if isinstance(side.run, int) and side.run >= row.runs:
        raise Inconsistent(f"{row.id} has no run {side.run}: it holds {row.runs}, counted from 0", runs=row.runs)
    return 0 if side.run is None else side.run


async def _exponent(session: AsyncSession, caller: Caller, body: EvaluationCreate) -> float | None:
    """Of the newest analysis, where the data are chaotic."""
    if body.generated_as != "forecast_path":
        return None
    row = await session.scalar(analyses.newest(caller.project_id, body.true.dataset_id, done=True))
    result = None if row is None else row.result
    if result is None or result.get("tau") is None:
        return None
    value: float | None = result.get("lambda_max_per_step")
    return value
