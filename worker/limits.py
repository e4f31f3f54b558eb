"""What one job may use, and the guard that looks at its runner and says which limit was crossed."""

import os
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from chaos_core.errors import DeadlinePassed, DiskLimit, OutOfMemory, RunError, Stalled, TimeLimit
from chaos_store.settings import Settings
from chaos_store.states import Event

LOOK_S = 0.2
LOOK_WIDE_S = 1.0
SHARE_OF_MEMORY = 0.75
NEAR = 0.8
GROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Limits:
    """Those of the service, narrowed by what the client asked."""

    wall_s: float | None
    memory_bytes: int
    stall_s: float
    disk_bytes: int
    deadline: float | None = None

    @classmethod
    def of(cls, settings: Settings, asked: Mapping[str, Any]) -> "Limits":
        def narrowest(name: str, allowed: float | None) -> Any:
            return min((value for value in (allowed, asked.get(name)) if value is not None), default=None)

        return cls(
            wall_s=narrowest("wall_s", settings.job_wall_s),
            memory_bytes=int(narrowest("memory_bytes", settings.job_memory_bytes or _share_of_machine())),
            stall_s=narrowest("stall_s", settings.job_stall_s),
            disk_bytes=int(narrowest("disk_bytes", settings.job_disk_bytes)),
            deadline=asked.get("deadline"),
        )


class Guard:
    """Looks at one attempt; `spent_s` is what earlier attempts took, the time between attempts left out."""

    def __init__(self, limits: Limits, pid: int, folder: Path, spent_s: float = 0.0) -> None:
        self._limits = limits
        self._pid = pid
        self._folder = folder
        now = time.monotonic()
        self._began_at = now - spent_s
        self._moved_at = now
        self._look_at = self._look_wide_at = now
        self._family: list[psutil.Process] = []
        self._memory = self._disk = 0
        self._most_memory = 0

    def moved(self) -> None:
        """The job made progress."""
        self._moved_at = time.monotonic()

    def crossed(self) -> RunError | None:
        now = time.monotonic()
        if now < self._look_at:
            return None
        self._look_at = now + LOOK_S
        self._measure(now)
        return self._judge(now)

    def is_greedy(self) -> bool:
        """Over the limit for memory by so much that there is no time to be polite."""
        return self._memory * NEAR > self._limits.memory_bytes

    def out_of_memory(self, code: int) -> OutOfMemory | None:
        """The failure that a death by SIGKILL stands for where the kernel may have run out of memory."""
        if code != -signal.SIGKILL or self._most_memory < NEAR * self._limits.memory_bytes:
            return None
        return self._hungry(self._most_memory, "was killed when it")

    def _measure(self, now: float) -> None:
        if now >= self._look_wide_at:
            self._look_wide_at = now + LOOK_WIDE_S
            self._disk = _size(self._folder)
            self._family = _family(self._pid)
        self._memory = sum(map(_resident, self._family))
        self._most_memory = max(self._most_memory, self._memory)

    def _judge(self, now: float) -> RunError | None:
        limits, ran_s, idle_s = self._limits, now - self._began_at, now - self._moved_at
        if self._memory > limits.memory_bytes:
            return self._hungry(self._memory)
        if limits.wall_s is not None and ran_s > limits.wall_s:
            what = f"the job ran for {ran_s:.1f} s, which is longer than {limits.wall_s:g} s"
            return TimeLimit(what, value=round(ran_s, 3), limit=limits.wall_s)
        if limits.deadline is not None and time.time() > limits.deadline:
            return DeadlinePassed("the job was still running when its deadline passed", deadline=limits.deadline)
        if idle_s > limits.stall_s:
            what = f"the job made no progress for {idle_s:.1f} s"
            return Stalled(what, value=round(idle_s, 3), limit=limits.stall_s)
        if self._disk > limits.disk_bytes:
            what = f"the files of the job take {self._disk} bytes, more than {limits.disk_bytes}"
            return DiskLimit(what, value=self._disk, limit=limits.disk_bytes)
        return None

    def _hungry(self, value: int, how: str = "") -> OutOfMemory:
        limit = self._limits.memory_bytes
        what = f"the runner {how} held {value} bytes of memory; {limit} are allowed".replace("  ", " ")
        return OutOfMemory(what, value=value, limit=limit)


def time_spent(events: Iterable[tuple[str, float]]) -> float:
    """Seconds that the attempts took since the last retry, from a job's events and their times, in order.

    Waiting in the queue and pauses do not count; an attempt whose worker died counts until the job was taken back.
    """
    spent, claimed_at = 0.0, None
    for event, at in events:
        if event == Event.claim:
            claimed_at = at
        elif event == Event.retry:
            spent, claimed_at = 0.0, None
        elif claimed_at is not None and event not in (Event.pause, Event.cancel):
            spent, claimed_at = spent + at - claimed_at, None
    return spent


def _share_of_machine() -> int:
    whole = psutil.virtual_memory().total
    with suppress(OSError, ValueError):
        whole = min(whole, int(GROUP_MEMORY.read_text()))
    return int(SHARE_OF_MEMORY * whole)


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        runner = psutil.Process(pid)
        return [runner, *runner.children(recursive=True)]
    return []


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _size(folder: Path) -> int:
    size = 0
    with suppress(OSError):
        for entry in os.scandir(folder):
            with suppress(OSError):
                size += _size(Path(entry.path)) if entry.is_dir(follow_symlinks=False) else entry.stat().st_size
    return size
