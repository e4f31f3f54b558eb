"""The statements obey the table of states, whatever two workers, the reaper, a client and the clock do."""

import itertools
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as effort
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import update
from sqlalchemy.orm import Session

from chaos_store import commands, datasets, jobs
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.errors import StoreError
from chaos_store.states import FINISHED, LIVE, TRANSITIONS, Event, State
from chaos_store.tables import Job
from tests.conformance.job_life import CLIENTS, LEASE_S, OWNERS_ENDS, JobLife, die
from tests.lives import bring

LONGEST_WALK = 3000


def test_every_state_can_be_reached_and_only_success_is_for_ever() -> None:
    assert {pair for pair in TRANSITIONS if pair[0] in FINISHED} == {
        (State.failed, Event.retry),
        (State.cancelled, Event.retry),
    }
    assert {State.queued, *TRANSITIONS.values()} == set(State)
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.succeeded}
    assert {event for _, event in TRANSITIONS} == set(Event)


def test_a_worker_that_owns_a_job_can_always_end_it_or_give_it_back() -> None:
    for state in LIVE:
        for event in (Event.release, Event.succeed, Event.fail, Event.lose_lease, Event.exhaust):
            assert TRANSITIONS[state, event] not in LIVE


def test_a_client_can_always_have_a_job_cancelled_that_has_not_finished() -> None:
    for state in set(State) - FINISHED - {State.cancelling}:
        assert TRANSITIONS[state, Event.cancel] in (State.cancelling, State.cancelled)


def test_each_pair_of_state_and_event_leads_where_the_table_says_or_is_refused(
    database: Database, project_id: str, ready_dataset: str
) -> None:
    with database.write.begin() as session:
        for state, event in itertools.product(State, Event):
            attempts = 1 if event is Event.exhaust else 3
            common = {"project_id": project_id, "dataset_id": ready_dataset, "max_attempts": attempts}
            claim = bring(session, jobs.create(session, kind="train", **common).id, state)
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
    elif event is Event.retry:
        commands.request_retry(session, claim.project_id, claim.job_id, fresh=False)
    elif event is Event.expire:
        session.execute(update(Job).where(Job.id == claim.job_id).values(deadline=1.0))
        jobs.reap(session)
    elif event in CLIENTS:
        CLIENTS[event](session, claim.project_id, claim.job_id)
    else:
        (OWNERS_ENDS | {Event.lose_lease: die, Event.exhaust: die})[event](session, claim)


@pytest.fixture
def ready_dataset(database: Database, project_id: str) -> str:
    with database.write.begin() as session:
        content = DatabaseBlobs().put(session, [b"state"])
        dataset = datasets.create(session, project_id=project_id, name="x", content=content)
        dataset.status = "ready"
        return dataset.id


@pytest.fixture
def life(database: Database, project_id: str, ready_dataset: str) -> Callable[[], JobLife]:
    with database.write.begin() as session:
        blob = DatabaseBlobs().put(session, [b"checkpoint"])
    return lambda: JobLife(database, project_id, ready_dataset, blob)


def test_two_workers_a_reaper_a_client_and_a_clock_never_break_the_table(life: Callable[[], JobLife]) -> None:
    run_state_machine_as_test(
        life,
        settings=effort(
            max_examples=8,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_long_life_of_even_chances_meets_the_whole_table(life: Callable[[], JobLife]) -> None:
    """Hypothesis seeks small failures and repeats itself; this walk is the one that comes everywhere."""
    machine, chance = life(), Random(4)
    for _ in range(LONGEST_WALK):
        machine.go_on(chance)
        machine.rows_tell_the_same_story()
        if machine.met == set(TRANSITIONS):
            return
    assert machine.met == set(TRANSITIONS)
