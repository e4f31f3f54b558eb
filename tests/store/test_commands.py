"""What clients may ask of a job in each state, what becomes of it, and what is left after a deletion."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chaos_store import analyses, artifacts, checkpoints, commands, datasets, jobs, trained, trajectories
from chaos_store.blobs import BlobRef, DatabaseBlobs
from chaos_store.checkpoints import BestModel
from chaos_store.engine import Database
from chaos_store.errors import LeaseLost, NotCancellable, NotFound, QueueFull, StoreError
from chaos_store.jobs import Claim
from chaos_store.states import FINISHED, State
from chaos_store.tables import Artifact, Base, Dataset, Job, Metric
from tests.lives import PROBLEM, bring

NewJob = Callable[..., str]
PassTime = Callable[[float], None]

FACTS = {"name": "laser", "config": {}, "parameter_count": 3}

COMMANDS: dict[str, Callable[[Session, str, str], Any]] = {
    "pause": commands.request_pause,
    "resume": commands.request_resume,
    "cancel": commands.request_cancel,
    "retry": lambda session, project_id, job_id: commands.request_retry(session, project_id, job_id, fresh=False),
    "delete": commands.delete,
}
ANSWERS = {
    State.queued: "paused queued cancelled job_not_retryable job_not_deletable",
    State.running: "pausing running cancelling job_not_retryable job_not_deletable",
    State.pausing: "pausing job_not_resumable cancelling job_not_retryable job_not_deletable",
    State.paused: "paused queued cancelled job_not_retryable job_not_deletable",
    State.cancelling: "job_not_pausable job_not_resumable cancelling job_not_retryable job_not_deletable",
    State.succeeded: "job_not_pausable job_not_resumable job_not_cancellable job_not_retryable gone",
    State.failed: "job_not_pausable job_not_resumable job_not_cancellable queued gone",
    State.cancelled: "job_not_pausable job_not_resumable job_not_cancellable queued gone",
}
"""By state, the answers to pause, resume, cancel, retry and delete: the state after, or the code of the refusal."""


def read(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return session.get_one(Job, job_id)


def told(session: Session, job_id: str) -> list[str]:
    rows = session.scalars(select(jobs.JobEvent).where(jobs.JobEvent.job_id == job_id).order_by(jobs.JobEvent.seq))
    return [row.data["status"] for row in rows if row.type == "status"]


def test_each_command_in_each_state_has_its_answer(database: Database, project_id: str, new_job: NewJob) -> None:
    for state, name in itertools.product(State, COMMANDS):
        job_id = new_job()
        with database.write.begin() as session:
            bring(session, job_id, state)
            before = told(session, job_id)
        answer = ANSWERS[state].split()[list(COMMANDS).index(name)]
        with database.write.begin() as session:
            try:
                COMMANDS[name](session, project_id, job_id)
            except StoreError as error:
                assert (error.code, error.fields) == (answer, {"status": state.value}), (state, name)
                answer = state.value
        with database.read() as session:
            job = session.get(Job, job_id)
            assert (job.status if job else "gone") == answer, (state, name)
            new = [] if answer in (state.value, "gone") else [answer]
            assert job is None or told(session, job_id) == before + new, (state, name)


@pytest.mark.parametrize("name", COMMANDS)
def test_jobs_of_other_projects_are_not_there(database: Database, new_job: NewJob, name: str) -> None:
    job_id = new_job()
    for wrong in ((database, "prj_other", job_id), (database, "prj_other", "job_unknown")):
        with pytest.raises(NotFound), database.write.begin() as session:
            COMMANDS[name](session, *wrong[1:])
    assert read(database, job_id).status == "queued"


def test_a_paused_job_is_offered_to_nobody_until_it_is_resumed(
    database: Database, project_id: str, new_job: NewJob, pass_time: PassTime
) -> None:
    job_id = new_job()
    with database.write.begin() as session:
        assert commands.request_pause(session, project_id, job_id).status == "paused"
    pass_time(1000)
    with database.write.begin() as session:
        assert jobs.reap(session) == []
        assert session.execute(jobs.claimable(5)).all() == []
        assert jobs.claim(session, job_id, "w", 6.0) is None
        job = commands.request_resume(session, project_id, job_id)
        assert (job.status, job.attempts_since_checkpoint, job.woken_at) == ("queued", 0, None)
        assert jobs.reap(session) == [(job_id, "train")]
        assert jobs.claim(session, job_id, "w", 6.0) is not None


def test_a_running_job_saves_itself_pauses_and_goes_on_where_it_was(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    job_id = new_job()
    with database.write.begin() as session:
        claim = bring(session, job_id, State.pausing)
        assert jobs.heartbeat(session, claim, 6.0) == "pausing"
        blob = DatabaseBlobs().put(session, [b"state"])
        checkpoints.save(session, claim, blob, 7, best=False, keep=2)
        job = jobs.confirm_pause(session, claim)
        assert (job.status, job.attempt, job.attempts_since_checkpoint) == ("paused", 0, 0)
        assert (job.lease_owner, job.lease_until, job.finished_at) == (None, None, None)
    with pytest.raises(LeaseLost), database.write.begin() as session:
        jobs.heartbeat(session, claim, 6.0)
    with database.write.begin() as session:
        commands.request_resume(session, project_id, job_id)
        again = jobs.claim(session, job_id, "w2", 6.0)
    assert again is not None and (again.attempt, again.checkpoint_update, again.fence) == (1, 7, 2)


def test_a_pausing_job_whose_worker_dies_is_paused_unless_it_has_no_attempt_left(
    database: Database, new_job: NewJob, pass_time: PassTime
) -> None:
    paused, ended = new_job(max_attempts=2), new_job(max_attempts=1)
    with database.write.begin() as session:
        for job_id in (paused, ended):
            bring(session, job_id, State.pausing, lease_s=6.0)
    pass_time(7)
    with database.write.begin() as session:
        assert jobs.reap(session) == []
    assert read(database, paused).status == "paused"
    job = read(database, ended)
    assert job.status == "failed" and job.error is not None and job.error["code"] == "worker_lost"


def test_a_pausing_job_that_fails_keeps_its_problem(database: Database, new_job: NewJob) -> None:
    with database.write.begin() as session:
        claim = bring(session, new_job(), State.pausing)
        assert jobs.fail(session, claim, PROBLEM).error == PROBLEM


def test_cancelling_a_queued_job_ends_it_and_a_running_one_is_asked_to_stop(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    queued, running = new_job(), new_job()
    with database.write.begin() as session:
        claim = bring(session, running, State.running)
        assert commands.request_cancel(session, project_id, queued).status == "cancelled"
        assert commands.request_cancel(session, project_id, running).status == "cancelling"
        assert commands.request_cancel(session, project_id, running).status == "cancelling"
        assert jobs.heartbeat(session, claim, 6.0) == "cancelling"
    with database.write.begin() as session:
        job = jobs.confirm_cancel(session, claim)
    assert (job.status, job.error) == ("cancelled", None)
    with pytest.raises(NotCancellable) as caught, database.write.begin() as session:
        commands.request_cancel(session, project_id, running)
    assert caught.value.fields == {"status": "cancelled"}


def _run(session: Session, job_id: str) -> Claim:
    """A training that has failed, with all that a training leaves."""
    claim = bring(session, job_id, State.running)
    blob = DatabaseBlobs().put(session, [b"state"])
    jobs.progress(session, claim, progress_update=20, progress_total=90, kernel="native", scores={"d_h": 0.5})
    jobs.add_metrics(session, claim, [("loss", step, 0.5, 0.0) for step in (10, 20, 30)])
    best = BestModel(blob, {"name": "model.safetensors", "media_type": "x/y"}, FACTS)
    checkpoints.save(session, claim, blob, 20, best=True, keep=2, model=best)
    jobs.fail(session, claim, PROBLEM)
    return claim


def _leave(session: Session, claim: Claim, blob: BlobRef) -> str:
    common = {"project_id": claim.project_id, "job_id": claim.job_id, "media_type": "x/y", "blob": blob}
    weights = artifacts.create(session, kind="model", name="model.safetensors", **common)
    model = trained.create(session, artifact=weights, dataset_id=claim.dataset_id, plan_hash="abc", **FACTS)
    run = artifacts.create(session, kind="trajectory", name="trajectory.npz", **common)
    trajectories.create(session, artifact=run, model_id=model.id, steps=10, channels=1)
    return model.id


def test_a_retry_goes_on_from_the_newest_checkpoint_and_keeps_the_model(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    with database.write.begin() as session:
        claim = _run(session, new_job())
    with database.write.begin() as session:
        job = commands.request_retry(session, project_id, claim.job_id, fresh=False)
        assert (job.status, job.error, job.finished_at, job.started_at) == ("queued", None, None, None)
        assert (job.attempts_since_checkpoint, job.woken_at, job.checkpoint_update) == (0, None, 20)
        assert job.model_id is not None
        again = jobs.claim(session, claim.job_id, "w2", 100.0)
    assert again is not None and again.checkpoint_update == 20
    with database.read() as session:
        assert [metric.step for metric in session.scalars(jobs.metrics(project_id, claim.job_id))] == [10, 20]


def test_a_retry_from_the_start_forgets_checkpoints_numbers_and_progress(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    with database.write.begin() as session:
        claim = _run(session, new_job())
    with database.write.begin() as session:
        job = commands.request_retry(session, project_id, claim.job_id, fresh=True)
        assert (job.status, job.checkpoint_update, job.first_step_at) == ("queued", None, None)
        assert (job.progress_update, job.progress_total, job.kernel, job.scores) == (None,) * 4
    with database.read() as session:
        assert session.scalars(jobs.metrics(project_id, claim.job_id)).all() == []
        assert session.scalars(checkpoints.of_job(project_id, claim.job_id)).all() == []


def test_a_job_that_makes_its_model_again_keeps_the_id_and_has_one_trajectory(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    with database.write.begin() as session:
        first = _run(session, new_job())
        before = session.get_one(Job, first.job_id).model_id
    with database.write.begin() as session:
        commands.request_retry(session, project_id, first.job_id, fresh=True)
        claim = jobs.claim(session, first.job_id, "w2", 100.0)
        assert claim is not None
        blob = DatabaseBlobs().put(session, [b"better weights"])
        after = jobs.succeed(session, claim, model_id=_leave(session, claim, blob)).model_id
    assert after == before
    with database.read() as session:
        model = session.scalars(trained.page(project_id)).one()
        assert (model.id, model.sha256) == (before, blob.sha256)
        assert session.scalars(trajectories.page(project_id)).one().model_id == before
        assert len(session.scalars(artifacts.of_job(project_id, first.job_id)).all()) == 2


@pytest.mark.parametrize("end", [State.failed, State.cancelled])
def test_an_upload_that_is_read_again_is_processing_again(database: Database, project_id: str, end: State) -> None:
    with database.write.begin() as session:
        content = DatabaseBlobs().put(session, [b"x\n1\n"])
        dataset = datasets.create(session, project_id=project_id, name="large", content=content)
        ids = {"project_id": project_id, "dataset_id": dataset.id}
        job = jobs.create(session, kind="ingest", max_attempts=1, **ids)
        bring(session, job.id, end)
        commands.request_retry(session, project_id, job.id, fresh=False)
    with database.read() as session:
        found = session.get_one(Dataset, dataset.id)
    assert (found.status, found.error) == ("processing", None)


def counts(database: Database) -> dict[str, int]:
    tables = Base.metadata.tables.values()
    with database.read() as session:
        return {table.name: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def test_a_deleted_job_leaves_only_its_bytes(database: Database, project_id: str, new_job: NewJob) -> None:
    with database.write.begin() as session:
        kept = _run(session, new_job())
    before = counts(database)
    with database.write.begin() as session:
        claim = _run(session, new_job())
        owner = {"project_id": project_id, "dataset_id": claim.dataset_id, "job_id": claim.job_id}
        analysis = analyses.create(session, result={"tau": 3}, **owner)
        for user in (claim.job_id, kept.job_id):
            session.get_one(Job, user).analysis_id = analysis.id
    with database.write.begin() as session:
        commands.delete(session, project_id, claim.job_id)
    assert counts(database) == before
    assert read(database, kept.job_id).analysis_id is None


def test_trajectories_of_a_deleted_model_go_with_it_whoever_made_them(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    made, generated = new_job(), new_job("generate")
    with database.write.begin() as session:
        maker, other = _run(session, made), bring(session, generated, State.running)
        model_id = session.get_one(Job, maker.job_id).model_id
        assert model_id is not None
        common = {"project_id": project_id, "job_id": other.job_id, "media_type": "x/y"}
        blob = DatabaseBlobs().put(session, [b"run"])
        file = artifacts.create(session, kind="trajectory", name="trajectory.npz", blob=blob, **common)
        trajectories.create(session, artifact=file, model_id=model_id, steps=10, channels=1)
        commands.delete(session, project_id, maker.job_id)
    with database.read() as session:
        assert session.scalars(select(Artifact)).all() == []
        assert session.scalars(select(Job.id)).all() == [other.job_id]


def test_a_worker_of_a_deleted_job_is_told_that_it_lost_it(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    with database.write.begin() as session:
        claim = bring(session, new_job(), State.failed)
        commands.delete(session, project_id, claim.job_id)
    with pytest.raises(LeaseLost), database.write.begin() as session:
        jobs.add_metrics(session, claim, [("loss", 1, 0.5, 0.0)])
    with database.read() as session:
        assert session.scalars(select(Metric)).all() == []


def test_a_full_queue_takes_no_job_until_one_is_claimed(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob
) -> None:
    waiting = [new_job(), new_job()]

    def post(session: Session, max_queued: int | None) -> Job:
        common = {"project_id": project_id, "dataset_id": dataset_id, "max_attempts": 3}
        return jobs.create(session, kind="train", max_queued=max_queued, **common)

    with pytest.raises(QueueFull) as caught, database.write.begin() as session:
        post(session, 2)
    assert caught.value.fields == {"value": 2, "limit": 2}
    with database.write.begin() as session:
        assert post(session, None).limits == {}
        bring(session, waiting[0], State.running)
        bring(session, waiting[1], State.paused)
        assert post(session, 2).status == "queued"
    assert FINISHED.isdisjoint({read(database, job_id).status for job_id in waiting})
