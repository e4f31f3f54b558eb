"""The newest few states of a training stay, and the best; a damaged one is left out."""

from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from chaos_store import artifacts, checkpoints, jobs, trained
from chaos_store.blobs import BlobRef, DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.errors import LeaseLost
from chaos_store.jobs import Claim
from chaos_store.tables import Checkpoint, Job, Metric

NewJob = Callable[..., str]
PassTime = Callable[[float], None]
PROBLEM = {"code": "blob_corrupt", "detail": "Blob is damaged.", "sha256": "abc"}


@pytest.fixture
def claim(database: Database, new_job: NewJob) -> Claim:
    with database.write.begin() as session:
        claim = jobs.claim(session, new_job(), "w", 100.0)
    assert claim is not None
    return claim


def save(database: Database, claim: Claim, number: int, *, best: bool = False, keep: int = 2) -> BlobRef:
    with database.write.begin() as session:
        blob = DatabaseBlobs().put(session, [b"state at %d" % number])
        checkpoints.save(session, claim, blob, number, best=best, keep=keep)
        return blob


def kept(database: Database, claim: Claim) -> list[tuple[int, bool, bool]]:
    """Update, best, damaged; newest first."""
    with database.read() as session:
        rows = session.scalars(checkpoints.of_job(claim.project_id, claim.job_id)).all()
    return [(row.update, row.best, row.damaged_at is not None) for row in rows]


def read(database: Database, claim: Claim) -> Job:
    with database.read() as session:
        return session.scalars(jobs.get(claim.project_id, claim.job_id)).one()


def steps(database: Database, claim: Claim) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(Metric.step).where(Metric.job_id == claim.job_id).order_by(Metric.step)))


def test_a_checkpoint_points_to_its_bytes_and_is_told(database: Database, claim: Claim) -> None:
    blob = save(database, claim, 10)
    with database.read() as session:
        row = session.scalars(checkpoints.usable(claim.job_id)).one()
        last = session.scalars(jobs.events(claim.project_id, claim.job_id)).all()[-1]
    assert (row.update, row.sha256, row.size, row.best, row.damaged_at) == (10, blob.sha256, blob.size, False, None)
    assert (last.type, last.data) == ("checkpoint", {"sha256": blob.sha256, "update": 10, "best": False})
    assert read(database, claim).checkpoint_update == 10


def test_the_newest_few_stay_and_the_best_beside_them(database: Database, claim: Claim) -> None:
    for number in (10, 20, 30, 40, 50):
        save(database, claim, number, best=number == 20)
    assert kept(database, claim) == [(50, False, False), (40, False, False), (20, True, False)]
    save(database, claim, 60, best=True)
    assert kept(database, claim) == [(60, True, False), (50, False, False)]
    save(database, claim, 70, keep=1)
    assert kept(database, claim) == [(70, False, False), (60, True, False)]


def test_the_same_update_again_is_one_checkpoint_and_stays_the_best(database: Database, claim: Claim) -> None:
    save(database, claim, 10, best=True)
    blob = save(database, claim, 10)
    assert kept(database, claim) == [(10, True, False)]
    with database.read() as session:
        assert session.scalars(checkpoints.usable(claim.job_id)).one().sha256 == blob.sha256


def test_a_job_whose_workers_were_lost_leaves_the_model_of_its_best_checkpoint(
    database: Database, claim: Claim, pass_time: PassTime
) -> None:
    with database.write.begin() as session:
        weights = DatabaseBlobs().put(session, [b"weights"])
        artifact = {"name": "model.safetensors", "media_type": "application/vnd.safetensors"}
        facts = {"name": "clipped_shplrnn", "config": {"format": "chaos-1"}, "parameter_count": 3}
        model = checkpoints.BestModel(weights, artifact, facts)
        checkpoints.save(session, claim, weights, 10, best=True, keep=2, model=model)
    save(database, claim, 20)
    with database.write.begin() as session:
        spent = update(Job).values(attempts_since_checkpoint=Job.max_attempts)
        session.execute(spent, execution_options={"synchronize_session": False})
    pass_time(1000)
    with database.write.begin() as session:
        jobs.reap(session)
    job = read(database, claim)
    assert job.status == "failed" and job.error is not None and job.error["code"] == "worker_lost"
    with database.read() as session:
        kept_model = session.scalars(trained.get(claim.project_id, str(job.model_id))).one()
        file = session.scalars(artifacts.of_job(claim.project_id, claim.job_id)).one()
    assert (kept_model.sha256, kept_model.parameter_count, kept_model.name) == (weights.sha256, 3, "clipped_shplrnn")
    assert (file.kind, file.name, file.size) == ("model", "model.safetensors", len(b"weights"))


def test_only_a_later_update_starts_the_count_of_attempts_anew(database: Database, claim: Claim) -> None:
    assert read(database, claim).attempts_since_checkpoint == 1
    save(database, claim, 10)
    assert read(database, claim).attempts_since_checkpoint == 0
    with database.write.begin() as session:
        jobs.lose(session, claim, PROBLEM)
        again = jobs.claim(session, claim.job_id, "w2", 100.0)
    assert again is not None and again.checkpoint_update == 10
    save(database, again, 10)
    assert read(database, again).attempts_since_checkpoint == 1
    save(database, again, 11)
    assert read(database, again).attempts_since_checkpoint == 0


def test_a_damaged_checkpoint_is_left_out_and_the_run_goes_on_from_the_one_before(
    database: Database, claim: Claim
) -> None:
    for number in (10, 20):
        save(database, claim, number)
    with database.write.begin() as session:
        jobs.add_metrics(session, claim, [("loss", step, 0.5, 0.0) for step in (5, 10, 15, 20, 25)])
        checkpoints.mark_damaged(session, claim, 20, PROBLEM)
        assert [row.update for row in session.scalars(checkpoints.usable(claim.job_id))] == [10]
        checkpoints.resume_from(session, claim, 10)
    assert steps(database, claim) == [5, 10]
    assert read(database, claim).checkpoint_update == 10
    with database.read() as session:
        last = session.scalars(jobs.events(claim.project_id, claim.job_id)).all()[-1]
    assert (last.type, last.data) == ("checkpoint_skipped", PROBLEM | {"update": 20})
    save(database, claim, 15)
    assert kept(database, claim) == [(20, False, True), (15, False, False), (10, False, False)]
    assert read(database, claim).checkpoint_update == 15
    save(database, claim, 20)
    assert kept(database, claim) == [(20, False, False), (15, False, False)]
    assert read(database, claim).checkpoint_update == 20


def test_a_damaged_one_does_not_take_the_place_of_a_usable_one(database: Database, claim: Claim) -> None:
    for number in (10, 20, 30):
        save(database, claim, number, keep=3)
    with database.write.begin() as session:
        checkpoints.mark_damaged(session, claim, 20, PROBLEM)
    save(database, claim, 40, keep=3)
    assert kept(database, claim) == [
        (40, False, False),
        (30, False, False),
        (20, False, True),
        (10, False, False),
    ]
    save(database, claim, 50, keep=3)
    assert kept(database, claim) == [(50, False, False), (40, False, False), (30, False, False)]


def test_a_run_without_a_usable_checkpoint_begins_anew(database: Database, claim: Claim) -> None:
    save(database, claim, 10)
    with database.write.begin() as session:
        jobs.add_metrics(session, claim, [("loss", step, 0.5, 0.0) for step in (0, 5, 10)])
        checkpoints.mark_damaged(session, claim, 10, PROBLEM)
        checkpoints.resume_from(session, claim, None)
    assert steps(database, claim) == []
    assert read(database, claim).checkpoint_update is None


def test_what_came_after_the_point_of_resuming_is_forgotten(database: Database, claim: Claim) -> None:
    """Else a later attempt could begin behind numbers that this one has not written yet."""
    for number in (10, 20, 30):
        save(database, claim, number, keep=3)
    with database.write.begin() as session:
        checkpoints.resume_from(session, claim, 10)
    assert [update for update, _, _ in kept(database, claim)] == [10]


def test_a_worker_that_lost_the_job_writes_no_checkpoint_and_forgets_nothing(
    database: Database, claim: Claim, pass_time: Callable[[float], None]
) -> None:
    save(database, claim, 10)
    pass_time(200)
    with database.write.begin() as session:
        jobs.reap(session)
        blob = DatabaseBlobs().put(session, [b"late"])
    for late in (
        lambda session: checkpoints.save(session, claim, blob, 20, best=True, keep=1),
        lambda session: checkpoints.mark_damaged(session, claim, 10, PROBLEM),
        lambda session: checkpoints.resume_from(session, claim, None),
    ):
        with pytest.raises(LeaseLost), database.write.begin() as session:
            late(session)
    assert kept(database, claim) == [(10, False, False)]


def test_checkpoints_are_shown_to_their_project_only(database: Database, claim: Claim) -> None:
    save(database, claim, 10)
    with database.read() as session:
        assert session.scalars(checkpoints.of_job("prj_other", claim.job_id)).all() == []
        assert len(session.scalars(select(Checkpoint)).all()) == 1
