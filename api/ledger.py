"""Who used which key and what they changed: noted in memory, written by a thread off the path of the requests."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy.exc import SQLAlchemyError

from chaos_core.errors import ChaosError
from chaos_store import audit, keys, usage
from chaos_store.engine import Database

from .errors import Unauthorized

PERIOD_S = 1.0
USES_S = 60.0
FORGET_S = 3600.0
MOST_WAITING = 10_000
STRANGERS = RateLimitItemPerMinute(100)
"""Lines for requests without a key that is valid: anybody can send these."""
ROWS_AT_ONCE = 500

log = logging.getLogger("api")


class Noted(NamedTuple):
    at: float
    entry: audit.Entry


class Ledger:
    """Each second the audit events, each minute the keys used and the number of requests."""

    def __init__(self, database: Database, audit_s: float) -> None:
        self.dropped = 0
        self.left_out = 0
        self._strangers = FixedWindowRateLimiter(MemoryStorage())
        self._database = database
        self._audit_s = audit_s
        self._noted: deque[Noted] = deque()
        self._keys: set[str] = set()
        self._requests: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._writing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="ledger", daemon=True)

    def use(self, project_id: str, key_id: str) -> None:
        with self._counting:
            self._keys.add(key_id)
            self._requests[project_id] += 1

    def note(self, entry: audit.Entry) -> None:
        """The newest is dropped where so many wait that the database must be away."""
        if entry["code"] == Unauthorized.code and not self._strangers.hit(STRANGERS):
            self.left_out += 1
            return
        if len(self._noted) >= MOST_WAITING:
            self.dropped += 1
            return
        self._noted.append(Noted(time.monotonic(), entry))

    def pending(self, project_id: str) -> int:
        """Requests that are not written yet."""
        return self._requests[project_id]

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Writes what is left, once."""
        self._stopping.set()
        self._thread.join()
        self._try(self.flush)

    def flush(self) -> None:
        """Writes all that was noted."""
        self._write_events()
        self._write_uses()

    def _loop(self) -> None:
        uses_due, forget_due = time.monotonic() + USES_S, time.monotonic() + FORGET_S
        while not self._stopping.wait(PERIOD_S):
            if self._noted or self.left_out:
                self._try(self._write_events)
            if time.monotonic() >= uses_due:
                uses_due = time.monotonic() + USES_S
                self._try(self._write_uses)
            if time.monotonic() >= forget_due:
                forget_due = time.monotonic() + FORGET_S
                self._try(self._forget)

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except (SQLAlchemyError, ChaosError, OSError) as error:
            log.warning("the audit log waits to be written: %s", error)

    def _write_events(self) -> None:
        with self._writing:
            if self.dropped:
                log.error("%d events of the audit log were dropped: the database did not take them", self.dropped)
                self.dropped = 0
            if self.left_out:
                log.warning("%d refusals of keys that are not valid were left out of the audit log", self.left_out)
                self.left_out = 0
            while self._noted:
                rows = [self._noted[index] for index in range(min(len(self._noted), ROWS_AT_ONCE))]
                entries = [noted.entry for noted in rows]
                for noted in rows:
                    noted.entry["age_s"] = time.monotonic() - noted.at
                with self._database.write.begin() as session:
                    audit.add(session, entries)
                for _ in rows:
                    self._noted.popleft()

    def _write_uses(self) -> None:
        """A project at a time: no more than one of its rows is ever locked."""
        with self._writing:
            for project_id in list(self._requests):
                self._charge(project_id)
            with self._counting:
                used, self._keys = self._keys, set()
            if used:
                with self._database.write.begin() as session:
                    keys.touch(session, used)

    def _charge(self, project_id: str) -> None:
        count = self._requests[project_id]
        with self._database.write.begin() as session:
            usage.charge(session, project_id, requests=count)
        with self._counting:
            self._requests[project_id] -= count
            if not self._requests[project_id]:
                del self._requests[project_id]

    def _forget(self) -> None:
        with self._database.write.begin() as session:
            audit.forget(session, self._audit_s)
