"""Sends what is due to webhooks: several at a time, and never more than a few to one receiver."""

import logging
import random
import threading
import time
from pathlib import Path

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chaos_store import deliveries
from chaos_store.deliveries import Claim, Outcome, Places, Schedule
from chaos_store.engine import Database
from chaos_store.settings import Settings

from ..rounds import Rounds
from .attempt import Rules, attempt

TROUBLE = (OperationalError, InterfaceError, PoolTimeout)
SPARE_S = 15.0
"""A lease is longer than the longest attempt by so much, for writing down what became of it."""
STOP_GRACE_S = 3.0
RETRY_S = (0.1, 1.0)

log = logging.getLogger(__name__)


class Sender(Rounds):
    def __init__(self, database: Database, settings: Settings, *, pulse: Path | None = None) -> None:
        """`pulse` is a file whose age tells others that this sender goes round."""
        super().__init__("sender", settings.webhook_poll_s)
        self._database = database
        self._rules = Rules.of(settings)
        most = settings.webhook_parallel
        self._places = Places(most, settings.webhook_parallel_each, max(1, most * 3 // 4))
        self._schedule = Schedule(settings.webhook_retries_s, settings.webhook_give_up_s)
        self._lease_s = settings.webhook_timeout_s + SPARE_S
        self._pulse = pulse
        self._held: dict[str, tuple[Claim, threading.Thread]] = {}
        self._lock = threading.Lock()
        self._interrupted = threading.Event()

    def stop(self) -> None:
        """What is under way has a few seconds to end in order; the rest is put back."""
        super().stop()
        patient_until = time.monotonic() + STOP_GRACE_S
        for _, thread in self._in_hand():
            thread.join(max(0.0, patient_until - time.monotonic()))
        self._interrupted.set()
        for _, thread in self._in_hand():
            thread.join(STOP_GRACE_S)

    def round(self) -> int:
        """Begins as many attempts as are due and have a place; how many."""
        if self._pulse is not None:
            self._pulse.touch()
        held = [claim for claim, _ in self._in_hand()]
        if len(held) >= self._places.total:
            return 0
        with self._database.read() as session:
            if session.scalar(deliveries.due(self._places, held)) is None:
                return 0
        with self._database.write.begin() as session:
            claims = deliveries.claim(session, self._places, held, self._lease_s)
        for claim in claims:
            thread = threading.Thread(target=self._send, args=(claim,), name=claim.delivery_id, daemon=True)
            with self._lock:
                self._held[claim.delivery_id] = claim, thread
            thread.start()
        if claims:
            self.poke()
        return len(claims)

    def _in_hand(self) -> list[tuple[Claim, threading.Thread]]:
        with self._lock:
            return list(self._held.values())

    def _send(self, claim: Claim) -> None:
        begun = time.monotonic()
        try:
            self._conclude(claim, self._attempt(claim), begun + self._lease_s)
        except Exception:
            log.exception("%s: what became of it could not be written down", claim.delivery_id)
        finally:
            with self._lock:
                del self._held[claim.delivery_id]
            self.poke()

    def _attempt(self, claim: Claim) -> Outcome:
        begun = time.monotonic()
        try:
            return attempt(claim, self._rules, self._interrupted)
        except Exception:
            log.exception("%s: the attempt ended in disorder", claim.delivery_id)
            return Outcome(time.monotonic() - begun, reason="sender_error")

    def _conclude(self, claim: Claim, outcome: Outcome, held_until: float) -> None:
        """A database that is away is waited for as long as the lease lasts; then the delivery is repeated."""
        log.info(
            "%s: attempt %d for %s: %s", claim.delivery_id, claim.attempt, claim.webhook_id,
            outcome.reason or outcome.status_code,
        )  # fmt: skip
        while True:
            try:
                with self._database.write.begin() as session:
                    deliveries.conclude(session, claim, outcome, self._schedule)
            except TROUBLE as error:
                if time.monotonic() > held_until or self._interrupted.is_set():
                    raise
                log.warning("%s: trying again: %s", claim.delivery_id, error)
                time.sleep(random.uniform(*RETRY_S))
            else:
                return
