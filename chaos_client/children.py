"""A child process that is started again, with backoff, when it dies."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from chaos_client.failures import ServeError

FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 15.0
STEADY_S = 30.0
STEADY_WHERE_KILLED_S = 3.0
GIVE_UP_AFTER = 12
LAST_LINES = 15
LOG_TAIL_BYTES = 8192
MOST_LOG_BYTES = 32 * 1024 * 1024
PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        stop_s: float,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        self.restarts = 0
        self._command = list(command)
        self._environment = dict(environment)
        self._stop_s = stop_s
        self._pass_fds = tuple(pass_fds)
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._due = 0.0
        self._failures = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self._started = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=self._pass_fds,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def watch(self) -> str | None:
        """Starts the child again when it is dead and its backoff is over; returns what happened, if anything."""
        self._shorten_log()
        if self.alive:
            return None
        now = time.monotonic()
        if self._due == 0.0:
            return self._plan_restart(now)
        if now < self._due:
            return None
        self._due = 0.0
        self.restarts += 1
        try:
            self.start()
        except OSError as error:
            return f"{self.name} could not be started: {error}"
        return f"{self.name} started again (pid {self.pid})"

    def _plan_restart(self, now: float) -> str:
        code = self._process.returncode if self._process else None
        steady_s = STEADY_WHERE_KILLED_S if code == -signal.SIGKILL else STEADY_S
        self._failures = 1 if now - self._started > steady_s else self._failures + 1
        if self._failures > GIVE_UP_AFTER:
            raise ServeError(
                f"{self.name} died {self._failures} times in a row (last exit {code}). "
                f"The end of {self.log}:\n{self._last_lines()}"
            )
        delay = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** (self._failures - 1))
        self._due = now + delay
        return f"{self.name} died (exit {code}); starting it again in {delay:.1f} s"

    def _last_lines(self) -> str:
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-LAST_LINES:])

    def _shorten_log(self) -> None:
        """One file of older lines stays; the child appends, so it goes on at the start of the emptied file."""
        with suppress(OSError):
            if self.log.stat().st_size > MOST_LOG_BYTES:
                shutil.copyfile(self.log, self.log.with_suffix(".1.log"))
                os.truncate(self.log, 0)

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(self._stop_s)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
