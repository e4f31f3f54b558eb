"""The embedded service: one supervisor that starts, watches and stops broker, worker and API in order."""

import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import httpx

from chaos_client import folder as data_folder
from chaos_client.broker import BrokerPlan, plan_broker
from chaos_client.children import Child
from chaos_client.failures import ServeError

READY_S = 60.0
TICK_S = 0.1
REPAIRS = {
    "processes": "processes ended",
    "scratch_folders": "scratch folders removed",
    "jobs": "jobs put back",
    "broken_uploads": "broken uploads removed",
}


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
        self._lock = data_folder.take(folder)
        data_folder.record(folder).unlink(missing_ok=True)
        (folder / "logs").mkdir(exist_ok=True)

    def _start(self) -> None:
        folder = self._options.data_dir
        self._broker = plan_broker(folder)
        environment = data_folder.environment(folder, self._broker.url)
        self._make_fit(environment)
        self._listener = _listen(self._options.host, self._options.port)
        host = self._options.host if ":" not in self._options.host else f"[{self._options.host}]"
        self.url = f"http://{host}:{self._listener.getsockname()[1]}"
        if self._broker.command:
            self._launch("broker", self._broker.command, environment, stop_s=5)
        self._say(f"broker: {self._broker.source}")
        key = self._first_key(environment)
        python = sys.executable
        descriptor = self._listener.fileno()
        self._launch("worker", (python, "-m", "worker"), environment, stop_s=30)
        api = (python, "-m", "api", "--fd", str(descriptor))
        self._launch("api", api, environment, stop_s=10, pass_fds=(descriptor,))
        self._await_ready()
        if self._stopping:
            return
        facts = {"url": self.url, "api_key": key, "pid": os.getpid(), "broker_url": self._broker.url}
        data_folder.write_private(data_folder.record(folder), json.dumps(facts))
        self._say(f"ready: {self.url}  (docs {self.url}/docs, key in {data_folder.key_file(folder)})")

    def _make_fit(self, environment: dict[str, str]) -> None:
        """Saves the rows before an upgrade; ends what a killed service left behind and puts its jobs back."""
        saved = data_folder.ask("migrate", environment, "--backup-into", str(self._options.data_dir / "backups"))
        if saved:
            self._say(f"backup before the upgrade: {saved}")
        repaired = json.loads(data_folder.ask("repair", environment))
        found = [f"{repaired[name]} {what}" for name, what in REPAIRS.items() if repaired.get(name)]
        if found:
            self._say(f"repaired after a hard stop: {', '.join(found)}")

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

    def _first_key(self, environment: dict[str, str]) -> str:
        path = data_folder.key_file(self._options.data_dir)
        if not path.exists():
            data_folder.write_private(path, data_folder.ask("first-key", environment, "--force"))
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
            data_folder.record(self._options.data_dir).unlink(missing_ok=True)
        for child in reversed(self._children):
            child.stop()
        if self._listener:
            self._listener.close()
        if self._broker and self._broker.socket and self._options.data_dir not in self._broker.socket.parents:
            shutil.rmtree(self._broker.socket.parent, ignore_errors=True)
        if self._lock:
            self._lock.close()
            self._say("stopped")


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
