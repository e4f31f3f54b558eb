"""Random death: kill -9 or a freeze of one process about every two seconds."""

import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass

from tests.torture.processes import send
from tests.torture.services import Deployment

WEIGHTS = {"runner": 5, "worker": 3, "api": 3, "broker": 2, "postgres": 1}
FREEZABLE = ("runner", "worker", "api", "broker")
FREEZE_SHARE = 0.12
FREEZE_S = {"runner": (0.5, 4.0), "worker": (1.0, 10.0), "api": (0.5, 4.0), "broker": (0.5, 4.0)}
PERIOD_S = 2.0


@dataclass(frozen=True)
class Blow:
    at: float
    action: str
    role: str
    pid: int


class Mayhem:
    def __init__(self, deployment: Deployment, seed: int, period_s: float = PERIOD_S) -> None:
        self._deployment = deployment
        self._random = random.Random(seed)
        self._period_s = period_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="mayhem", daemon=True)
        self._freezes: list[threading.Thread] = []
        self.blows: list[Blow] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No process is left frozen."""
        self._stopping.set()
        self._thread.join()
        for thread in self._freezes:
            thread.join()

    def describe(self) -> str:
        counts = Counter(f"{blow.action} {blow.role}" for blow in self.blows)
        return ", ".join(f"{count} x {what}" for what, count in sorted(counts.items())) or "nothing"

    def _loop(self) -> None:
        while not self._stopping.wait(self._random.uniform(0.5, 1.5) * self._period_s):
            self._strike()

    def _strike(self) -> None:
        roles = self._deployment.roles
        role = self._random.choices(roles, [WEIGHTS[role] for role in roles])[0]
        freeze = role in FREEZABLE and self._random.random() < FREEZE_SHARE
        victims = self._deployment.processes(role)
        if not victims:
            return
        victim = self._random.choice(victims)
        if freeze:
            seconds = self._random.uniform(*FREEZE_S[role])
            if send(victim, signal.SIGSTOP):
                self._freezes.append(threading.Timer(seconds, send, (victim, signal.SIGCONT)))
                self._freezes[-1].start()
        else:
            send(victim, signal.SIGKILL)
        self.blows.append(Blow(time.time(), "freeze" if freeze else "kill", role, victim.pid))
