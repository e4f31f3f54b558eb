"""APIs and workers as processes of their own, each with a folder and a log."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from chaos_client import Client
from tests.e2e.conftest import until

ROOT = Path(__file__).parents[2]
KINDS = {"light": "light", "train-1": "train", "train-2": "train"}


@dataclass
class Cluster:
    folder: Path
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    key: str = ""

    def once(self, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command], env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def start(self, name: str, *command: str, **settings: str) -> None:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        environment = self.environment | {"CHAOS_DATA_DIR": str(folder)} | settings
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command], env=environment, stdout=log, stderr=log, cwd=folder
            )

    def start_api(self, name: str) -> None:
        self._record(name).unlink(missing_ok=True)
        self.start(name, "api", "--port", "0", "--ready-file", str(self._record(name)))

    def start_worker(self, name: str) -> None:
        """As the health check of docker-compose.yml asks for it."""
        alive = self.folder / name / "worker.alive"
        alive.unlink(missing_ok=True)
        self.start(name, "worker", CHAOS_WORKER_KINDS=KINDS[name])
        until(alive.exists, 60)

    def client(self, name: str) -> Client:
        until(self._record(name).exists, 60)
        return Client(json.loads(self._record(name).read_text())["url"], self.key)

    def stop(self, name: str) -> int:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(40)

    def kill(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def _record(self, name: str) -> Path:
        return self.folder / f"{name}.json"
