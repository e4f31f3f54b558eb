"""Asks the database for due jobs: the way to work without a broker, and the safety net beside one."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from chaos_store import jobs
from chaos_store.engine import Database

from .slots import Slots
from .spare import Spares

log = logging.getLogger(__name__)


class Poller:
    """`prepare` is done once before the first look, again and again until the database allows it; `pulse` is a file
    whose age tells others that this worker goes round."""

    def __init__(
        self,
        database: Database,
        slots: Slots,
        spares: Spares,
        run_job: Callable[[str, str], None],
        period_s: float,
        *,
        prepare: Callable[[], object] | None = None,
        pulse: Path | None = None,
    ) -> None:
        self._database = database
        self._slots = slots
        self._spares = spares
        self._run_job = run_job
        self._period_s = period_s
        self._prepare = prepare
        self._pulse = pulse
        self._poked = threading.Event()
        self._stopping = threading.Event()
        self._running: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._loop, name="poller", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def poke(self) -> None:
        """A slot is free: look at once."""
        self._poked.set()

    def stop(self) -> None:
        self._stopping.set()
        self._poked.set()
        self._thread.join()
        for thread in self._running:
            thread.join()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                self._round()
            except (SQLAlchemyError, OSError) as error:
                log.warning("poller: %s", error)
            self._poked.wait(self._period_s)
            self._poked.clear()

    def _round(self) -> None:
        with suppress(OSError):
            if self._pulse is not None:
                self._pulse.touch()
        self._spares.refresh()
        if self._prepare is not None:
            self._prepare()
            self._prepare = None
        self._look()

    def _look(self) -> None:
        self._running = [thread for thread in self._running if thread.is_alive()]
        for kinds in self._slots.open_kinds():
            with self._database.read() as session:
                due = session.execute(jobs.claimable(1, kinds=kinds)).all()
            for job_id, kind in due:
                thread = threading.Thread(target=self._run_job, args=(job_id, kind), name=job_id)
                thread.start()
                self._running.append(thread)
