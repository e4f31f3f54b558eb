"""One leader among all workers gives back lost jobs and repeats wake-up calls that nobody followed."""

import logging
import threading

from celery import Celery
from sqlalchemy import select
from sqlalchemy.orm import Session

from chaos_core.errors import DataError
from chaos_store import datasets, jobs, leaders
from chaos_store.broker import wake
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.states import Kind, State
from chaos_store.tables import Dataset, Job

from .journal import TROUBLE

LEADERSHIP = "reaper"
LEADERSHIP_PERIODS = 3
UNREAD = DataError("The reading of the file was cancelled.")

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
            jobs.mark_woken(session, [call.job_id for call in due])
            _reject_unread(session)
        for call in due:
            if self._stopping.is_set() or not wake(self._celery, call.job_id, call.kind):
                break
        return due

    def _loop(self) -> None:
        while not self._stopping.wait(self._settings.reap_s):
            try:
                self.round()
            except TROUBLE as error:
                log.warning("reaper: %s", error)


def _reject_unread(session: Session) -> None:
    """A dataset whose reading ended without success, by whatever road, is not `processing` any longer."""
    ended = Job.status.in_([State.failed.value, State.cancelled.value])
    unread = select(Dataset.id, Job.error).join(Job, Job.dataset_id == Dataset.id)
    for dataset_id, problem in session.execute(
        unread.where(Dataset.status == "processing", Job.kind == Kind.ingest.value, ended)
    ).all():
        datasets.reject(session, dataset_id, problem or UNREAD.problem())
