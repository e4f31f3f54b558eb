"""The worker process: Celery consumer, poller, reaper and warm spare around one way to run a job."""

import logging
import os
import shutil
import socket
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
from celery.signals import worker_shutting_down

from chaos_store import jobs
from chaos_store.blobs import DatabaseBlobs
from chaos_store.broker import LIGHT_QUEUE, TRAIN_QUEUE, make_celery
from chaos_store.engine import Database, open_database
from chaos_store.settings import Settings

from . import tasks
from .journal import TROUBLE, Journal
from .poller import Poller
from .reaper import Reaper
from .slots import LIGHT_SLOTS, Slots
from .spare import Spares
from .supervisor import Supervisor

log = logging.getLogger(__name__)


class Worker:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self.database: Database = open_database(settings)
        self.celery = make_celery(settings)
        self.scratch = _scratch(settings.data_dir / "scratch")
        self.slots = Slots(settings.worker_slots)
        self.spares = Spares(self.scratch)
        self.stopping = threading.Event()
        self.poller = Poller(self.database, self.slots, self.spares, self.run_job, settings.poll_s)
        self.reaper = Reaper(self.database, make_celery(settings, role="sender"), settings, self.name)
        tasks.bind(self.celery, self.run_job)

    def run_job(self, job_id: str, kind: str) -> None:
        """Drops the call where there is no free slot or nothing to claim: the row brings the job again."""
        if self.stopping.is_set() or not self.slots.take(kind):
            return
        try:
            self._claim_and_run(job_id)
        except TROUBLE as error:
            log.warning("%s: %s", job_id, error)
        finally:
            self.slots.give_back(kind)
            self.poller.poke()

    def _claim_and_run(self, job_id: str) -> None:
        with self.database.write.begin() as session:
            claim = jobs.claim(session, job_id, self.name, self.settings.lease_s)
        if claim is None:
            return
        log.info("%s: attempt %d of a %s job", job_id, claim.attempt, claim.kind)
        journal = Journal(self.database, claim, self.settings.lease_s)
        folder = self.scratch / f"{job_id}-{claim.fence}"
        folder.mkdir(mode=0o700)
        runner = self.spares.take()
        self.poller.poke()
        Supervisor(journal, DatabaseBlobs(), self.settings, self.stopping, folder).run(runner)

    def start(self) -> None:
        self.spares.refresh()
        self.reaper.start()
        self.poller.start()

    def stop(self) -> None:
        self.stopping.set()
        self.poller.stop()
        self.reaper.stop()
        self.spares.close()
        self.database.dispose()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def serve(self) -> None:
        """Blocks until SIGTERM; Celery's own handler then drains the pool, in which each job is put back."""

        def on_shutdown(**_: Any) -> None:
            self.stopping.set()

        worker_shutting_down.connect(on_shutdown, weak=False)
        self.start()
        try:
            consumer = self.celery.Worker(
                pool="threads",
                queues=[TRAIN_QUEUE, LIGHT_QUEUE],
                concurrency=self.settings.worker_slots + LIGHT_SLOTS,
                hostname=f"chaos@{self.name}",
                without_gossip=True,
                without_mingle=True,
                without_heartbeat=True,
                loglevel="WARNING",
                quiet=True,
            )
            consumer.start()
        finally:
            self.stop()


def _scratch(root: Path) -> Path:
    """A folder for this process; those of dead processes are removed."""
    root.mkdir(parents=True, exist_ok=True)
    for folder in root.iterdir():
        if folder.name.isdecimal() and not psutil.pid_exists(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
    mine = root / str(os.getpid())
    shutil.rmtree(mine, ignore_errors=True)
    mine.mkdir(mode=0o700)
    return mine
