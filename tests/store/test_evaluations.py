"""Evaluations: a job each, and bytes that stay as long as they are needed."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select, update

from chaos_store import artifacts, commands, datasets, evaluations, gc, jobs, trained, trajectories
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.errors import DatasetInUse, DatasetNotReady, NotFound, QueueFull
from chaos_store.evaluations import Generated
from chaos_store.tables import Blob, Evaluation, Job
from tests.store.conftest import FACTS

NewJob = Callable[..., str]


@pytest.fixture
def other_id(database: Database, project_id: str) -> str:
    return add_dataset(database, project_id, b"other")


def add_dataset(database: Database, project_id: str, content: bytes) -> str:
    with database.write.begin() as session:
        blob = DatabaseBlobs().put(session, [content])
        facts: Any = FACTS | {"series_sha256": blob.sha256}
        return datasets.create(session, project_id=project_id, name="other", content=blob, facts=facts).id


def evaluated(database: Database, project_id: str, dataset_id: str, generated: Generated, **more: Any) -> Evaluation:
    with database.write.begin() as session:
        words = {"project_id": project_id, "dataset_id": dataset_id, "options": {"a": 1}, "max_attempts": 2}
        return evaluations.create(session, generated=generated, **words, **more)[0]


def add_run(database: Database, project_id: str, job_id: str, dataset_id: str) -> tuple[str, str]:
    """A model and its trajectory."""
    with database.write.begin() as session:
        own: Any = {"project_id": project_id, "job_id": job_id, "media_type": "x/y"}
        files = [
            artifacts.create(session, kind=kind, name=kind, blob=DatabaseBlobs().put(session, [kind.encode()]), **own)
            for kind in ("model", "trajectory")
        ]
        facts: Any = {"name": "m", "config": {}, "parameter_count": 1, "plan_hash": None}
        model = trained.create(session, artifact=files[0], dataset_id=dataset_id, **facts)
        return model.id, trajectories.create(session, artifact=files[1], model_id=model.id, steps=9, channels=1).id


def count(database: Database, table: type[Any]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def collect(database: Database) -> None:
    with database.write.begin() as session:
        session.execute(update(Blob).values(created_at=0.0))
    gc.collect(database, grace_s=0.0)


def test_a_series_or_a_run_is_scored_by_a_light_job(
    database: Database, project_id: str, dataset_id: str, other_id: str, new_job: NewJob
) -> None:
    _, run_id = add_run(database, project_id, new_job(), dataset_id)
    first = evaluated(database, project_id, dataset_id, Generated(dataset_id=other_id))
    second = evaluated(database, project_id, dataset_id, Generated(trajectory_id=run_id), labels={"a": "b"})
    with database.read() as session:
        row, job = session.execute(evaluations.get(project_id, second.id)).one()
        found = [row.id for row, _ in session.execute(evaluations.page(project_id, trajectory_id=run_id))]
        everything = [row.id for row, _ in session.execute(evaluations.page(project_id, dataset_id=dataset_id))]
        assert session.execute(evaluations.get("prj_other", second.id)).first() is None
        assert session.scalars(evaluations.of_job(project_id, first.job_id)).one().id == first.id
    assert (job.kind, job.status, job.labels, job.dataset_id) == ("evaluate", "queued", {"a": "b"}, dataset_id)
    assert (row.options, row.generated_dataset_id) == ({"a": 1}, None)
    assert (found, everything) == ([second.id], [second.id, first.id])


def test_what_is_absent_foreign_or_unread_is_refused_and_nothing_is_written(
    database: Database, project_id: str, dataset_id: str
) -> None:
    with database.write.begin() as session:
        blob = DatabaseBlobs().put(session, [b"unread"])
        unread = datasets.create(session, project_id=project_id, name="u", content=blob).id
    for generated, refusal in (
        (Generated(dataset_id="ds_none"), NotFound),
        (Generated(trajectory_id="trj_none"), NotFound),
        (Generated(dataset_id=unread), DatasetNotReady),
    ):
        with pytest.raises(refusal):
            evaluated(database, project_id, dataset_id, generated)
    with pytest.raises(QueueFull):
        evaluated(database, project_id, dataset_id, Generated(dataset_id=dataset_id), max_queued=0)
    assert count(database, Job) == count(database, Evaluation) == 0


def test_the_bytes_of_a_scored_run_outlive_it_and_go_with_the_evaluation(
    database: Database, project_id: str, dataset_id: str, other_id: str, new_job: NewJob
) -> None:
    model_id, run_id = add_run(database, project_id, new_job(), dataset_id)
    rows = [
        evaluated(database, project_id, dataset_id, generated)
        for generated in (Generated(trajectory_id=run_id), Generated(dataset_id=other_id))
    ]
    with database.write.begin() as session:
        trained.delete(session, project_id, model_id)
        datasets.delete(session, project_id, other_id)
    collect(database)
    with database.read() as session:
        held = [b"".join(DatabaseBlobs().read(session, row.generated_sha256)) for row in rows]
    assert held == [b"trajectory", b"other"]
    with pytest.raises(DatasetInUse), database.write.begin() as session:
        datasets.delete(session, project_id, dataset_id)
    for row in rows:
        with database.write.begin() as session:
            commands.request_cancel(session, project_id, row.job_id)
            commands.delete(session, project_id, row.job_id)
    collect(database)
    with database.read() as session:
        left = set(session.scalars(select(Blob.sha256)))
    assert left.isdisjoint(row.generated_sha256 for row in rows)


def test_the_bytes_that_a_job_starts_from_stay_with_it(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob
) -> None:
    with database.write.begin() as session:
        blob = DatabaseBlobs().put(session, [b"the parent"])
        start = {"kind": "model", "id": "mdl_gone", "sha256": blob.sha256, "scaling": "parent"}
        words: Any = {"project_id": project_id, "kind": "train", "dataset_id": dataset_id, "max_attempts": 2}
        job_id = jobs.create(session, start=start, **words).id
    collect(database)
    with database.write.begin() as session:
        claim = jobs.claim(session, job_id, "w", 6.0)
        assert claim is not None and claim.start == start
        assert b"".join(DatabaseBlobs().read(session, blob.sha256)) == b"the parent"
