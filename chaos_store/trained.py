"""Trained models: the row beside the safetensors."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from .paging import window
from .tables import Artifact, TrainedModel

__all__ = ["create", "get", "page"]


def create(
    session: Session,
    *,
    artifact: Artifact,
    dataset_id: str,
    name: str,
    config: Mapping[str, Any],
    parameter_count: int,
    plan_hash: str | None,
) -> TrainedModel:
    """The trained model whose tensors are the artifact; a job has at most one."""
    trained = TrainedModel(
        project_id=artifact.project_id,
        job_id=artifact.job_id,
        dataset_id=dataset_id,
        name=name,
        config=dict(config),
        sha256=artifact.sha256,
        artifact_id=artifact.id,
        parameter_count=parameter_count,
        plan_hash=plan_hash,
    )
    session.add(trained)
    session.flush()
    return trained


def get(project_id: str, model_id: str) -> Select[TrainedModel]:
    return select(TrainedModel).where(TrainedModel.project_id == project_id, TrainedModel.id == model_id)


def page(
    project_id: str, *, dataset_id: str | None = None, cursor: str | None = None, limit: int = 50
) -> Select[TrainedModel]:
    statement = select(TrainedModel).where(TrainedModel.project_id == project_id)
    if dataset_id is not None:
        statement = statement.where(TrainedModel.dataset_id == dataset_id)
    return window(statement, TrainedModel, cursor, limit)
