"""A thread that goes round: every so often, and at once where it is poked."""

import logging
import threading
from abc import ABC, abstractmethod

from sqlalchemy.exc import SQLAlchemyError

from chaos_store.errors import StoreError

log = logging.getLogger(__name__)


class Rounds(ABC):
    """Trouble with the database or with files is logged, and the next round tries again."""

    def __init__(self, name: str, period_s: float, *, pause_first: bool = False) -> None:
        self._period_s = period_s
        self._pause_first = pause_first
        self._poked = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._go_round, name=name, daemon=True)

    @abstractmethod
    def round(self) -> object: ...

    def start(self) -> None:
        self._thread.start()

    def poke(self) -> None:
        """There may be something to do: look at once."""
        self._poked.set()

    def stop(self) -> None:
        self._stopping.set()
        self._poked.set()
        self._thread.join()

    def _go_round(self) -> None:
        if self._pause_first:
            self._pause()
        while not self._stopping.is_set():
            try:
                self.round()
            except (SQLAlchemyError, StoreError, OSError) as error:
                log.warning("%s: %s", self._thread.name, error)
            self._pause()

    def _pause(self) -> None:
        self._poked.wait(self._period_s)
        self._poked.clear()
