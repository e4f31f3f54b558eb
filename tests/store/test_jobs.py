from collections.abc import Callable

import pytest
from sqlalchemy import select

from chaos_store import checkpoints, commands, datasets, jobs
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database, now
from chaos_store.errors import DatasetNotReady, LeaseLost, NotFound, PlanFrozen, WrongState
from chaos_store.jobs import Claim
from chaos_store.tables import Job

NewJob = Callable[..., str]
PassTime = Callable[[float], None]
PROBLEM = {"code": "diverged", "detail": "The loss is not finite."}


def _take(database: Database, job_id: str, worker: str = "w1") -> Claim:
    with database.write.begin() as session:
        claim = jobs.claim(session, job_id, worker, 6.0)
    assert claim is not None
    return claim


def _read(database: Database, project_id: str, job_id: str) -> Job:
    with database.read() as session:
        return session.scalars(jobs.get(project_id, job_id)).one()


def _history(database: Database, project_id: str, job_id: str) -> list[str]:
    with database.read() as session:
        events = session.scalars(jobs.events(project_id, job_id)).all()
    return [event.data["event"] for event in events if event.type == "status"]


def test_a_new_job_is_queued_due_and_needs_no_second_wake_up_call(
    database: Database, project_id: str, new_job: NewJob, pass_time: PassTime
) -> None:
    job_id = new_job()
    job = _read(database, project_id, job_id)
    assert (job.status, job.attempt, job.version) == ("queued", 0, 1)
    with database.write.begin() as session:
        assert list(session.execute(jobs.claimable(5))) == [(job_id, "train")]
        assert jobs.reap(session) == []
    pass_time(6)
    with database.write.begin() as session:
        assert jobs.reap(session) == [(job_id, "train")]
        jobs.mark_woken(session, [job_id])
        assert jobs.reap(session) == []


def test_a_job_of_another_projects_dataset_is_not_made(database: Database, dataset_id: str) -> None:
    with pytest.raises(NotFound), database.write.begin() as session:
        jobs.create(session, project_id="prj_other", kind="train", dataset_id=dataset_id, max_attempts=3)


def test_a_job_waits_for_its_dataset_unless_it_is_the_one_that_reads_it(database: Database, project_id: str) -> None:
    with database.write.begin() as session:
        content = DatabaseBlobs().put(session, [b"late"])
        dataset = datasets.create(session, project_id=project_id, name="late", content=content)
        common = {"project_id": project_id, "dataset_id": dataset.id, "max_attempts": 3}
        assert jobs.create(session, kind="ingest", **common).status == "queued"
        with pytest.raises(DatasetNotReady) as caught:
            jobs.create(session, kind="train", **common)
        assert caught.value.fields == {"dataset_id": dataset.id, "status": "processing"}


def test_a_claim_carries_what_the_worker_needs_and_the_second_claim_gets_nothing(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    job_id = new_job()
    claim = _take(database, job_id)
    assert (claim.job_id, claim.project_id, claim.fence, claim.attempt, claim.plan) == (job_id, project_id, 1, 1, None)
    with database.write.begin() as session:
        assert jobs.claim(session, job_id, "w2", 6.0) is None
    job = _read(database, project_id, job_id)
    assert (job.status, job.lease_owner) == ("running", "w1")
    assert job.started_at is not None
    assert job.lease_until == pytest.approx(job.started_at + 6, abs=0.5)


def test_a_finished_job_has_one_result_and_cannot_be_written_again(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    claim = _take(database, new_job())
    scores = {"d_stsp": {"value": 0.1, "floor": 0.05, "reason": None}}
    with database.write.begin() as session:
        job = jobs.succeed(session, claim, scores=scores)
    assert (job.status, job.scores, job.lease_until, job.stage) == ("succeeded", scores, None, None)
    assert job.finished_at is not None
    for again in (
        lambda session: jobs.succeed(session, claim),
        lambda session: jobs.fail(session, claim, PROBLEM),
        lambda session: jobs.heartbeat(session, claim, 6.0),
        lambda session: jobs.release(session, claim),
    ):
        with pytest.raises(LeaseLost), database.write.begin() as session:
            again(session)
    assert _history(database, project_id, claim.job_id) == ["create", "claim", "succeed"]


def test_a_failed_job_keeps_its_problem_and_the_event_names_the_code(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    claim = _take(database, new_job())
    with database.write.begin() as session:
        assert jobs.fail(session, claim, PROBLEM).error == PROBLEM
    with database.read() as session:
        last = session.scalars(jobs.events(project_id, claim.job_id)).all()[-1]
    assert last.data == {"status": "failed", "event": "fail", "attempt": 1, "code": "diverged"}


def test_a_transaction_that_fails_after_a_transition_leaves_neither_state_nor_event(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    claim = _take(database, new_job())
    with pytest.raises(ZeroDivisionError), database.write.begin() as session:
        jobs.succeed(session, claim)
        raise ZeroDivisionError
    assert _read(database, project_id, claim.job_id).status == "running"
    assert _history(database, project_id, claim.job_id) == ["create", "claim"]


def test_progress_shows_the_first_step_once_and_each_stage_as_an_event(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    claim = _take(database, new_job())
    with database.write.begin() as session:
        assert jobs.progress(session, claim, stage="training", kernel="native", device="cpu") == "running"
    assert _read(database, project_id, claim.job_id).first_step_at is None
    with database.write.begin() as session:
        jobs.progress(session, claim, progress_update=1, progress_total=10)
    first = _read(database, project_id, claim.job_id).first_step_at
    assert first is not None
    with database.write.begin() as session:
        jobs.progress(session, claim, progress_update=2)
        jobs.record_event(session, claim, "note", {"text": "half way"})
    job = _read(database, project_id, claim.job_id)
    assert (job.first_step_at, job.progress_update, job.stage, job.version) == (first, 2, "training", 5)
    with database.read() as session:
        kinds = [event.type for event in session.scalars(jobs.events(project_id, claim.job_id))]
    assert kinds == ["status", "status", "stage", "note"]


def test_events_are_read_on_from_the_last_one_seen_and_only_by_their_project(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    claim = _take(database, new_job())
    with database.read() as session:
        first = session.scalars(jobs.events(project_id, claim.job_id)).first()
        assert first is not None
        later = session.scalars(jobs.events(project_id, claim.job_id, after=first.seq)).all()
        assert [event.data["event"] for event in later] == ["claim"]
        assert session.scalars(jobs.events("prj_other", claim.job_id)).all() == []


def test_a_plan_is_frozen_once(database: Database, project_id: str, new_job: NewJob) -> None:
    claim = _take(database, new_job())
    with database.write.begin() as session:
        jobs.freeze_plan(session, claim, {"tau": 16}, "abc")
        jobs.freeze_plan(session, claim, {"tau": 16}, "abc")
    with pytest.raises(PlanFrozen), database.write.begin() as session:
        jobs.freeze_plan(session, claim, {"tau": 17}, "def")
    job = _read(database, project_id, claim.job_id)
    assert (job.plan, job.plan_hash) == ({"tau": 16}, "abc")


def test_a_step_measured_twice_is_stored_once_and_a_value_that_is_not_finite_as_none(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    claim = _take(database, new_job())
    with database.write.begin() as session:
        jobs.add_metrics(session, claim, [("loss", 1, 0.5, 10.0), ("loss", 2, float("inf"), 11.0)])
        jobs.add_metrics(session, claim, [("loss", 1, 0.25, 12.0), ("rate", 1, 0.001, 12.0)])
        jobs.add_metrics(session, claim, [])
    with database.read() as session:
        rows = session.scalars(jobs.metrics(project_id, claim.job_id)).all()
        only = session.scalars(jobs.metrics(project_id, claim.job_id, names=["loss"], after_step=1)).all()
    assert [(row.name, row.step, row.value) for row in rows] == [
        ("loss", 1, 0.25),
        ("loss", 2, None),
        ("rate", 1, 0.001),
    ]
    assert [(row.name, row.step) for row in only] == [("loss", 2)]


def test_the_next_attempt_drops_the_metrics_after_its_checkpoint(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    claim = _take(database, new_job())
    with database.write.begin() as session:
        blob = DatabaseBlobs().put(session, [b"state at 20"])
        checkpoints.save(session, claim, blob, 20, best=False, keep=2)
        jobs.add_metrics(session, claim, [("loss", step, 0.1, 0.0) for step in (10, 20, 30)])
        jobs.lose(session, claim, PROBLEM)
    again = _take(database, claim.job_id, "w2")
    assert (again.checkpoint_update, again.attempt) == (20, 2)
    with database.read() as session:
        assert [row.step for row in session.scalars(jobs.metrics(project_id, claim.job_id))] == [10, 20]


def test_a_released_job_is_due_at_once_and_has_used_no_attempt(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    claim = _take(database, new_job())
    with database.write.begin() as session:
        job = jobs.release(session, claim)
        assert (job.status, job.attempt, job.attempts_since_checkpoint, job.woken_at) == ("queued", 0, 0, None)
        assert jobs.reap(session) == [(claim.job_id, "train")]
    assert _take(database, claim.job_id, "w2").attempt == 1
    with pytest.raises(LeaseLost), database.write.begin() as session:
        jobs.progress(session, claim, progress_update=7)


def test_a_worker_that_fell_silent_loses_its_job_and_can_no_longer_write(
    database: Database, project_id: str, new_job: NewJob, pass_time: PassTime
) -> None:
    silent = _take(database, new_job())
    with database.write.begin() as session:
        assert jobs.reap(session) == []
    pass_time(7)
    with database.write.begin() as session:
        assert jobs.reap(session) == [(silent.job_id, "train")]
    second = _take(database, silent.job_id, "w2")
    assert second.fence == silent.fence + 1
    with pytest.raises(LeaseLost), database.write.begin() as session:
        jobs.add_metrics(session, silent, [("loss", 1, 0.5, 0.0)])
    with pytest.raises(LeaseLost), database.write.begin() as session:
        jobs.succeed(session, silent)
    with database.write.begin() as session:
        assert jobs.succeed(session, second).status == "succeeded"
    assert _history(database, project_id, silent.job_id) == ["create", "claim", "lose_lease", "claim", "succeed"]


def test_a_heartbeat_keeps_the_job(database: Database, new_job: NewJob, pass_time: PassTime) -> None:
    claim = _take(database, new_job())
    for _ in range(3):
        pass_time(4)
        with database.write.begin() as session:
            assert jobs.heartbeat(session, claim, 6.0) == "running"
            assert jobs.reap(session) == []


def test_attempts_without_a_new_checkpoint_end_the_job_and_a_checkpoint_starts_the_count_anew(
    database: Database, project_id: str, new_job: NewJob, pass_time: PassTime
) -> None:
    job_id = new_job(max_attempts=2)
    with database.write.begin() as session:
        blob = DatabaseBlobs().put(session, [b"state"])
    for attempt, update in ((1, 10), (2, 20), (3, 20)):
        claim = _take(database, job_id)
        assert claim.attempt == attempt
        with database.write.begin() as session:
            checkpoints.save(session, claim, blob, update, best=False, keep=2)
        pass_time(100)
        with database.write.begin() as session:
            jobs.reap(session)
        pass_time(100)
    _take(database, job_id)
    pass_time(100)
    with database.write.begin() as session:
        assert jobs.reap(session) == []
    job = _read(database, project_id, job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error["code"], job.checkpoint_update) == ("worker_lost", 20)


def test_of_many_jobs_lost_at_once_none_fails_while_it_has_attempts(
    database: Database, new_job: NewJob, pass_time: PassTime
) -> None:
    lost = [new_job() for _ in range(jobs.REAP_BATCH + 5)]
    with database.write.begin() as session:
        for job_id in lost:
            jobs.claim(session, job_id, "w1", 6.0)
    pass_time(7)
    with database.write.begin() as session:
        first = len(jobs.reap(session))
    assert first == jobs.REAP_BATCH
    with database.write.begin() as session:
        jobs.reap(session)
        assert set(session.scalars(select(Job.status))) == {"queued"}


def test_jobs_of_dead_workers_come_back_at_once_those_of_living_ones_stay(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    owners = ("host_1-7-a", "host_1-8-b", "hostX1-7-c", "host_1-7-a")
    lost, alive, elsewhere, asked = (_take(database, new_job(max_attempts=2), owner).job_id for owner in owners)
    last = _take(database, new_job(max_attempts=1), "host_1-7-a").job_id
    seen = []

    def living(owner: str) -> bool:
        seen.append(owner)
        return owner == "host_1-8-b"

    with database.write.begin() as session:
        commands.request_cancel(session, project_id, asked)
        assert sorted(jobs.abandon(session, "host_1-", living)) == sorted([lost, asked, last])
        assert jobs.abandon(session, "host_1-", living) == []
    assert sorted(seen) == ["host_1-7-a", "host_1-8-b", "host_1-8-b"]
    status = {job_id: _read(database, project_id, job_id).status for job_id in (lost, alive, elsewhere, asked, last)}
    assert list(status.values()) == ["queued", "running", "running", "cancelled", "failed"]
    assert _history(database, project_id, lost) == ["create", "claim", "lose_lease"]
    _take(database, lost, "w2")


def test_a_run_that_dies_again_and_again_waits_longer_each_time_then_fails_with_its_own_problem(
    database: Database, project_id: str, new_job: NewJob, pass_time: PassTime
) -> None:
    job_id = new_job(max_attempts=3)
    pauses = []
    for _ in range(2):
        claim = _take(database, job_id)
        with database.write.begin() as session:
            job = jobs.lose(session, claim, PROBLEM)
            assert (job.status, job.error) == ("queued", None)
            pauses.append(round(job.not_before - _now(database)))
        pass_time(30)
    with database.write.begin() as session:
        claim = jobs.claim(session, job_id, "w1", 6.0)
        assert claim is not None
        assert jobs.lose(session, claim, PROBLEM).error == PROBLEM
    assert pauses == [0, 1]


def _now(database: Database) -> float:
    with database.read() as session:
        found = session.scalar(select(now()))
        assert found is not None
        return found


def test_a_job_that_pauses_between_attempts_is_neither_offered_nor_given(
    database: Database, new_job: NewJob, pass_time: PassTime
) -> None:
    job_id = new_job(max_attempts=5)
    for _ in range(2):
        claim = _take(database, job_id)
        with database.write.begin() as session:
            jobs.lose(session, claim, PROBLEM)
    with database.write.begin() as session:
        assert jobs.reap(session) == []
        assert jobs.claim(session, job_id, "w", 6.0) is None
    pass_time(1.1)
    with database.write.begin() as session:
        assert jobs.reap(session) == [(job_id, "train")]


def test_whatever_becomes_of_a_cancelling_run_the_job_ends_cancelled_unless_it_had_succeeded(
    database: Database, project_id: str, new_job: NewJob, pass_time: PassTime
) -> None:
    ends = {
        "fail": lambda session, claim: jobs.fail(session, claim, PROBLEM),
        "lose": lambda session, claim: jobs.lose(session, claim, PROBLEM),
        "release": jobs.release,
        "succeed": jobs.succeed,
    }
    for name, end in ends.items():
        claim = _take(database, new_job(max_attempts=1))
        with database.write.begin() as session:
            commands.request_cancel(session, project_id, claim.job_id)
            job = end(session, claim)
        assert (job.status, job.error) == ("succeeded" if name == "succeed" else "cancelled", None)
    orphan = _take(database, new_job())
    with database.write.begin() as session:
        commands.request_cancel(session, project_id, orphan.job_id)
    pass_time(7)
    with database.write.begin() as session:
        assert jobs.reap(session) == []
    assert _read(database, project_id, orphan.job_id).status == "cancelled"


def test_a_running_job_is_not_confirmed_cancelled_before_anyone_asked(database: Database, new_job: NewJob) -> None:
    claim = _take(database, new_job())
    with pytest.raises(WrongState) as caught, database.write.begin() as session:
        jobs.confirm_cancel(session, claim)
    assert caught.value.fields == {"status": "running", "event": "confirm_cancel"}


def test_jobs_are_listed_newest_first_and_by_filter(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob
) -> None:
    made = [new_job(kind) for kind in ("train", "analyse", "train")]
    _take(database, made[0])
    with database.read() as session:
        assert [job.id for job in session.scalars(jobs.page(project_id))] == made[::-1]
        assert [job.id for job in session.scalars(jobs.page(project_id, kind="train"))] == [made[2], made[0]]
        assert [job.id for job in session.scalars(jobs.page(project_id, status="running"))] == [made[0]]
        assert session.scalars(jobs.page(project_id, dataset_id="ds_other")).all() == []
        assert session.scalars(jobs.page("prj_other")).all() == []
        assert list(session.execute(jobs.claimable(5, kinds=["analyse"]))) == [(made[1], "analyse")]
