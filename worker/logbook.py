"""What supervisor and runner say of a job: to the log of the process at once, to the job's own in batches."""

import json
import logging
import re
import time
from collections import deque
from contextlib import suppress

from chaos_store import joblogs
from chaos_store.errors import StorageFull
from chaos_store.joblogs import LEVELS, Line
from chaos_store.redaction import Redactor
from chaos_store.settings import Settings

from .journal import Journal

MOST_PENDING = 2000
MOST_MESSAGE = 16 * 1024
LEAST_STORED = logging.INFO
UNREADABLE = re.compile(r"[^\t\n\x20-\x7e\x80-\uffff\U00010000-\U0010ffff]|[\x80-\x9f\ud800-\udfff]")
"""Control characters, which could move the cursor of whoever reads, and halves of pairs."""

log = logging.getLogger("worker.job")
runner_log = logging.getLogger("worker.runner")


class LogBook:
    def __init__(self, journal: Journal, settings: Settings) -> None:
        self._journal = journal
        self._settings = settings
        self._redactor = Redactor.of(settings)
        self._pending: deque[tuple[float, Line]] = deque(maxlen=MOST_PENDING)
        self._dropped = 0

    def say(self, message: str, level: str = "info") -> None:
        """The supervisor's own words."""
        log.log(_number(level), "%s", message)
        self._note("worker", level, message)

    def hear(self, line: str) -> None:
        """One line of the runner: JSON of its own log, or whatever else came out of it."""
        level, message, name = _told(line)
        runner_log.log(_number(level), "%s", message, extra={"source": name} if name else None)
        self._note("runner", level, message)

    def write(self) -> None:
        """Under the fence; a disk without room loses lines rather than time."""
        lines = self._taken()
        if not lines:
            return
        most = {"most_lines": self._settings.job_log_lines, "most_bytes": self._settings.job_log_bytes}
        with suppress(StorageFull):
            claim = self._journal.claim
            self._journal.write(lambda session: joblogs.add(session, claim, lines, **most), patience_s=0)

    def _note(self, source: str, level: str, message: str) -> None:
        if _number(level) < LEAST_STORED:
            return
        text = UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", self._redactor.text(message))
        if len(text) > MOST_MESSAGE:
            text = f"{text[:MOST_MESSAGE]} ({len(text) - MOST_MESSAGE} characters more)"
        self._dropped += len(self._pending) == MOST_PENDING
        self._pending.append((time.monotonic(), Line(level, source, text)))

    def _taken(self) -> list[Line]:
        now = time.monotonic()
        lines = [line._replace(age_s=now - at) for at, line in self._pending]
        self._pending.clear()
        if self._dropped:
            lines.insert(0, Line("warning", "worker", f"{self._dropped} lines came too fast and are left out"))
            self._dropped = 0
        return lines


def _told(line: str) -> tuple[str, str, str]:
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        told = json.loads(line)
        if told["level"] in LEVELS:
            return str(told["level"]), str(told["message"]), str(told["logger"])
    return "warning", line, ""


def _number(level: str) -> int:
    number: int = getattr(logging, level.upper())
    return number
