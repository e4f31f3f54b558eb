"""Webhooks: from commit to receipt, what an event costs where nobody listens, and how many go out a second.

With SQLite as `chaos serve` has it, and with a Postgres of its own. Run it on a quiet machine.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from chaos_store import announcements, datasets, jobs, keys, migrate, webhooks
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database, open_database
from chaos_store.settings import Settings
from chaos_store.tables import Job
from tests.receivers import Receiver, answers
from tests.servers import PostgresServer
from tests.worker.hooked import LOCAL
from worker.sending.sender import Sender

OPEN = {"webhook_allow_http": True, "webhook_allowed_networks": LOCAL}


@contextlib.contextmanager
def databases(folder: Path) -> Iterator[dict[str, Settings]]:
    with PostgresServer() as server, server.fresh() as url:
        embedded = Settings(data_dir=folder, **OPEN)
        migrate.upgrade(embedded)
        yield {"SQLite": embedded, "Postgres": Settings(data_dir=folder, database_url=url, **OPEN)}


def project(database: Database) -> tuple[str, list[str]]:
    """A project and jobs that wait in it."""
    with database.write.begin() as session:
        project_id = keys.create_project(session, "bench").id
        content = DatabaseBlobs().put(session, [b"x"])
        made = datasets.create(session, project_id=project_id, name="x", content=content)
        common = {"project_id": project_id, "kind": "ingest", "dataset_id": made.id, "max_attempts": 3}
        return project_id, [jobs.create(session, **common).id for _ in range(200)]


def median_ms(act: Callable[[int], object], count: int = 200) -> float:
    taken = []
    for index in range(count):
        begun = time.perf_counter()
        act(index)
        taken.append(time.perf_counter() - begun)
    return 1000 * statistics.median(taken)


def costs(database: Database, waiting: list[str]) -> tuple[float, float]:
    """Of a whole claim, and of the look for webhooks in it, where there is none."""

    def claim(index: int) -> None:
        with database.write.begin() as session:
            assert jobs.claim(session, waiting[index], "bench", 60.0) is not None

    whole = median_ms(claim)
    with database.write.begin() as session:
        job = session.get_one(Job, waiting[0])
        look = median_ms(lambda _: announcements.announce_job(session, job))
    return whole, look


def latencies(database: Database, settings: Settings, project_id: str, *, poked: bool, count: int = 40) -> list[float]:
    """Milliseconds from the commit to the receiver; `poked`: as a worker does after its own transitions."""
    sender, found = Sender(database, settings), []
    with Receiver([answers(204)]) as receiver:
        with database.write.begin() as session:
            webhook = webhooks.create(session, project_id=project_id, url=receiver.url)
        sender.start()
        for number in range(1, count + 1):
            with database.write.begin() as session:
                announcements.send_test(session, project_id, webhook.id)
            committed = time.time()
            if poked:
                sender.poke()
            found.append(1000 * (receiver.wait(number)[-1].at - committed))
            time.sleep(0.05 + 0.013 * (number % 17))
        sender.stop()
    return found


def rate(database: Database, settings: Settings, project_id: str, count: int = 500) -> float:
    sender = Sender(database, settings)
    with Receiver([answers(204)]) as receiver, database.write.begin() as session:
        targets = [webhooks.create(session, project_id=project_id, url=receiver.url).id for _ in range(5)]
        for index in range(count):
            announcements.send_test(session, project_id, targets[index % 5])
        session.commit()
        begun = time.perf_counter()
        sender.start()
        receiver.wait(count)
        taken = time.perf_counter() - begun
        sender.stop()
    return count / taken


def measure(settings: Settings) -> dict[str, object]:
    database = open_database(settings)
    project_id, waiting = project(database)
    claim_ms, look_ms = costs(database, waiting)
    shown: dict[str, object] = {"claim of a job, ms": claim_ms, "of this the look for webhooks, ms": look_ms}
    for name, poked in (("own worker's change", True), ("change by the API", False)):
        found = sorted(latencies(database, settings, project_id, poked=poked))
        shown[f"commit to receipt, ms, {name} (median, 95 %)"] = [found[len(found) // 2], found[int(0.95 * len(found))]]
    shown["deliveries a second, one sender"] = rate(database, settings, project_id)
    database.dispose()
    return shown


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as found:
        print(json.dumps({name: measure(settings) for name, settings in found.items()}, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
