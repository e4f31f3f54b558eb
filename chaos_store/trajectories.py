"""Trajectories: free runs of a trained model."""

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from . import artifacts, capacity
from .artifacts import GENERATED
from .blobs import BlobRef
from .paging import Place, window
from .tables import Artifact, TrainedModel, Trajectory, new_id

__all__ = ["add", "create", "get", "of_jobs", "page"]


def create(
    session: Session,
    *,
    artifact: Artifact,
    model_id: str,
    steps: int,
    channels: int,
    runs: int = 1,
    options: Mapping[str, Any] | None = None,
    trajectory_id: str | None = None,
) -> Trajectory:
    trajectory = Trajectory(
        id=trajectory_id or new_id("trj"),
        project_id=artifact.project_id,
        job_id=artifact.job_id,
        artifact_id=artifact.id,
        model_id=model_id,
        steps=steps,
        channels=channels,
        runs=runs,
        options=dict(options or {}),
    )
    session.add(trajectory)
    session.flush()
    return trajectory


def add(
    session: Session,
    *,
    model: TrainedModel,
    blob: BlobRef,
    steps: int,
    channels: int,
    runs: int,
    options: Mapping[str, Any],
) -> Trajectory:
    """Runs that a client asked for: files of the job that made the model, under names of their own."""
    trajectory_id = new_id("trj")
    artifact = artifacts.create(
        session,
        project_id=model.project_id,
        job_id=model.job_id,
        kind=GENERATED,
        name=f"{trajectory_id}.npz",
        media_type="application/x-npz",
        blob=blob,
    )
    capacity.require_bytes(session, model.project_id)
    return create(
        session,
        artifact=artifact,
        model_id=model.id,
        steps=steps,
        channels=channels,
        runs=runs,
        options=options,
        trajectory_id=trajectory_id,
    )


def get(project_id: str, trajectory_id: str) -> Select[Trajectory]:
    return select(Trajectory).where(Trajectory.project_id == project_id, Trajectory.id == trajectory_id)


def of_jobs(project_id: str, job_ids: Iterable[str]) -> Select[str, str]:
    """Job id and trajectory id, of those that the jobs themselves stored."""
    stored = (Trajectory.project_id == project_id, Artifact.kind != GENERATED)
    mine = select(Trajectory.job_id, Trajectory.id).join(Artifact, Artifact.id == Trajectory.artifact_id).where(*stored)
    return mine.where(Trajectory.job_id.in_(list(job_ids))).order_by(Trajectory.created_at, Trajectory.id)


def page(
    project_id: str,
    *,
    model_id: str | None = None,
    **place: Unpack[Place],
) -> Select[Trajectory]:
    statement = select(Trajectory).where(Trajectory.project_id == project_id)
    if model_id is not None:
        statement = statement.where(Trajectory.model_id == model_id)
    return window(statement, Trajectory, **place)
