"""Lost jobs come back, and calls that nobody followed are repeated, by one leader."""

from collections.abc import Iterator

import pytest
import redis
from sqlalchemy import update

from chaos_store import commands, datasets, jobs
from chaos_store.blobs import DatabaseBlobs
from chaos_store.broker import TRAIN_QUEUE, make_celery
from chaos_store.engine import Database, open_database
from chaos_store.settings import Settings
from chaos_store.tables import Job
from worker.reaper import Reaper


@pytest.fixture
def store(service_settings: Settings) -> Iterator[Database]:
    opened = open_database(service_settings)
    yield opened
    opened.dispose()


@pytest.fixture
def reapers(store: Database, service_settings: Settings) -> Iterator[tuple[Reaper, Reaper]]:
    celery = make_celery(service_settings, role="sender")
    yield Reaper(store, celery, service_settings, "one"), Reaper(store, celery, service_settings, "two")
    celery.close()


@pytest.fixture
def job_id(store: Database, project_id: str) -> str:
    with store.write.begin() as session:
        content = DatabaseBlobs().put(session, [b"raw"])
        dataset = datasets.create(session, project_id=project_id, name="raw", content=content)
        return jobs.create(session, project_id=project_id, kind="ingest", dataset_id=dataset.id, max_attempts=3).id


def waiting(settings: Settings, queue: str) -> int:
    with redis.Redis(unix_socket_path=settings.broker_url.removeprefix("redis+socket://")) as client:
        return int(client.llen(f"chaos:{queue}"))


def change(store: Database, job_id: str, **values: object) -> None:
    with store.write.begin() as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))


def test_a_call_that_nobody_followed_is_repeated_once(
    reapers: tuple[Reaper, Reaper], store: Database, service_settings: Settings, job_id: str
) -> None:
    assert reapers[0].round() == []
    change(store, job_id, woken_at=0.0)
    assert [call.job_id for call in reapers[0].round()] == [job_id]
    assert reapers[0].round() == []
    assert (waiting(service_settings, "light"), waiting(service_settings, TRAIN_QUEUE)) == (1, 0)


def test_only_the_leader_reaps(reapers: tuple[Reaper, Reaper], store: Database, job_id: str) -> None:
    assert reapers[0].round() == []
    change(store, job_id, woken_at=0.0)
    assert reapers[1].round() == []
    assert len(reapers[0].round()) == 1


def test_a_job_whose_worker_fell_silent_is_queued_again(
    reapers: tuple[Reaper, Reaper], store: Database, project_id: str, job_id: str
) -> None:
    with store.write.begin() as session:
        assert jobs.claim(session, job_id, "gone", 6.0) is not None
    change(store, job_id, lease_until=0.0)
    reapers[0].round()
    with store.read() as session:
        job = session.scalars(jobs.get(project_id, job_id)).one()
    assert (job.status, job.attempt, job.lease_owner) == ("queued", 1, None)


def test_a_round_without_a_broker_still_reaps(
    store: Database, service_settings: Settings, project_id: str, job_id: str
) -> None:
    nowhere = service_settings.model_copy(update={"broker_url": "redis+socket:///nowhere/broker.sock"})
    change(store, job_id, woken_at=0.0)
    Reaper(store, make_celery(nowhere, role="sender"), nowhere, "one").round()


def test_a_dataset_whose_reading_was_cancelled_is_not_left_processing(
    reapers: tuple[Reaper, Reaper], store: Database, project_id: str, job_id: str
) -> None:
    with store.write.begin() as session:
        dataset_id = commands.request_cancel(session, project_id, job_id).dataset_id
    reapers[0].round()
    with store.read() as session:
        dataset = session.scalars(datasets.get(project_id, dataset_id)).one()
    assert dataset.status == "failed" and dataset.error is not None and "cancelled" in dataset.error["detail"]
