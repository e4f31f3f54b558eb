"""Everything a supervisor writes: under the fence, again after trouble with the database, until the lease is over."""

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from chaos_store import capacity, jobs
from chaos_store.blobs import CHUNK_BYTES, BlobRef, BlobStore
from chaos_store.engine import Database
from chaos_store.errors import LeaseLost, StorageFull
from chaos_store.jobs import Claim

Outcome = TypeVar("Outcome")

RETRY_S = (0.05, 0.5)
FULL_RETRY_S = (0.5, 2.0)
FULL_PATIENCE_S = 300.0
TROUBLE = (OperationalError, InterfaceError, PoolTimeout)

log = logging.getLogger(__name__)


class Journal:
    def __init__(self, database: Database, claim: Claim, lease_s: float) -> None:
        self.claim = claim
        self._database = database
        self._lease_s = lease_s
        self._held_until = time.monotonic() + lease_s

    def store(self, blobs: BlobStore, path: Path, patience_s: float = FULL_PATIENCE_S) -> BlobRef:
        """In short transactions; the lease is renewed between them."""
        return self._insist(lambda: blobs.store(self._database, self._pieces(path)), patience_s)

    def fetch(self, blobs: BlobStore, sha256: str, path: Path) -> None:
        def act(session: Session) -> None:
            with path.open("wb") as out:
                for piece in blobs.read(session, sha256):
                    out.write(piece)
                    self._keep_alive()

        self.read(act)

    def write(self, act: Callable[[Session], Outcome], patience_s: float = FULL_PATIENCE_S) -> Outcome:
        return self._insist(lambda: self._once(act), patience_s)

    def read(self, act: Callable[[Session], Outcome]) -> Outcome:
        return self._insist(lambda: self._look(act))

    def heartbeat(self) -> str:
        asked_at = time.monotonic()
        status = self.write(lambda session: jobs.heartbeat(session, self.claim, self._lease_s))
        self._held_until = asked_at + self._lease_s
        return status

    def _pieces(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as content:
            while piece := content.read(CHUNK_BYTES):
                self._keep_alive()
                yield piece

    def _keep_alive(self) -> None:
        if time.monotonic() > self._held_until - self._lease_s / 2:
            self.heartbeat()

    def _once(self, act: Callable[[Session], Outcome]) -> Outcome:
        with self._database.write.begin() as session:
            return act(session)

    def _look(self, act: Callable[[Session], Outcome]) -> Outcome:
        with self._database.read() as session:
            return act(session)

    def _insist(self, act: Callable[[], Outcome], patience_s: float = FULL_PATIENCE_S) -> Outcome:
        """A database that is away is waited for as long as the lease lasts, a full disk for `patience_s` at most."""
        asked_at = time.monotonic()
        while True:
            try:
                return act()
            except (*TROUBLE, OSError) as error:
                self._wait(error, asked_at + patience_s)

    def _wait(self, error: Exception, patient_until: float) -> None:
        full = capacity.is_full(error)
        if not (full or isinstance(error, TROUBLE)):
            raise error
        if full and time.monotonic() >= patient_until:
            raise StorageFull(f"No room for what the job made: {error}") from error
        if time.monotonic() > self._held_until:
            job_id, fence = self.claim.job_id, self.claim.fence
            raise LeaseLost(f"No database for {self._lease_s:g} s.", job_id=job_id, fence=fence) from error
        log.warning("trying again: %s", error)
        time.sleep(random.uniform(*(FULL_RETRY_S if full else RETRY_S)))
        if full:
            self._try_to_hold()

    def _try_to_hold(self) -> None:
        """While the disk is full the lease is kept as long as there is room for that."""
        asked_at = time.monotonic()
        with suppress(*TROUBLE):
            self._once(lambda session: jobs.heartbeat(session, self.claim, self._lease_s))
            self._held_until = asked_at + self._lease_s
