"""Runner processes: how one is started, spoken to and ended, and the warm ones that wait for the next job."""

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from .protocol import Assignment, Done, Message, Ready, decode
from .slots import LIGHT_KINDS
from .tail import Tail

RUNNER_MODULE = f"{__package__}.runner"
LIGHT_MODULE = f"{RUNNER_MODULE}.light"
IMPORT_ROOT = Path(__file__).resolve().parents[len(RUNNER_MODULE.split(".")) - 1]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
READ_BYTES = 1 << 20
PRIVATE, DATA_DIR = "CHAOS_", "CHAOS_DATA_DIR"
EXIT_POLL_S = 0.01
JOBS_PER_RUNNER = 50
MOST_BYTES = 512 * 1024 * 1024


def _environment(scratch: Path) -> dict[str, str]:
    """As here, but without what a runner has no use for: it never speaks to database and broker."""
    known = {name: value for name, value in os.environ.items() if not name.upper().startswith(PRIVATE)}
    known |= {DATA_DIR: os.environ[DATA_DIR]} if DATA_DIR in os.environ else {}
    found = [str(IMPORT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    matplotlib = {"MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR", str(scratch / "matplotlib"))}
    return {**known, **ONE_THREAD, **matplotlib, "PYTHONPATH": os.pathsep.join(found)}


class Runner:
    """One child in a process group of its own; it ends when the pipe to it is closed.

    `silent` turns True at the end of its pipe, `idle` when it said that it waits for another job.
    """

    def __init__(self, scratch: Path, module: str = RUNNER_MODULE) -> None:
        self._log = scratch / f"runner-{time.monotonic_ns()}.log"
        self._tail = Tail(self._log)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                start_new_session=True,
                env=_environment(scratch),
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._buffer = b""
        self._jobs = 0
        self.silent = self.idle = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return not self._has_exited()

    def give(self, folder: Path) -> None:
        """What it still says of the job before belongs to nobody, least of all to another project."""
        self.idle = False
        if self._jobs:
            self.words(last=True)
        self._jobs += 1
        self._stdin.write(Assignment(folder=str(folder)).model_dump_json().encode() + b"\n")

    def read(self, timeout_s: float) -> Iterator[Message]:
        """What has arrived within the timeout."""
        if self.silent or not self._selector.select(max(0.0, timeout_s)):
            return
        piece = os.read(self._stdout.fileno(), READ_BYTES)
        self.silent = not piece
        *lines, self._buffer = (self._buffer + piece).split(b"\n")
        for message in map(decode, lines):
            if isinstance(message, Done):
                self.idle = True
            elif not isinstance(message, Ready):
                yield message

    def is_reusable(self) -> bool:
        """Whether it waits for another job, has not done many and has not grown much."""
        if not self.idle or self._jobs >= JOBS_PER_RUNNER or not self.alive():
            return False
        try:
            return bool(psutil.Process(self.pid).memory_info().rss < MOST_BYTES)
        except psutil.Error:
            return False

    def terminate(self) -> None:
        self._signal(signal.SIGTERM, group=False)

    def kill(self) -> None:
        self._signal(signal.SIGKILL, group=True)

    def finish(self, timeout_s: float = 5.0) -> int:
        """Waits for the end, takes the whole process group along and returns the exit code."""
        deadline = time.monotonic() + timeout_s
        while not self._has_exited() and time.monotonic() < deadline:
            time.sleep(EXIT_POLL_S)
        self.kill()
        code = self._process.wait()
        for pipe in (self._stdin, self._stdout):
            pipe.close()
        self._selector.close()
        return code

    def words(self, *, last: bool = False) -> list[str]:
        """New lines of what it says beside its messages: its log, warnings, tracebacks."""
        return self._tail.lines(last=last)

    def close(self) -> None:
        """Ends it in any state; safe to call twice."""
        if self._process.returncode is None:
            self.kill()
            self.finish()
        self._log.unlink(missing_ok=True)

    def _has_exited(self) -> bool:
        """Leaves the dead child unreaped, so that its group can still be named without mistaking another for it."""
        if self._process.returncode is not None:
            return True
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _signal(self, number: signal.Signals, *, group: bool) -> None:
        if self._process.returncode is not None:
            return
        try:
            (os.killpg if group else os.kill)(self.pid, number)
        except ProcessLookupError:
            return


class Spares:
    """Keeps imported runners waiting: importing torch takes seconds, handing over a folder milliseconds.

    Trainings end with their runner, and one spare is kept for the next; light jobs share runners that are given back.
    """

    def __init__(self, scratch: Path, *, training: bool = True, light: bool = True) -> None:
        self._scratch = scratch
        self._wanted = {RUNNER_MODULE: training, LIGHT_MODULE: light}
        self._waiting: dict[str, list[Runner]] = {RUNNER_MODULE: [], LIGHT_MODULE: []}
        self._lent: set[Runner] = set()
        self._lock = threading.Lock()
        self._closed = False

    def take(self, kind: str) -> Runner:
        module = LIGHT_MODULE if kind in LIGHT_KINDS else RUNNER_MODULE
        with self._lock:
            self._bury(module)
            waiting = self._waiting[module]
            runner = waiting.pop() if waiting else Runner(self._scratch, module)
            if module == LIGHT_MODULE:
                self._lent.add(runner)
        return runner

    def give_back(self, runner: Runner) -> None:
        """After its job: a light one waits for the next, each other is closed."""
        reusable = runner.is_reusable()
        with self._lock:
            was_lent = runner in self._lent
            self._lent.discard(runner)
            if was_lent and reusable and not self._closed:
                self._waiting[LIGHT_MODULE].append(runner)
                return
        runner.close()

    def refresh(self) -> None:
        """Starts what should wait and does not; buries what died while waiting."""
        with self._lock:
            for module, waiting in self._waiting.items():
                self._bury(module)
                busy = self._lent if module == LIGHT_MODULE else ()
                if self._wanted[module] and not waiting and not busy and not self._closed:
                    waiting.append(Runner(self._scratch, module))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for waiting in self._waiting.values():
                while waiting:
                    waiting.pop().close()

    def _bury(self, module: str) -> None:
        for runner in [runner for runner in self._waiting[module] if not runner.alive()]:
            self._waiting[module].remove(runner)
            runner.close()
