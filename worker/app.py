"""The worker process: Celery consumer, poller, warm runners and chores around one way to run a job."""

import logging
import os
import shutil
import socket
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
from celery.signals import setup_logging, worker_shutting_down

from chaos_store import jobs, logs, workers
from chaos_store.blobs import DatabaseBlobs
from chaos_store.broker import LIGHT_QUEUE, TRAIN_QUEUE, make_celery
from chaos_store.engine import Database, open_database
from chaos_store.settings import Settings

from . import tasks
from .collector import Collector
from .journal import TROUBLE, Journal
from .poller import Poller
from .presence import Presence
from .reaper import Reaper
from .sending.sender import Sender
from .slots import Slots
from .spare import Spares
from .supervisor import Supervisor

log = logging.getLogger(__name__)


PULSE_FILE = "worker.alive"


class Worker:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.name = f"{_prefix()}{os.getpid()}-{uuid4().hex[:8]}"
        self.database: Database = open_database(settings)
        self.celery = make_celery(settings)
        self.scratch = _scratch(settings.data_dir / "scratch")
        self.slots = Slots.of(settings)
        self.spares = Spares(self.scratch, training=self.slots.training > 0, light=self.slots.light > 0)
        self.stopping = threading.Event()
        self.poller = Poller(
            self.database,
            self.slots,
            self.spares,
            self.run_job,
            settings.poll_s,
            prepare=self._take_over,
            pulse=settings.data_dir / PULSE_FILE,
        )
        self.reaper = Reaper(self.database, make_celery(settings, role="sender"), settings, self.name)
        self.collector = Collector(self.database, settings, self.name)
        self.sender = Sender(self.database, settings)
        self.presence = Presence(self.database, settings, self.slots, self.name)
        tasks.bind(self.celery, self.run_job)

    def run_job(self, job_id: str, kind: str) -> None:
        """Drops the call where there is no free slot or nothing to claim: the row brings the job again."""
        if self.stopping.is_set() or not self.slots.take(kind):
            return
        try:
            with logs.binding(job_id=job_id):
                in_order = self._survive(job_id, kind)
        finally:
            self.slots.give_back(kind)
            self.sender.poke()
        if in_order:
            self.poller.poke()

    def _survive(self, job_id: str, kind: str) -> bool:
        """Whatever happens to one job, the worker goes on."""
        try:
            self._claim_and_run(job_id, kind)
        except TROUBLE as error:
            log.warning("%s", error)
        except Exception:
            log.exception("the attempt ended in disorder")
        else:
            return True
        return False

    def _claim_and_run(self, job_id: str, kind: str) -> None:
        with self.database.write.begin() as session:
            claim = jobs.claim(session, job_id, self.name, self.settings.lease_s)
        if claim is None:
            return
        self.sender.poke()
        facts = {"project_id": claim.project_id, "attempt": claim.attempt, "request_id": claim.request_id}
        with logs.binding(**facts):
            self._run(claim, kind)

    def _run(self, claim: jobs.Claim, kind: str) -> None:
        journal = Journal(self.database, claim, self.settings.lease_s)
        folder = self.scratch / f"{claim.job_id}-{claim.fence}"
        runner = self.spares.take(kind)
        self.poller.poke()
        try:
            Supervisor(journal, DatabaseBlobs(), self.settings, self.stopping, folder).run(runner)
        finally:
            self.spares.give_back(runner)

    def _take_over(self) -> None:
        """Jobs of dead workers of this host need not wait for the end of their leases."""
        with self.database.write.begin() as session:
            lost = jobs.abandon(session, _prefix(), self._may_live)
            workers.forget_dead(session, _prefix(), self._may_live)
        if lost:
            log.warning("taken back from dead workers: %s", ", ".join(lost))

    def _may_live(self, owner: str) -> bool:
        pid = owner.removeprefix(_prefix()).split("-")[0]
        if owner == self.name or owner.count("-") != self.name.count("-") or not pid.isdecimal():
            return True
        return int(pid) != os.getpid() and _runs(int(pid))

    def start(self) -> None:
        slots = f"{self.slots.training} trainings and {self.slots.light} light jobs at a time"
        log.info("%s takes %s", self.name, slots)
        self.spares.refresh()
        self.presence.start()
        self.reaper.start()
        self.collector.start()
        if self.settings.webhook_sender:
            self.sender.start()
        self.poller.start()

    def stop(self) -> None:
        self.stopping.set()
        self.poller.stop()
        self.reaper.stop()
        self.collector.stop()
        if self.settings.webhook_sender:
            self.sender.stop()
        self.presence.stop()
        self.spares.close()
        self.database.dispose()
        shutil.rmtree(self.scratch, ignore_errors=True)
        log.info("%s has stopped", self.name)

    def serve(self) -> None:
        """Blocks until SIGTERM; Celery's own handler then drains the pool, in which each job is put back."""

        def on_shutdown(**_: Any) -> None:
            self.stopping.set()

        def leave_logging_alone(**_: Any) -> None:
            """Celery sets it up where nobody listens to this signal."""

        worker_shutting_down.connect(on_shutdown, weak=False)
        setup_logging.connect(leave_logging_alone, weak=False)
        self.start()
        try:
            consumer = self.celery.Worker(
                pool="threads",
                queues=[TRAIN_QUEUE] * (self.slots.training > 0) + [LIGHT_QUEUE] * (self.slots.light > 0),
                concurrency=self.slots.training + self.slots.light,
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


def _prefix() -> str:
    return f"{socket.gethostname()}-"


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _scratch(root: Path) -> Path:
    """A folder for this process; those of dead processes are removed."""
    root.mkdir(parents=True, exist_ok=True)
    for folder in root.iterdir():
        if folder.name.isdecimal() and not _runs(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
    mine = root / str(os.getpid())
    shutil.rmtree(mine, ignore_errors=True)
    mine.mkdir(mode=0o700)
    return mine
