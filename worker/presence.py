"""Tells the database every few seconds that this worker is there, and what it has."""

import logging
import os
import socket
import threading

from sqlalchemy.exc import SQLAlchemyError

from chaos_store import workers
from chaos_store.engine import Database
from chaos_store.settings import Settings

from .machine import machine, versions
from .slots import Slots

log = logging.getLogger(__name__)


class Presence:
    def __init__(self, database: Database, settings: Settings, slots: Slots, name: str) -> None:
        self._database = database
        self._period_s = settings.heartbeat_s
        self._name = name
        self._facts = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "kinds": settings.worker_kinds,
            "training_slots": slots.training,
            "light_slots": slots.light,
        }
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="presence", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Takes the row away, where the database allows it; else it is buried later."""
        self._stopping.set()
        self._thread.join()
        try:
            with self._database.write.begin() as session:
                workers.forget(session, self._name)
        except SQLAlchemyError as error:
            log.warning("presence: %s", error)

    def renew(self) -> None:
        with self._database.write.begin() as session:
            workers.renew(session, self._name, **self._facts)

    def _loop(self) -> None:
        self._facts |= {"machine": machine(), "versions": versions()}
        while True:
            try:
                self.renew()
            except SQLAlchemyError as error:
                log.warning("presence: %s", error)
            if self._stopping.wait(self._period_s):
                return
