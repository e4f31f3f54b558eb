"""One leader among all workers gives back the room of what nobody needs any more."""

import logging
from itertools import takewhile

from chaos_store import gc, leaders
from chaos_store.engine import Database
from chaos_store.settings import Settings

from .rounds import Rounds

LEADERSHIP = "collector"

log = logging.getLogger(__name__)


class Collector(Rounds):
    def __init__(self, database: Database, settings: Settings, owner: str) -> None:
        super().__init__("collector", settings.gc_s, pause_first=True)
        self._database = database
        self._settings = settings
        self._owner = owner

    def round(self) -> gc.Collected | None:
        """One collection in each period, by whoever comes first; two at once would be slower but do no harm."""
        with self._database.write.begin() as session:
            if not leaders.lead(session, LEADERSHIP, self._owner, self._settings.gc_s):
                return None
        kept = {"grace_s": self._settings.gc_grace_s, "deliveries_s": self._settings.webhook_keep_s}
        steps = gc.steps(self._database, **kept)
        collected = gc.total(takewhile(lambda _: not self._stopping.is_set(), steps))
        if any(collected):
            log.info("collected: %s", collected)
        return collected
