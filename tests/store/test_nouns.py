"""Datasets, analyses, trained models, artifacts and trajectories: written, read and listed by their project only."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Select

from chaos_store import analyses, artifacts, datasets, jobs, paging, trained, trajectories
from chaos_store.blobs import BlobRef, DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.errors import BadCursor, NotFound, WrongState
from chaos_store.tables import Artifact, TrainedModel, Trajectory

NewJob = Callable[..., str]


def _facts(series: BlobRef) -> datasets.Facts:
    return {
        "format": "npy",
        "series_sha256": series.sha256,
        "rows": 3,
        "channels": 2,
        "names": ["x", "ü"],
        "dt": 0.01,
        "missing_count": 1,
        "stretches": 1,
    }


def _blob(database: Database, data: bytes) -> BlobRef:
    return DatabaseBlobs().store(database, [data])


def _result(database: Database, project_id: str, dataset_id: str, job_id: str) -> tuple[TrainedModel, Trajectory]:
    weights, run = _blob(database, b"weights"), _blob(database, b"run")
    common = {"project_id": project_id, "job_id": job_id, "media_type": "application/octet-stream"}
    with database.write.begin() as session:
        model_file = artifacts.create(session, kind="model", name="model.safetensors", blob=weights, **common)
        model = trained.create(
            session,
            artifact=model_file,
            dataset_id=dataset_id,
            name="laser",
            config={"cell": "clipped_shplrnn", "scaling": {"mean": [0.1]}},
            parameter_count=403,
            plan_hash="abc",
        )
        run_file = artifacts.create(session, kind="trajectory", name="trajectory.npz", blob=run, **common)
        return model, trajectories.create(session, artifact=run_file, model_id=model.id, steps=100, channels=1)


def test_a_dataset_is_ready_at_once_or_when_its_file_was_read(database: Database, project_id: str) -> None:
    content, series = _blob(database, b"file"), _blob(database, b"series")
    with database.write.begin() as session:
        at_once = datasets.create(
            session, project_id=project_id, name="a", content=content, options={"dt": 0.01}, facts=_facts(series)
        )
        later = datasets.create(session, project_id=project_id, name="b", content=content)
        assert (at_once.status, later.status, later.rows) == ("ready", "processing", None)
        done = datasets.ready(session, later.id, **_facts(series))
    assert (done.status, done.names, done.dt, done.series_sha256) == ("ready", ["x", "ü"], 0.01, series.sha256)
    assert at_once.options == {"dt": 0.01}
    with pytest.raises(WrongState), database.write.begin() as session:
        datasets.reject(session, later.id, {"code": "late"})


def test_a_dataset_that_cannot_be_read_keeps_the_reason(database: Database, project_id: str) -> None:
    problem = {"code": "not_finite", "row": 4, "column": "x"}
    with database.write.begin() as session:
        dataset = datasets.create(session, project_id=project_id, name="b", content=BlobRef(_store(session), 4))
        assert datasets.reject(session, dataset.id, problem).error == problem
        with pytest.raises(NotFound):
            datasets.reject(session, "ds_unknown", problem)
    with database.read() as session:
        assert [row.id for row in session.scalars(datasets.page(project_id, status="failed"))] == [dataset.id]


def _store(session: Any) -> str:
    return DatabaseBlobs().put(session, [b"file"]).sha256


def test_an_analysis_has_the_status_of_its_job_and_then_a_result(
    database: Database, project_id: str, dataset_id: str
) -> None:
    with database.write.begin() as session:
        analysis, job = analyses.request(session, project_id=project_id, dataset_id=dataset_id, max_attempts=3)
    assert (job.kind, job.analysis_id, analysis.job_id) == ("analyse", analysis.id, job.id)
    with database.read() as session:
        row, its_job = session.execute(analyses.get(project_id, analysis.id)).one()
        assert (row.result, its_job.status) == (None, "queued")
        assert session.execute(analyses.newest(project_id, dataset_id, done=True)).first() is None
    with database.write.begin() as session:
        claim = jobs.claim(session, job.id, "w", 6.0)
        assert claim is not None
        assert claim.analysis_id == analysis.id
        analyses.save_result(session, analysis.id, {"verdict": "chaotic", "tau": 16})
        jobs.succeed(session, claim)
    with database.read() as session:
        row, its_job = session.execute(analyses.newest(project_id, dataset_id, done=True)).one()
        assert (row.result["tau"], its_job.status) == (16, "succeeded")


def test_a_training_job_leaves_its_own_analysis_under_its_own_fence(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob
) -> None:
    job_id = new_job()
    with database.write.begin() as session:
        claim = jobs.claim(session, job_id, "w", 6.0)
        assert claim is not None
        analysis = analyses.create(
            session, project_id=project_id, dataset_id=dataset_id, job_id=job_id, result={"tau": 3}
        )
        jobs.freeze_plan(session, claim, {"tau": 3}, "hash", analysis.id)
    with database.read() as session:
        job = session.scalars(jobs.get(project_id, job_id)).one()
        assert (job.analysis_id, job.plan_hash) == (analysis.id, "hash")
        newest = session.execute(analyses.newest(project_id, dataset_id)).one()
        assert newest[0].id == analysis.id


def test_a_job_leaves_a_trained_model_and_a_trajectory_with_their_files(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob
) -> None:
    job_id = new_job()
    model, trajectory = _result(database, project_id, dataset_id, job_id)
    with database.read() as session:
        assert session.scalars(trained.get(project_id, model.id)).one().config["scaling"] == {"mean": [0.1]}
        assert session.scalars(trajectories.get(project_id, trajectory.id)).one().steps == 100
        assert list(session.execute(trajectories.of_jobs(project_id, [job_id]))) == [(job_id, trajectory.id)]
        files = session.scalars(artifacts.of_job(project_id, job_id)).all()
        assert [file.name for file in files] == ["model.safetensors", "trajectory.npz"]
        assert (files[0].id, files[0].sha256, files[0].size) == (model.artifact_id, model.sha256, len(b"weights"))
        assert [row.id for row in session.scalars(artifacts.page(project_id, kind="trajectory"))] == [files[1].id]


def test_a_file_made_again_by_a_later_attempt_keeps_its_id_and_has_the_new_bytes(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    job_id = new_job()
    made: list[Artifact] = []
    for data in (b"old", b"newer"):
        blob = _blob(database, data)
        with database.write.begin() as session:
            made.append(
                artifacts.create(
                    session,
                    project_id=project_id,
                    job_id=job_id,
                    kind="figure",
                    name="attractor.svg",
                    media_type="image/svg+xml",
                    blob=blob,
                )
            )
    assert made[0].id == made[1].id
    assert (made[1].size, made[1].sha256) == (5, blob.sha256)


def test_nothing_of_one_project_is_seen_by_another(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob
) -> None:
    job_id = new_job()
    model, trajectory = _result(database, project_id, dataset_id, job_id)
    with database.write.begin() as session:
        analysis, _ = analyses.request(session, project_id=project_id, dataset_id=dataset_id, max_attempts=1)
    other = "prj_other"
    statements: list[Select[Any]] = [
        datasets.get(other, dataset_id),
        datasets.page(other),
        analyses.get(other, analysis.id),
        analyses.newest(other, dataset_id),
        analyses.page(other),
        trained.get(other, model.id),
        trained.page(other),
        trajectories.get(other, trajectory.id),
        trajectories.page(other, model_id=model.id),
        trajectories.of_jobs(other, [job_id]),
        artifacts.get(other, model.artifact_id),
        artifacts.of_job(other, job_id),
        artifacts.page(other),
        jobs.get(other, job_id),
        jobs.page(other),
        jobs.metrics(other, job_id),
    ]
    with database.read() as session:
        for statement in statements:
            assert session.execute(statement).first() is None


def test_pages_follow_each_other_without_gap_or_repeat_while_rows_are_added(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    made = [new_job() for _ in range(7)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        with database.read() as session:
            rows = session.scalars(jobs.page(project_id, cursor=cursor, limit=3)).all()
        page, cursor = paging.cut(rows, 3)
        assert len(page) <= 3
        seen += [job.id for job in page]
        new_job()
        if cursor is None:
            break
    assert seen == made[::-1]


def test_pages_of_joined_rows_follow_their_first_table(database: Database, project_id: str, dataset_id: str) -> None:
    with database.write.begin() as session:
        common = {"project_id": project_id, "dataset_id": dataset_id, "max_attempts": 1}
        made = [analyses.request(session, **common)[0].id for _ in range(3)]
    with database.read() as session:
        first, cursor = paging.cut(session.execute(analyses.page(project_id, limit=2)).all(), 2)
        rest, end = paging.cut(session.execute(analyses.page(project_id, cursor=cursor, limit=2)).all(), 2)
    assert [row[0].id for row in [*first, *rest]] == made[::-1]
    assert end is None


@pytest.mark.parametrize(
    "content",
    [
        "null",
        "[]",
        '["a", "b"]',
        '[1, "\\u0000"]',
        '[1, "\\ud800"]',
        '[Infinity, "x"]',
        "[" * 9999,
        "[1" + "0" * 400 + ', "x"]',
    ],
)
def test_a_cursor_with_other_content_is_refused(content: str) -> None:
    with pytest.raises(BadCursor):
        jobs.page("prj", cursor=base64.urlsafe_b64encode(content.encode()).decode().rstrip("="))


@pytest.mark.parametrize("cursor", ["", "x", "!!!!", "ü", "a" * 5])
def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursor):
        jobs.page("prj", cursor=cursor)
