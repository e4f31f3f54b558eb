"""One leader among all workers gives back the room of what nobody needs any more."""

import logging
import threading
from itertools import takewhile

from sqlalchemy.exc import SQLAlchemyError

from chaos_store import gc, leaders
from chaos_store.engine import Database
from chaos_store.errors import StoreError
from chaos_store.settings import Settings

LEADERSHIP = "collector"

log = logging.getLogger(__name__)


class Collector:
    def __init__(self, database: Database, settings: Settings, owner: str) -> None:
        self._database = database
        self._settings = settings
        self._owner = owner
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="collector", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def round(self) -> gc.Collected | None:
        """One collection in each period, by whoever comes first; two at once would be slower but do no harm."""
        with self._database.write.begin() as session:
            if not leaders.lead(session, LEADERSHIP, self._owner, self._settings.gc_s):
                return None
        kept = {"grace_s": self._settings.gc_grace_s, "deliveries_s": self._settings.webhook_keep_s}
        steps = gc.steps(self._database, **kept)
        return gc.total(takewhile(lambda _: not self._stopping.is_set(), steps))

    def _loop(self) -> None:
        while not self._stopping.wait(self._settings.gc_s):
            try:
                collected = self.round()
            except (SQLAlchemyError, StoreError) as error:
                log.warning("collector: %s", error)
            else:
                if collected is not None and any(collected):
                    log.info("collected: %s", collected)
