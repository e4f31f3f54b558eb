"""One job's life as a machine: two workers, the reaper, a client and the clock, beside the real rows."""

import itertools
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from chaos_store import artifacts, checkpoints, commands, jobs, trained
from chaos_store.blobs import BlobRef
from chaos_store.engine import Database
from chaos_store.errors import LeaseLost, NotDeletable, NotFound, WrongState
from chaos_store.states import FINISHED, LIVE, TRANSITIONS, Event, State
from chaos_store.tables import Artifact, Checkpoint, Job, JobEvent, Metric, TrainedModel
from tests.lives import PROBLEM

LEASE_S = 100.0
ATTEMPTS = (3, 1)
"""By turns, so that both ends of a lost lease are common."""
KEEP = 2
WORKERS = ("a", "b")
OWNERS_ENDS: dict[Event, Callable[[Session, jobs.Claim], Job]] = {
    Event.release: jobs.release,
    Event.confirm_pause: jobs.confirm_pause,
    Event.succeed: jobs.succeed,
    Event.fail: lambda session, claim: jobs.fail(session, claim, PROBLEM),
    Event.confirm_cancel: jobs.confirm_cancel,
}
CLIENTS = {
    Event.pause: commands.request_pause,
    Event.resume: commands.request_resume,
    Event.cancel: commands.request_cancel,
}
WEIGHTS = {"name": "model.safetensors", "media_type": "x/y"}
FACTS = {"name": "x", "config": {}, "parameter_count": 1}
HAPPENINGS = {
    "what_the_table_allows": 9,
    "whatever_anybody_tries": 2,
    "write": 2,
    "pass_time": 1,
    "reap": 1,
    "go_on_from_the_one_before": 1,
    "abandon": 1,
    "delete": 1,
}
NO_ATTEMPT_USED = {Event.release, Event.confirm_pause}


def die(session: Session, claim: jobs.Claim) -> Job:
    return jobs.lose(session, claim, PROBLEM)


class JobLife(RuleBasedStateMachine):
    """A model of one job beside the real rows; a claim may be stale at any time."""

    def __init__(self, database: Database, project_id: str, dataset_id: str, blob: BlobRef) -> None:
        super().__init__()
        self.database, self.project_id, self.dataset_id, self.blob = database, project_id, dataset_id, blob
        self.attempts = itertools.cycle(ATTEMPTS)
        self.met: set[tuple[State, Event]] = set()
        self._start()

    def _start(self) -> None:
        self.max_attempts = next(self.attempts)
        common = {"project_id": self.project_id, "dataset_id": self.dataset_id, "max_attempts": self.max_attempts}
        with self.database.write.begin() as session:
            self.job_id = jobs.create(session, kind="train", **common).id
        self.claims: dict[str, jobs.Claim] = {}
        self.state, self.fence, self.attempt, self.fruitless = State.queued, 0, 0, 0
        self.silent_s, self.waiting = 0.0, False
        self.path = [State.queued]
        self.has_model, self.model_id = False, ""
        self._forget()

    def _forget(self) -> None:
        self.saved, self.best = 0, 0
        self.usable: set[int] = set()
        self.damaged: set[int] = set()
        self.measured: set[int] = set()

    def _go(self, event: Event) -> None:
        self.met.add((self.state, event))
        self.state = TRANSITIONS[self.state, event]
        self.path.append(self.state)
        self.has_model |= self.state is State.failed and self.best in self.usable | self.damaged

    def _owns(self, worker: str) -> bool:
        return self.state in LIVE and self.claims[worker].fence == self.fence

    def _refused(self, work: Callable[[Session], Any], error: type[Exception]) -> None:
        with pytest.raises(error), self.database.write.begin() as session:
            work(session)

    def _act(self, event: Event, worker: str | None, fresh: bool) -> None:
        if event is Event.claim:
            self._claim(worker or "a")
        elif event is Event.retry:
            self._retry(fresh)
        elif event in CLIENTS:
            self._ask(event)
        elif event is Event.expire:
            self._expire()
        elif worker in self.claims and event in OWNERS_ENDS:
            self._end(worker, event)
        elif worker in self.claims:
            self._lose(worker)

    @rule(chance=st.randoms(use_true_random=False))
    def go_on(self, chance: Random) -> None:
        [happening] = chance.choices(list(HAPPENINGS), HAPPENINGS.values())
        getattr(self, happening)(chance)

    def what_the_table_allows(self, chance: Random) -> None:
        """By its own actor and rather something new, so that long and winding lives are common."""
        known = [pair for pair in TRANSITIONS if pair[0] is self.state]
        if known:
            unknown = {state for state, event in TRANSITIONS if (state, event) not in self.met}
            new = [pair for pair in known if pair not in self.met]
            _, event = chance.choice(new or [pair for pair in known if TRANSITIONS[pair] in unknown] or known)
            owner = next((worker for worker in self.claims if self._owns(worker)), None)
            self._act(event, owner or chance.choice(WORKERS), chance.choice([True, False]))
        else:
            self._start()

    def whatever_anybody_tries(self, chance: Random) -> None:
        self._act(chance.choice(list(Event)), chance.choice(WORKERS), chance.choice([True, False]))

    def delete(self, _chance: Random) -> None:
        if self.state not in FINISHED:
            self._refused(lambda session: commands.delete(session, self.project_id, self.job_id), NotDeletable)
            return
        with self.database.write.begin() as session:
            commands.delete(session, self.project_id, self.job_id)
        with self.database.read() as session:
            for table in (JobEvent, Checkpoint, Metric, Artifact, TrainedModel):
                assert session.scalar(select(func.count()).where(table.job_id == self.job_id)) == 0
        for claim in self.claims.values():
            self._refused(lambda session, claim=claim: jobs.heartbeat(session, claim, LEASE_S), LeaseLost)
        self._refused(lambda session: commands.delete(session, self.project_id, self.job_id), NotFound)
        self._start()

    def _claim(self, worker: str) -> None:
        with self.database.write.begin() as session:
            claim = jobs.claim(session, self.job_id, worker, LEASE_S)
        if self.state is not State.queued:
            assert claim is None
        elif claim is None:
            assert self.waiting
        else:
            self._go(Event.claim)
            self.fence += 1
            self.attempt += 1
            self.fruitless += 1
            self.silent_s = 0.0
            self.measured = {step for step in self.measured if step <= self.saved}
            assert (claim.fence, claim.checkpoint_update) == (self.fence, self.saved or None)
            self.claims[worker] = claim

    def _end(self, worker: str, end: Event) -> None:
        claim = self.claims[worker]

        def work(session: Session) -> None:
            job = OWNERS_ENDS[end](session, claim)
            if end is Event.succeed:
                job.model_id = self._make_model(session, claim)

        if not self._owns(worker):
            self._refused(work, LeaseLost)
        elif (self.state, end) not in TRANSITIONS:
            self._refused(work, WrongState)
        else:
            with self.database.write.begin() as session:
                work(session)
            self.has_model |= end is Event.succeed
            if end in NO_ATTEMPT_USED:
                self.attempt -= 1
                self.fruitless = max(self.fruitless - 1, 0)
                self.waiting = False
            self._go(end)

    def _make_model(self, session: Session, claim: jobs.Claim) -> str:
        common = {"project_id": self.project_id, "job_id": claim.job_id, "blob": self.blob}
        file = artifacts.create(session, kind="model", **WEIGHTS, **common)
        return trained.create(session, artifact=file, dataset_id=self.dataset_id, plan_hash=None, **FACTS).id

    def _lose(self, worker: str) -> None:
        claim = self.claims[worker]
        if not self._owns(worker):
            self._refused(lambda session: die(session, claim), LeaseLost)
            return
        with self.database.write.begin() as session:
            jobs.lose(session, claim, PROBLEM)
        self._lost()

    def _lost(self) -> None:
        self._go(Event.lose_lease if self.fruitless < self.max_attempts else Event.exhaust)
        self.waiting = True

    def write(self, chance: Random) -> None:
        worker, save, best = chance.choice(WORKERS), chance.choice([True, False]), chance.choice([True, False])
        if worker not in self.claims:
            return
        claim, step = self.claims[worker], self.saved + 1

        def work(session: Session) -> None:
            assert jobs.heartbeat(session, claim, LEASE_S) == self.state
            jobs.add_metrics(session, claim, [("loss", step, 0.5, 0.0)])
            if save:
                model = checkpoints.BestModel(self.blob, WEIGHTS, FACTS) if best else None
                checkpoints.save(session, claim, self.blob, step, best=best, keep=KEEP, model=model)

        if not self._owns(worker):
            self._refused(work, LeaseLost)
            return
        with self.database.write.begin() as session:
            work(session)
        self.silent_s = 0.0
        self.measured.add(step)
        if save:
            self._saved(step, best=best)

    def _saved(self, step: int, *, best: bool) -> None:
        self.saved, self.fruitless = step, 0
        self.best = step if best else self.best
        self.usable.add(step)
        self.damaged.discard(step)
        oldest = sorted(self.usable)[-KEEP:][0]
        self.usable = {kept for kept in self.usable if kept >= oldest or kept == self.best}
        self.damaged = {kept for kept in self.damaged if kept >= oldest or kept == self.best}

    def go_on_from_the_one_before(self, chance: Random) -> None:
        worker = chance.choice(WORKERS)
        if worker not in self.claims or not self.usable:
            return
        claim, newest = self.claims[worker], max(self.usable)
        before = max(self.usable - {newest}, default=None)

        def work(session: Session) -> None:
            checkpoints.mark_damaged(session, claim, newest, PROBLEM)
            checkpoints.resume_from(session, claim, before)

        if not self._owns(worker):
            self._refused(work, LeaseLost)
            return
        with self.database.write.begin() as session:
            work(session)
        self.usable.discard(newest)
        self.damaged.add(newest)
        self.saved = before or 0
        self.measured = {step for step in self.measured if step <= self.saved}

    def _ask(self, event: Event) -> None:
        command = next(command for command in commands.COMMANDS.values() if command.event is event)

        def work(session: Session) -> Job:
            return CLIENTS[event](session, self.project_id, self.job_id)

        if (self.state, event) not in TRANSITIONS and self.state not in command.done:
            self._refused(work, command.refusal)
            return
        with self.database.write.begin() as session:
            work(session)
        if (self.state, event) in TRANSITIONS:
            self._go(event)
            if event is Event.resume:
                self.fruitless, self.waiting = 0, False

    def _retry(self, fresh: bool) -> None:
        def work(session: Session) -> None:
            commands.request_retry(session, self.project_id, self.job_id, fresh=fresh)

        if (self.state, Event.retry) not in TRANSITIONS:
            self._refused(work, commands.COMMANDS["retry"].refusal)
            return
        with self.database.write.begin() as session:
            work(session)
        self._go(Event.retry)
        self.fruitless, self.waiting = 0, False
        if fresh:
            self._forget()

    def pass_time(self, chance: Random) -> None:
        seconds = chance.choice([45.0, 110.0])
        past = {name: getattr(Job, name) - seconds for name in ("lease_until", "not_before", "woken_at")}
        with self.database.write.begin() as session:
            statement = update(Job).where(Job.id == self.job_id).values(past)
            session.execute(statement, execution_options={"synchronize_session": False})
        self.silent_s += seconds
        self.waiting = False

    def reap(self, _chance: Random) -> None:
        with self.database.write.begin() as session:
            calls = [call.job_id for call in jobs.reap(session)]
            jobs.mark_woken(session, calls)
        if self.state in LIVE and self.silent_s > LEASE_S:
            self._lost()
        assert self.state is State.queued or self.job_id not in calls

    def _expire(self) -> None:
        self._set_deadline(1.0)
        with self.database.write.begin() as session:
            assert jobs.claim(session, self.job_id, "a", LEASE_S) is None
            jobs.reap(session)
        if (self.state, Event.expire) in TRANSITIONS:
            self._go(Event.expire)
        elif self.state in LIVE and self.silent_s > LEASE_S:
            self._lost()
        self._set_deadline(None)

    def _set_deadline(self, moment: float | None) -> None:
        with self.database.write.begin() as session:
            statement = update(Job).where(Job.id == self.job_id).values(deadline=moment)
            session.execute(statement, execution_options={"synchronize_session": False})

    def abandon(self, chance: Random) -> None:
        alive = chance.choice([True, False])
        with self.database.write.begin() as session:
            jobs.abandon(session, "a", lambda _owner: alive)
        if self.state in LIVE and "a" in self.claims and self._owns("a") and not alive:
            self._lost()

    @invariant()
    def rows_tell_the_same_story(self) -> None:
        with self.database.read() as session:
            job = session.scalars(jobs.get(self.project_id, self.job_id)).one()
            events = session.scalars(jobs.events(self.project_id, self.job_id, limit=1000)).all()
            rows = session.scalars(checkpoints.of_job(self.project_id, self.job_id)).all()
            steps = session.scalars(select(Metric.step).where(Metric.job_id == self.job_id)).all()
            models = session.scalars(select(TrainedModel.id).where(TrainedModel.job_id == self.job_id)).all()
        assert [event.data["status"] for event in events if event.type == "status"] == self.path
        assert (job.status, job.fence, job.attempt) == (self.state, self.fence, self.attempt)
        assert job.attempts_since_checkpoint == self.fruitless
        assert (job.finished_at is not None) == (self.state in FINISHED)
        assert (job.lease_until is not None) == (job.lease_owner is not None) == (self.state in LIVE)
        assert (job.error is not None) == (self.state is State.failed)
        assert job.checkpoint_update == (self.saved or None)
        assert {row.update for row in rows if row.damaged_at is None} == self.usable
        assert {row.update for row in rows if row.damaged_at is not None} == self.damaged
        assert [row.update for row in rows if row.best] == [self.best] * (self.best in self.usable | self.damaged)
        assert set(steps) == self.measured
        assert list(models) == [self.model_id or job.model_id] * self.has_model
        assert job.model_id == (models[0] if self.has_model else None)
        self.model_id = job.model_id or ""
