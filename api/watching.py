"""One look at the database for everybody who waits, at most four times a second; none where nobody waits."""

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Row

from chaos_store import watching
from chaos_store.engine import AsyncDatabase
from chaos_store.errors import NotFound
from chaos_store.states import FINISHED
from chaos_store.tables import Job, JobEvent

from .answering import answering
from .schemas.jobs import EventOut, JobOut

PERIOD_S = 0.25
"""From the end of a look to the next: never more than four a second."""
TROUBLED_S = 1.0
MOST_JOBS = 5000
ROWS_AT_ONCE = 500
EVENTS_KEPT = 1000

log = logging.getLogger("api")

News = Row[str, Job | None, str | None, JobEvent | None]


def frame(event: JobEvent) -> tuple[int, bytes]:
    """The event as server-sent text, with its number."""
    data = EventOut.of(event).model_dump_json()
    return event.seq, f"id: {event.seq}\nevent: {event.type}\ndata: {data}\n\n".encode()


@dataclass
class Watched:
    """A job that somebody waits for, as of the look that began at `looked_at`.

    `frames` are its events after `floor`, which is None where nobody asked for events; `complete`: there are no more.
    """

    job_id: str
    listeners: int = 0
    newcomers: bool = False
    looked_at: float = -math.inf
    error: Exception | None = None
    job: Job | None = None
    trajectory_id: str | None = None
    floor: int | None = None
    frames: deque[tuple[int, bytes]] = field(default_factory=deque)
    complete: bool = False
    trimmed: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _shown: JobOut | None = None

    @property
    def finished(self) -> bool:
        return self.job is None or self.job.status in FINISHED

    def shown(self) -> JobOut:
        """Made once for all who wait."""
        assert self.job is not None
        self._shown = self._shown or JobOut.of(self.job, self.trajectory_id)
        return self._shown

    def follow(self, after: int) -> None:
        """Events after that number are wanted."""
        if self.floor is None or (after < self.floor and not self.trimmed):
            self.floor, self.complete = after, False
            self.frames.clear()

    def known(self) -> watching.Known:
        version = -1 if self.job is None else self.job.version
        return watching.Known(version, watching.NO_EVENTS if self.floor is None else self.last_seq())

    def last_seq(self) -> int:
        return self.frames[-1][0] if self.frames else self.floor or 0

    def learn(self, rows: Sequence[News], asked: watching.Known, looked_at: float, *, cut: bool) -> None:
        if cut and not rows:
            return
        self.looked_at, self.error = looked_at, None
        if rows:
            _, self.job, self.trajectory_id, _ = rows[-1]
            self._shown = None
        if self.floor is not None and asked.seq == self.last_seq():
            self._keep([event for _, _, _, event in rows if event is not None])
            self.complete = not cut
        if rows or self.newcomers:
            self.wake()

    def fail(self, error: Exception, looked_at: float) -> None:
        self.looked_at, self.error = looked_at, error
        self.wake()

    def wake(self) -> None:
        self.newcomers = False
        self.changed.set()
        self.changed = asyncio.Event()

    def _keep(self, events: Sequence[JobEvent]) -> None:
        self.frames.extend(map(frame, events))
        while len(self.frames) > EVENTS_KEPT:
            self.floor, self.trimmed = self.frames.popleft()[0], True


class Watch:
    def __init__(self, database: AsyncDatabase, stopping: threading.Event) -> None:
        self.stopping = stopping
        self._database = database
        self._watched: dict[str, Watched] = {}
        self._task: asyncio.Task[None] | None = None
        self._due = -math.inf

    @contextmanager
    def listening(self, job_id: str) -> Iterator[Watched]:
        """The job is looked at for as long as somebody listens."""
        one = self._watched.setdefault(job_id, Watched(job_id))
        one.listeners += 1
        if self._task is None:
            self._task = asyncio.create_task(self._go_round())
        try:
            yield one
        finally:
            one.listeners -= 1
            if not one.listeners:
                del self._watched[job_id]

    def listeners(self) -> int:
        return sum(one.listeners for one in self._watched.values())

    async def finished(self, project_id: str, job_id: str, seconds: float) -> JobOut:
        """The job when it has finished or the time is over; by a look that began after this call."""
        with self.listening(job_id) as one:
            return await self.seen(one, project_id, seconds)

    async def seen(self, one: Watched, project_id: str, seconds: float = 0.0) -> JobOut:
        asked_at = time.monotonic()
        until = asked_at + seconds
        while True:
            fresh = one.looked_at >= asked_at
            one.newcomers = one.newcomers or not fresh
            if fresh:
                if one.error is not None:
                    raise one.error
                if one.job is None or one.job.project_id != project_id:
                    raise NotFound(f"There is no job {one.job_id}.", kind="job", id=one.job_id)
                if one.finished or time.monotonic() >= until or self.stopping.is_set():
                    return one.shown()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, until - time.monotonic()) if fresh else None):
                    await one.changed.wait()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _go_round(self) -> None:
        try:
            while self._watched:
                await asyncio.sleep(max(0.0, self._due - time.monotonic()))
                if self._watched:
                    await self._look()
        finally:
            self._task = None

    async def _look(self) -> None:
        began = time.monotonic()
        asked = sorted(self._watched.values(), key=lambda one: one.looked_at)[:MOST_JOBS]
        known = {one.job_id: one.known() for one in asked}
        pause_s = PERIOD_S
        try:
            self._tell(asked, known, await self._read(known), began)
        except Exception as error:
            log.warning("nothing is known of %d jobs that are waited for: %s", len(asked), error)
            pause_s = TROUBLED_S
            for one in asked:
                one.fail(error, began)
        self._due = time.monotonic() + pause_s

    def _tell(
        self, asked: Sequence[Watched], known: dict[str, watching.Known], rows: Sequence[News], began: float
    ) -> None:
        found = {job_id: list(own) for job_id, own in groupby(sorted(rows, key=_job_id), key=_job_id)}
        for one in asked:
            one.learn(found.get(one.job_id, []), known[one.job_id], began, cut=len(rows) == ROWS_AT_ONCE)
            if self.stopping.is_set():
                one.wake()

    async def _read(self, known: dict[str, watching.Known]) -> Sequence[News]:
        with answering():
            async with self._database.read() as session:
                found: Sequence[News] = (await session.execute(watching.news(known, ROWS_AT_ONCE))).all()
                return found


def _job_id(row: Row[Any, Any, Any, Any]) -> str:
    return str(row[0])
