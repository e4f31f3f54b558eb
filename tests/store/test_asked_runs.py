"""Runs that clients ask of a finished model, and what people say of it."""

from collections.abc import Callable

import pytest

from chaos_store import artifacts, trained, trajectories
from chaos_store.artifacts import GENERATED
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.errors import NotFound
from chaos_store.tables import Artifact, TrainedModel, Trajectory

NewJob = Callable[..., str]


def _model(database: Database, project_id: str, dataset_id: str, job_id: str) -> TrainedModel:
    with database.write.begin() as session:
        file = artifacts.create(
            session,
            project_id=project_id,
            job_id=job_id,
            kind="model",
            name="model.safetensors",
            media_type="application/octet-stream",
            blob=DatabaseBlobs().put(session, [b"weights"]),
        )
        return trained.create(
            session, artifact=file, dataset_id=dataset_id, name="a", config={}, parameter_count=1, plan_hash=None
        )


def _asked(database: Database, model: TrainedModel) -> Trajectory:
    with database.write.begin() as session:
        blob = DatabaseBlobs().put(session, [b"run"])
        return trajectories.add(session, model=model, blob=blob, steps=3, channels=1, runs=2, options={"seed": 4})


def test_asked_runs_are_not_the_runs_of_the_job(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob
) -> None:
    model = _model(database, project_id, dataset_id, new_job())
    first, second = (_asked(database, model) for _ in range(2))
    assert first.artifact_id != second.artifact_id
    with database.read() as session:
        assert list(session.execute(trajectories.of_jobs(project_id, [model.job_id]))) == []
        row = session.scalars(trajectories.get(project_id, second.id)).one()
        assert (row.runs, row.options, row.steps) == (2, {"seed": 4}, 3)
        assert session.scalars(artifacts.get(project_id, row.artifact_id)).one().kind == GENERATED


def test_they_go_with_the_weights_that_made_them(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob
) -> None:
    job_id = new_job()
    run = _asked(database, _model(database, project_id, dataset_id, job_id))
    made_again = _model(database, project_id, dataset_id, job_id)
    with database.read() as session:
        assert session.get(Trajectory, run.id) is None
        assert session.get(Artifact, run.artifact_id) is None
        assert session.get(Artifact, made_again.artifact_id) is not None


def test_a_licence_stays_when_the_name_changes(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob
) -> None:
    model = _model(database, project_id, dataset_id, new_job())
    with database.write.begin() as session:
        trained.describe(session, project_id, model.id, {"licence": "MIT"})
        told = trained.describe(session, project_id, model.id, {"name": "b"})
        assert (told.name, told.licence) == ("b", "MIT")
        with pytest.raises(NotFound):
            trained.describe(session, "prj_other", model.id, {"name": "c"})
