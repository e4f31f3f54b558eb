"""Trained models: the row beside the safetensors."""

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

from sqlalchemy import Select, select, update
from sqlalchemy import delete as remove
from sqlalchemy.orm import Session

from .artifacts import GENERATED
from .engine import insert_for, now
from .errors import NotFound
from .paging import Place, window
from .tables import Artifact, Job, TrainedModel, Trajectory, new_id

__all__ = ["create", "delete", "describe", "existing", "get", "page"]


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
    """The trained model whose tensors are the artifact; a job that makes its model again keeps the id."""
    content = {
        "dataset_id": dataset_id,
        "name": name,
        "config": dict(config),
        "sha256": artifact.sha256,
        "artifact_id": artifact.id,
        "parameter_count": parameter_count,
        "plan_hash": plan_hash,
    }
    statement = insert_for(session, TrainedModel).values(
        id=new_id("mdl"), project_id=artifact.project_id, job_id=artifact.job_id, created_at=now(), **content
    )
    replaced = statement.on_conflict_do_update(index_elements=["job_id"], set_=content).returning(TrainedModel)
    trained = session.scalars(replaced, execution_options={"populate_existing": True}).one()
    asked_for = (Artifact.job_id == artifact.job_id, Artifact.kind == GENERATED)
    for before in (remove(Trajectory).where(Trajectory.job_id == artifact.job_id), remove(Artifact).where(*asked_for)):
        session.execute(before, execution_options={"synchronize_session": False})
    return trained


def get(project_id: str, model_id: str) -> Select[TrainedModel]:
    return select(TrainedModel).where(TrainedModel.project_id == project_id, TrainedModel.id == model_id)


def existing(project_id: str, model_ids: Iterable[str]) -> Select[str]:
    return select(TrainedModel.id).where(TrainedModel.project_id == project_id, TrainedModel.id.in_(list(model_ids)))


def describe(session: Session, project_id: str, model_id: str, words: Mapping[str, Any]) -> TrainedModel:
    """Changes what people say of it, `name`, `licence` and `stage`; what was learnt stays as it is."""
    trained = session.scalar(get(project_id, model_id).with_for_update(), execution_options={"populate_existing": True})
    if trained is None:
        raise NotFound(f"There is no trained model {model_id}.", kind="model", id=model_id)
    for word, value in words.items():
        setattr(trained, word, value)
    session.flush()
    return trained


def delete(session: Session, project_id: str, model_id: str) -> None:
    """Removes the trained model with its file and every trajectory of it; the job that made it stays."""
    trained = session.scalar(get(project_id, model_id))
    if trained is None:
        raise NotFound(f"There is no trained model {model_id}.", kind="model", id=model_id)
    session.execute(select(Job.id).where(Job.id == trained.job_id).with_for_update())
    runs = select(Trajectory.artifact_id).where(Trajectory.model_id == model_id)
    files = [trained.artifact_id, *session.scalars(runs)]
    maker = update(Job).where(Job.model_id == model_id).values(model_id=None, version=Job.version + 1)
    for statement in (
        maker,
        remove(Trajectory).where(Trajectory.model_id == model_id),
        remove(TrainedModel).where(TrainedModel.id == model_id),
        remove(Artifact).where(Artifact.id.in_(files)),
    ):
        session.execute(statement, execution_options={"synchronize_session": False})


def page(
    project_id: str,
    *,
    dataset_id: str | None = None,
    stage: str | None = None,
    **place: Unpack[Place],
) -> Select[TrainedModel]:
    statement = select(TrainedModel).where(TrainedModel.project_id == project_id)
    if dataset_id is not None:
        statement = statement.where(TrainedModel.dataset_id == dataset_id)
    if stage is not None:
        statement = statement.where(TrainedModel.stage == stage)
    return window(statement, TrainedModel, **place)
