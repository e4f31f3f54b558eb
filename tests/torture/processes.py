"""Processes under test: a mark by which all of a run are found, and a keeper that starts dead ones again."""

import contextlib
import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MARK = "TORTURE_RUN"
RESTART_S = 0.3
LOOK_S = 0.05
CLEAN_EXITS = (0, -signal.SIGTERM)
"""uvicorn repeats the signal to itself after its orderly end."""
RUNNERS = ("worker.runner", "worker.runner.light")


@dataclass
class Part:
    """One process of the service, with the command that starts it."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    ready: Callable[[], bool] | None = None
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    dead_since: float | None = None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                start_new_session=True,
            )  # fmt: skip
        self.starts += 1
        self.dead_since = None


@dataclass
class Keeper:
    """Starts each dead part again, as systemd or compose would. One long-lived thread owns all children."""

    parts: list[Part] = field(default_factory=list)
    paused: bool = False
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="keeper", daemon=True)
        self._thread.start()

    def stop(self, order: Sequence[Part], patience_s: float = 40.0) -> list[str]:
        """Ends all in the order given; names those that had to be killed or ended with an error."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        return [complaint for part in order if (complaint := _end(part, patience_s))]

    def _loop(self) -> None:
        while not self._stopping.wait(LOOK_S):
            for part in self.parts:
                if not self.paused and not part.alive:
                    self._revive(part)

    def _revive(self, part: Part) -> None:
        now = time.monotonic()
        if part.dead_since is None:
            part.dead_since = now
        elif now - part.dead_since >= RESTART_S:
            part.start()


def _end(part: Part, patience_s: float) -> str | None:
    process = part.process
    if process is None or process.poll() is not None:
        return None
    process.send_signal(signal.SIGINT if part.name == "postgres" else signal.SIGTERM)
    try:
        code = process.wait(patience_s)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"{part.name} did not end within {patience_s:g} s of SIGTERM"
    return None if code in CLEAN_EXITS else f"{part.name} ended with {code} after SIGTERM"


def marked(mark: str, folder: Path) -> list[psutil.Process]:
    """All living processes of the run, whoever their parent is now: known by environment or command."""
    return [process for process in psutil.process_iter() if _belongs(process, mark, str(folder)) and alive(process)]


def _belongs(process: psutil.Process, mark: str, folder: str) -> bool:
    try:
        if process.pid == os.getpid():
            return False
        return process.environ().get(MARK) == mark or any(folder in word for word in process.cmdline())
    except (psutil.Error, OSError):
        return False


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def runs(process: psutil.Process, *modules: str) -> bool:
    return any(option == "-m" and word in modules for option, word in itertools.pairwise(words(process)))


def send(process: psutil.Process, number: signal.Signals) -> bool:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return False
    return True


def resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Seconds until the condition held; TimeoutError with `what` where it never did."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - began


@contextlib.contextmanager
def frozen(process: psutil.Process) -> Iterator[None]:
    """Stopped inside the block, as by a host that swaps or a debugger."""
    send(process, signal.SIGSTOP)
    try:
        yield
    finally:
        send(process, signal.SIGCONT)
