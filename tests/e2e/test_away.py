"""The database is away when a worker starts, dies under it, and stays away longer than a lease: it goes on."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from chaos_store import migrate
from chaos_store.engine import open_database
from chaos_store.settings import Settings
from tests.e2e.bench import TRAINING, Bench
from tests.servers import PostgresCluster

LEASE_S = 4.0


class Server:
    """One Postgres that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.cluster = PostgresCluster(folder)
        self.cluster.initialise()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Again and again, until the memory of the one that was killed is free."""
        deadline = time.monotonic() + 60
        while True:
            if self._process is None or self._process.poll() is not None:
                command = self.cluster.server_command(["fsync=off"], dies_with_parent=True)
                with (self._folder / "log").open("ab") as log:
                    self._process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)
            with contextlib.suppress(psycopg.OperationalError):
                self.cluster.connect()
                return
            assert time.monotonic() < deadline, (self._folder / "log").read_text()[-2000:]
            time.sleep(0.1)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@pytest.fixture
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="chaos-away-"))
    made = Server(folder)
    made.start()
    yield made
    made.kill()
    shutil.rmtree(folder, ignore_errors=True)


class Visitor(Bench):
    """Looks on after the connections to a server that was killed."""

    def anew(self) -> None:
        with contextlib.suppress(OperationalError):
            self.database.dispose()


def test_a_worker_outlives_its_database(server: Server, tmp_path: Path) -> None:
    server.cluster.create("chaos")
    settings = Settings(data_dir=tmp_path, database_url=server.cluster.url("chaos"))
    migrate.upgrade(settings)
    bench = Visitor(open_database(settings), settings)
    unbroken, moved = bench.post(TRAINING), bench.post(TRAINING)
    server.kill()
    bench.start_worker(CHAOS_LEASE_S=str(LEASE_S), CHAOS_HEARTBEAT_S="1", CHAOS_REAP_S="1")
    time.sleep(4)
    assert bench.workers[0].poll() is None, "a worker waits for its database"
    server.start()
    bench.anew()
    first = bench.finish(unbroken)
    bench.saved(moved, 1)
    server.kill()
    time.sleep(LEASE_S + 2)
    assert bench.workers[0].poll() is None
    server.start()
    bench.anew()
    second = bench.finish(moved)
    assert (first.status, second.status) == ("succeeded", "succeeded"), first.error or second.error
    assert second.attempt > 1, "the attempt whose lease ran out was given up"
    assert bench.result(first) == bench.result(second)
    bench.close()
    bench.database.dispose()
