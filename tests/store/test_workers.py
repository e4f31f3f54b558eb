"""Workers are known while they give signs of life."""

from typing import Any

from sqlalchemy import select, update

from chaos_store import doctor, workers
from chaos_store.engine import Database, now
from chaos_store.settings import Settings
from chaos_store.tables import Worker

FACTS: dict[str, Any] = {
    "host": "host",
    "pid": 7,
    "kinds": "all",
    "training_slots": 2,
    "light_slots": 1,
    "machine": {"cores": 2},
    "versions": {"release": "1"},
}


def renew(database: Database, *names: str) -> None:
    with database.write.begin() as session:
        for name in names:
            workers.renew(session, name, **FACTS)


def fall_silent(database: Database, name: str, seconds: float) -> None:
    with database.write.begin() as session:
        session.execute(update(Worker).where(Worker.name == name).values(seen_at=now() - seconds))


def seen(database: Database) -> dict[str, bool]:
    with database.read() as session:
        return {worker.name: bool(alive) for worker, alive in session.execute(workers.listed(6.0))}


def test_a_sign_of_life_keeps_the_start_and_moves_the_rest(database: Database) -> None:
    renew(database, "host-1-a")
    fall_silent(database, "host-1-a", 100)
    with database.read() as session:
        before = session.scalars(select(Worker)).one()
    assert seen(database) == {"host-1-a": False}
    renew(database, "host-1-a")
    with database.read() as session:
        after = session.scalars(select(Worker)).one()
        assert session.scalar(workers.count_alive(6.0)) == 1
    assert (after.started_at, after.machine) == (before.started_at, {"cores": 2})
    assert after.seen_at > before.seen_at + 90


def test_the_dead_are_forgotten(database: Database) -> None:
    renew(database, "host-1-a", "host-2-b", "other-3-c")
    fall_silent(database, "other-3-c", 100)
    with database.write.begin() as session:
        assert workers.bury(session, 60.0) == ["other-3-c"]
        workers.forget_dead(session, "host-", lambda name: name == "host-2-b")
    assert seen(database) == {"host-2-b": True}


def test_the_doctor_names_a_silent_worker(database: Database, settings: Settings) -> None:
    renew(database, "host-1-a", "host-2-b")
    fall_silent(database, "host-2-b", 100)
    [finding] = [found for found in doctor.examine(settings) if found.name == "workers"]
    assert not finding.ok and finding.detail == "1 alive, silent: host-2-b"
