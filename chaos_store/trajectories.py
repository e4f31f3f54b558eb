"""Trajectories: free runs of a trained model."""

from collections.abc import Iterable
from typing import Unpack

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from .paging import Place, window
from .tables import Artifact, Trajectory

__all__ = ["create", "get", "of_jobs", "page"]


def create(session: Session, *, artifact: Artifact, model_id: str, steps: int, channels: int) -> Trajectory:
    trajectory = Trajectory(
        project_id=artifact.project_id,
        job_id=artifact.job_id,
        artifact_id=artifact.id,
        model_id=model_id,
        steps=steps,
        channels=channels,
    )
    session.add(trajectory)
    session.flush()
    return trajectory


def get(project_id: str, trajectory_id: str) -> Select[Trajectory]:
    return select(Trajectory).where(Trajectory.project_id == project_id, Trajectory.id == trajectory_id)


def of_jobs(project_id: str, job_ids: Iterable[str]) -> Select[str, str]:
    """Job id and trajectory id."""
    mine = select(Trajectory.job_id, Trajectory.id).where(Trajectory.project_id == project_id)
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
