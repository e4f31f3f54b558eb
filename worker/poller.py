"""Asks the database for due jobs: the way to work without a broker, and the safety net beside one."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chaos_store import jobs
from chaos_store.engine import Database

from .rounds import Rounds
from .slots import Slots
from .spare import Spares


class Poller(Rounds):
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
        super().__init__("poller", period_s)
        self._database = database
        self._slots = slots
        self._spares = spares
        self._run_job = run_job
        self._prepare = prepare
        self._pulse = pulse
        self._running: list[threading.Thread] = []

    def stop(self) -> None:
        super().stop()
        for thread in self._running:
            thread.join()

    def round(self) -> None:
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
