"""Runner processes: how one is started, spoken to and ended, and the warm one that waits for the next job."""

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from .protocol import Assignment, Message, Ready, decode

RUNNER_MODULE = f"{__package__}.runner"
IMPORT_ROOT = Path(__file__).resolve().parents[len(RUNNER_MODULE.split(".")) - 1]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
READ_BYTES = 1 << 20
EXIT_POLL_S = 0.01


def _environment(scratch: Path) -> dict[str, str]:
    found = [str(IMPORT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    matplotlib = {"MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR", str(scratch / "matplotlib"))}
    return {**os.environ, **ONE_THREAD, **matplotlib, "PYTHONPATH": os.pathsep.join(found)}


class Runner:
    """One child in a process group of its own; it ends when the pipe to it is closed."""

    def __init__(self, scratch: Path, module: str = RUNNER_MODULE) -> None:
        self._log = scratch / f"runner-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
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
        self.silent = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return not self._has_exited()

    def give(self, folder: Path) -> None:
        self._stdin.write(Assignment(folder=str(folder)).model_dump_json().encode() + b"\n")

    def read(self, timeout_s: float) -> Iterator[Message]:
        """What has arrived within the timeout; `silent` turns True at the end of the pipe."""
        if self.silent or not self._selector.select(max(0.0, timeout_s)):
            return
        piece = os.read(self._stdout.fileno(), READ_BYTES)
        self.silent = not piece
        *lines, self._buffer = (self._buffer + piece).split(b"\n")
        yield from (message for message in map(decode, lines) if not isinstance(message, Ready))

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

    def last_words(self, limit: int = 4000) -> str:
        try:
            return self._log.read_bytes()[-limit:].decode(errors="replace")
        except FileNotFoundError:
            return ""

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
    """Keeps one imported runner waiting: importing torch takes seconds, handing over a folder milliseconds."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._lock = threading.Lock()
        self._spare: Runner | None = None
        self._closed = False

    def take(self) -> Runner:
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None and spare.alive():
            return spare
        if spare is not None:
            spare.close()
        return Runner(self._scratch)

    def refresh(self) -> None:
        """Starts a spare where there is none; buries one that died while waiting."""
        with self._lock:
            if self._spare is not None and not self._spare.alive():
                self._spare.close()
                self._spare = None
            if self._spare is None and not self._closed:
                self._spare = Runner(self._scratch)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._spare is not None:
                self._spare.close()
                self._spare = None
