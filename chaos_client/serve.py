"""The embedded service: one supervisor that starts, watches and stops broker, worker and API in order."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import httpx

from chaos_client.broker import BrokerPlan, plan_broker
from chaos_client.children import Child
from chaos_client.failures import ServeError

READY_S = 60.0
TICK_S = 0.1


@dataclass(frozen=True)
class ServeOptions:
    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000


class EmbeddedService:
    def __init__(self, options: ServeOptions, say: Callable[[str], None]) -> None:
        self._options = replace(options, data_dir=options.data_dir.resolve())
        self._say = say
        self._children: list[Child] = []
        self._stopping = False
        self._lock: IO[str] | None = None
        self._listener: socket.socket | None = None
        self._broker: BrokerPlan | None = None
        self.url = ""

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            self._prepare()
            self._start()
            while not self._stopping:
                self._watch()
                time.sleep(TICK_S)
        finally:
            self._stop()

    def _on_signal(self, *_: object) -> None:
        self._stopping = True

    def _prepare(self) -> None:
        folder = self._options.data_dir
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _take_lock(folder)
        _record(folder).unlink(missing_ok=True)
        (folder / "logs").mkdir(exist_ok=True)
        self._listener = _listen(self._options.host, self._options.port)
        host = self._options.host if ":" not in self._options.host else f"[{self._options.host}]"
        self.url = f"http://{host}:{self._listener.getsockname()[1]}"

    def _start(self) -> None:
        self._broker = plan_broker(self._options.data_dir)
        environment = self._environment(self._broker)
        if self._broker.command:
            self._launch("broker", self._broker.command, environment, stop_s=5)
        self._say(f"broker: {self._broker.source}")
        self._run_once("migrate", environment)
        key = self._first_key(environment)
        python = sys.executable
        assert self._listener is not None
        descriptor = self._listener.fileno()
        self._launch("worker", (python, "-m", "worker"), environment, stop_s=30)
        api = (python, "-m", "api", "--fd", str(descriptor))
        self._launch("api", api, environment, stop_s=10, pass_fds=(descriptor,))
        self._await_ready()
        if self._stopping:
            return
        _write_private(
            _record(self._options.data_dir),
            json.dumps({"url": self.url, "api_key": key, "pid": os.getpid()}),
        )
        self._say(f"ready: {self.url}  (docs {self.url}/docs, key in {_key_file(self._options.data_dir)})")

    def _launch(
        self,
        name: str,
        command: tuple[str, ...],
        environment: dict[str, str],
        *,
        stop_s: float,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        log = self._options.data_dir / "logs" / f"{name}.log"
        child = Child(name, command, environment, log, stop_s=stop_s, pass_fds=pass_fds)
        child.start()
        self._children.append(child)

    def _environment(self, broker: BrokerPlan) -> dict[str, str]:
        folder = self._options.data_dir
        environment = dict(os.environ)
        environment.setdefault("CHAOS_DATABASE_URL", f"sqlite:///{folder / 'chaos.db'}")
        environment.update(CHAOS_BROKER_URL=broker.url, CHAOS_DATA_DIR=str(folder), PYTHONUNBUFFERED="1")
        return environment

    def _run_once(self, action: str, environment: dict[str, str], *options: str) -> str:
        command = (sys.executable, "-m", "chaos_store", action, *options)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServeError(f"`python -m chaos_store {action}` failed:\n{done.stderr.strip()[-2000:]}")
        return done.stdout.strip()

    def _first_key(self, environment: dict[str, str]) -> str:
        path = _key_file(self._options.data_dir)
        if not path.exists():
            _write_private(path, self._run_once("first-key", environment, "--force"))
            self._say(f"made an API key; it is kept in {path}")
        return path.read_text().strip()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while not self._stopping:
            self._watch()
            with suppress(httpx.HTTPError):
                answer = httpx.get(f"{self.url}/readyz", timeout=2)
                if answer.status_code == 200:
                    return
            if time.monotonic() > deadline:
                raise ServeError(
                    f"the service was not ready after {READY_S:.0f} s; see {self._options.data_dir / 'logs'}"
                )
            time.sleep(TICK_S)

    def _watch(self) -> None:
        for child in self._children:
            event = child.watch()
            if event:
                self._say(event)

    def _stop(self) -> None:
        if self._lock:
            _record(self._options.data_dir).unlink(missing_ok=True)
        for child in reversed(self._children):
            child.stop()
        if self._listener:
            self._listener.close()
        if self._broker and self._broker.socket and self._options.data_dir not in self._broker.socket.parents:
            shutil.rmtree(self._broker.socket.parent, ignore_errors=True)
        if self._lock:
            self._lock.close()
            self._say("stopped")


def _record(folder: Path) -> Path:
    return folder / "service.json"


def _key_file(folder: Path) -> Path:
    return folder / "api_key"


def _take_lock(folder: Path) -> IO[str]:
    path = folder / "serve.lock"
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise ServeError(
            f"another service already uses {folder} (pid {holder}). Stop it, or choose another folder with --data-dir."
        ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ServeError(
            f"cannot listen on {host} port {port}: {error.strerror}. Use --port 0 for any free port."
        ) from error
    listener.listen(512)
    return listener


def _write_private(path: Path, text: str) -> None:
    part = path.with_suffix(path.suffix + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    part.replace(path)
