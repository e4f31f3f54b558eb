"""One leader among all workers gives back lost jobs and repeats wake-up calls that nobody followed."""

import logging
import threading

from celery import Celery
from sqlalchemy.exc import SQLAlchemyError

from chaos_store import jobs, leaders, workers
from chaos_store.broker import wake
from chaos_store.engine import Database
from chaos_store.settings import Settings

LEADERSHIP = "reaper"
LEADERSHIP_PERIODS = 3

log = logging.getLogger(__name__)


class Reaper:
    def __init__(self, database: Database, celery: Celery, settings: Settings, owner: str) -> None:
        self._database = database
        self._celery = celery
        self._settings = settings
        self._owner = owner
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="reaper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def round(self) -> list[jobs.Wake]:
        """One look; the calls are published after the transaction, since the row alone is the truth."""
        period_s, rewake_s = self._settings.reap_s, self._settings.rewake_s
        with self._database.write.begin() as session:
            if not leaders.lead(session, LEADERSHIP, self._owner, LEADERSHIP_PERIODS * period_s):
                return []
            due = jobs.reap(session, rewake_s=rewake_s)
            workers.bury(session, workers.FORGOTTEN_AFTER_LEASES * self._settings.lease_s)
            jobs.mark_woken(session, [call.job_id for call in due])
        for call in due:
            if self._stopping.is_set() or not wake(self._celery, call.job_id, call.kind):
                break
        return due

    def _loop(self) -> None:
        while not self._stopping.wait(self._settings.reap_s):
            try:
                self.round()
            except SQLAlchemyError as error:
                log.warning("reaper: %s", error)
