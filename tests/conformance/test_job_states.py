"""The statements obey the table of states, whatever two workers, the reaper, a client and the clock do."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as effort
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import update
from sqlalchemy.orm import Session

from chaos_store import checkpoints, commands, datasets, jobs
from chaos_store.blobs import BlobRef, DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.errors import LeaseLost, NotCancellable, StoreError, WrongState
from chaos_store.states import FINISHED, LIVE, TRANSITIONS, Event, State
from chaos_store.tables import Job

LEASE_S = 100.0
PROBLEM = {"code": "diverged", "detail": "The loss is not finite."}
WORKERS = st.sampled_from(["a", "b"])
OWNERS_ENDS: dict[Event, Callable[[Session, jobs.Claim], Job]] = {
    Event.release: jobs.release,
    Event.succeed: jobs.succeed,
    Event.fail: lambda session, claim: jobs.fail(session, claim, PROBLEM),
    Event.confirm_cancel: jobs.confirm_cancel,
}


def test_finished_is_final_and_every_state_can_be_reached_and_left() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] in FINISHED]
    assert {State.queued, *TRANSITIONS.values()} == set(State)
    assert {state for state, _ in TRANSITIONS} == set(State) - FINISHED
    assert {event for _, event in TRANSITIONS} == set(Event)


def test_a_worker_that_owns_a_job_can_always_end_it_or_give_it_back() -> None:
    for state in LIVE:
        for event in (Event.release, Event.succeed, Event.fail, Event.lose_lease, Event.exhaust):
            assert TRANSITIONS[state, event] not in LIVE


def _lose(session: Session, claim: jobs.Claim) -> Job:
    return jobs.lose(session, claim, PROBLEM)


def _bring(session: Session, new: Callable[[], str], state: State, project_id: str) -> jobs.Claim:
    """A job brought to the state by the statements themselves, with its newest claim."""
    job_id = new()
    claim = jobs.claim(session, job_id, "w", LEASE_S)
    assert claim is not None
    if state is State.queued:
        jobs.release(session, claim)
    elif state is State.cancelling:
        commands.request_cancel(session, project_id, job_id)
    elif state is State.cancelled:
        commands.request_cancel(session, project_id, job_id)
        jobs.confirm_cancel(session, claim)
    elif state in FINISHED:
        OWNERS_ENDS[{State.succeeded: Event.succeed, State.failed: Event.fail}[state]](session, claim)
    return claim


def test_each_pair_of_state_and_event_leads_where_the_table_says_or_is_refused(
    database: Database, project_id: str, ready_dataset: str
) -> None:
    with database.write.begin() as session:
        for state, event in itertools.product(State, Event):
            attempts = 1 if event is Event.exhaust else 3

            def new(attempts: int = attempts) -> str:
                common = {"project_id": project_id, "dataset_id": ready_dataset, "max_attempts": attempts}
                return jobs.create(session, kind="train", **common).id

            claim = _bring(session, new, state, project_id)
            expected = TRANSITIONS.get((state, event))
            try:
                _apply(session, event, claim)
            except StoreError as error:
                assert expected is None, (state, event, error)
            row = session.execute(jobs.get(project_id, claim.job_id)).scalar_one()
            session.refresh(row)
            assert row.status == (expected or state), (state, event)


def _apply(session: Session, event: Event, claim: jobs.Claim) -> None:
    if event is Event.claim:
        jobs.claim(session, claim.job_id, "v", LEASE_S)
    elif event is Event.cancel:
        commands.request_cancel(session, claim.project_id, claim.job_id)
    else:
        (OWNERS_ENDS | {Event.lose_lease: _lose, Event.exhaust: _lose})[event](session, claim)


class JobLife(RuleBasedStateMachine):
    """A model of one job beside the real row; a claim may be stale at any time."""

    def __init__(self, database: Database, project_id: str, dataset_id: str, blob: BlobRef) -> None:
        super().__init__()
        self.database, self.project_id, self.dataset_id, self.blob = database, project_id, dataset_id, blob
        self._start()

    def _start(self) -> None:
        common = {"project_id": self.project_id, "dataset_id": self.dataset_id, "max_attempts": 3}
        with self.database.write.begin() as session:
            self.job_id = jobs.create(session, kind="train", **common).id
        self.claims: dict[str, jobs.Claim] = {}
        self.state, self.fence, self.fruitless, self.saved = State.queued, 0, 0, 0
        self.silent_s, self.pausing = 0.0, False
        self.path = [State.queued]

    @precondition(lambda self: self.state in FINISHED)
    @rule()
    def begin_another(self) -> None:
        self._start()

    def _go(self, event: Event) -> None:
        self.state = TRANSITIONS[self.state, event]
        self.path.append(self.state)

    def _owns(self, worker: str) -> bool:
        return self.state in LIVE and self.claims[worker].fence == self.fence

    def _refused(self, work: Callable[[Session], Any], error: type[Exception]) -> None:
        with pytest.raises(error), self.database.write.begin() as session:
            work(session)

    @rule(worker=WORKERS)
    def claim(self, worker: str) -> None:
        with self.database.write.begin() as session:
            claim = jobs.claim(session, self.job_id, worker, LEASE_S)
        if self.state is not State.queued:
            assert claim is None
        elif claim is None:
            assert self.pausing
        else:
            self._go(Event.claim)
            self.fence += 1
            self.fruitless += 1
            self.silent_s = 0.0
            assert (claim.fence, claim.checkpoint_update) == (self.fence, self.saved or None)
            self.claims[worker] = claim

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), end=st.sampled_from(sorted(OWNERS_ENDS)))
    def end(self, data: st.DataObject, end: Event) -> None:
        worker = data.draw(st.sampled_from(sorted(self.claims)))
        claim, work = self.claims[worker], OWNERS_ENDS[end]
        if not self._owns(worker):
            self._refused(lambda session: work(session, claim), LeaseLost)
        elif (self.state, end) not in TRANSITIONS:
            self._refused(lambda session: work(session, claim), WrongState)
        else:
            with self.database.write.begin() as session:
                work(session, claim)
            if end is Event.release:
                self.fruitless = max(self.fruitless - 1, 0)
                self.pausing = False
            self._go(end)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.claims)))
        claim = self.claims[worker]
        if not self._owns(worker):
            self._refused(lambda session: _lose(session, claim), LeaseLost)
            return
        with self.database.write.begin() as session:
            jobs.lose(session, claim, PROBLEM)
        self._lost()

    def _lost(self) -> None:
        self._go(Event.lose_lease if self.fruitless < 3 else Event.exhaust)
        self.pausing = True

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), save=st.booleans())
    def write(self, data: st.DataObject, save: bool) -> None:
        worker = data.draw(st.sampled_from(sorted(self.claims)))
        claim = self.claims[worker]

        def work(session: Session) -> None:
            assert jobs.heartbeat(session, claim, LEASE_S) == self.state
            jobs.add_metrics(session, claim, [("loss", self.saved + 1, 0.5, 0.0)])
            if save:
                checkpoints.save(session, claim, self.blob, self.saved + 1, best=False, keep=2)

        if not self._owns(worker):
            self._refused(work, LeaseLost)
            return
        with self.database.write.begin() as session:
            work(session)
        self.silent_s = 0.0
        if save:
            self.saved, self.fruitless = self.saved + 1, 0

    @precondition(lambda self: len(self.path) > 3)
    @rule()
    def cancel(self) -> None:
        if self.state in FINISHED:
            self._refused(
                lambda session: commands.request_cancel(session, self.project_id, self.job_id), NotCancellable
            )
            return
        with self.database.write.begin() as session:
            commands.request_cancel(session, self.project_id, self.job_id)
        if self.state is not State.cancelling:
            self._go(Event.cancel)

    @rule(seconds=st.sampled_from([45.0, 70.0]))
    def pass_time(self, seconds: float) -> None:
        past = {name: getattr(Job, name) - seconds for name in ("lease_until", "not_before", "woken_at")}
        with self.database.write.begin() as session:
            statement = update(Job).where(Job.id == self.job_id).values(past)
            session.execute(statement, execution_options={"synchronize_session": False})
        self.silent_s += seconds
        self.pausing = False

    @rule()
    def reap(self) -> None:
        with self.database.write.begin() as session:
            calls = [call.job_id for call in jobs.reap(session)]
            jobs.mark_woken(session, calls)
        if self.state in LIVE and self.silent_s > LEASE_S:
            self._lost()
        assert self.state is State.queued or self.job_id not in calls

    @invariant()
    def row_and_events_tell_the_same_story(self) -> None:
        with self.database.read() as session:
            job = session.scalars(jobs.get(self.project_id, self.job_id)).one()
            events = session.scalars(jobs.events(self.project_id, self.job_id, limit=1000)).all()
        assert [event.data["status"] for event in events if event.type == "status"] == self.path
        assert (job.status, job.fence, job.attempts_since_checkpoint) == (self.state, self.fence, self.fruitless)
        assert (job.finished_at is not None) == (self.state in FINISHED)
        assert (job.lease_until is not None) == (job.lease_owner is not None) == (self.state in LIVE)
        assert (job.error is not None) == (self.state is State.failed)
        assert job.checkpoint_update == (self.saved or None)


@pytest.fixture
def ready_dataset(database: Database, project_id: str) -> str:
    with database.write.begin() as session:
        content = DatabaseBlobs().put(session, [b"state"])
        dataset = datasets.create(session, project_id=project_id, name="x", content=content)
        dataset.status = "ready"
        return dataset.id


def test_two_workers_a_reaper_a_client_and_a_clock_never_break_the_table(
    database: Database, project_id: str, ready_dataset: str
) -> None:
    with database.write.begin() as session:
        blob = DatabaseBlobs().put(session, [b"checkpoint"])
    run_state_machine_as_test(
        lambda: JobLife(database, project_id, ready_dataset, blob),
        settings=effort(
            max_examples=6,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
