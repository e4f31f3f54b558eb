"""Tells the database every few seconds that this worker is there, and what it has."""

import logging
import os
import socket
from functools import cached_property
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from chaos_store import workers
from chaos_store.engine import Database
from chaos_store.settings import Settings

from .machine import machine, versions
from .rounds import Rounds
from .slots import Slots

log = logging.getLogger(__name__)


class Presence(Rounds):
    def __init__(self, database: Database, settings: Settings, slots: Slots, name: str) -> None:
        super().__init__("presence", settings.heartbeat_s)
        self._database = database
        self._kinds = settings.worker_kinds
        self._slots = slots
        self._name = name

    def stop(self) -> None:
        """Takes the row away, where the database allows it; else it is buried later."""
        super().stop()
        try:
            with self._database.write.begin() as session:
                workers.forget(session, self._name)
        except SQLAlchemyError as error:
            log.warning("presence: %s", error)

    def round(self) -> None:
        """What the machine has is found out before the transaction begins."""
        facts = self._facts
        with self._database.write.begin() as session:
            workers.renew(session, self._name, **facts)

    @cached_property
    def _facts(self) -> dict[str, Any]:
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "kinds": self._kinds,
            "training_slots": self._slots.training,
            "light_slots": self._slots.light,
            "machine": machine(),
            "versions": versions(),
        }
