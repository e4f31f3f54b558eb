"""One leader among all workers gives back lost jobs and repeats wake-up calls that nobody followed."""

from celery import Celery

from chaos_store import jobs, leaders, workers
from chaos_store.broker import wake
from chaos_store.engine import Database
from chaos_store.settings import Settings

from .rounds import Rounds

LEADERSHIP = "reaper"
LEADERSHIP_PERIODS = 3


class Reaper(Rounds):
    def __init__(self, database: Database, celery: Celery, settings: Settings, owner: str) -> None:
        super().__init__("reaper", settings.reap_s, pause_first=True)
        self._database = database
        self._celery = celery
        self._settings = settings
        self._owner = owner

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
