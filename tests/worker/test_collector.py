"""The thread that collects: on its own, by one leader, and quick to stop."""

import time
from collections.abc import Callable

from sqlalchemy import func, select

from chaos_store import gc
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import Blob
from worker.collector import Collector


def _until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _blobs(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Blob)) or 0


def test_unused_bytes_are_collected_again_and_again(settings: Settings, database: Database) -> None:
    often = settings.model_copy(update={"gc_s": 0.05, "gc_grace_s": 0.01})
    collector = Collector(database, often, "one")
    collector.start()
    for data in (b"first", b"second"):
        DatabaseBlobs().store(database, [data])
        _until(lambda: _blobs(database) == 0)
    collector.stop()


def test_one_of_two_collectors_works_in_each_period(settings: Settings, database: Database) -> None:
    one, two = (Collector(database, settings, owner) for owner in ("one", "two"))
    assert one.round() == gc.Collected()
    assert two.round() in (None, gc.Collected())


def test_a_collector_that_sleeps_stops_at_once(settings: Settings, database: Database) -> None:
    collector = Collector(database, settings, "one")
    collector.start()
    asked = time.monotonic()
    collector.stop()
    assert time.monotonic() - asked < settings.gc_s / 10
