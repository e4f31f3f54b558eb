"""What the database tells of the whole service, as metrics: asked at most once in a while, however many scrape."""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from chaos_store import census
from chaos_store.census import Census, Happened
from chaos_store.deliveries import WAITING
from chaos_store.engine import AsyncDatabase
from chaos_store.settings import Settings
from chaos_store.states import FINISHED, Event, Kind

from .answering import answering
from .bounded import Bounded

TIMEOUT_S = 4.0
ROWS_AT_ONCE = 2000
SETTLED_S = 60.0
DURATIONS_S = (1.0, 3.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 10800.0, 43200.0)
LOST = (Event.lose_lease, Event.exhaust)
EVENTS = {event.value for event in Event} | {"create"}

log = logging.getLogger("api")


class Chronicle:
    """Counts events of jobs from the start of this process on, each once.

    A number may be committed after a higher one: so for a minute what came lately is read again.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter("chaos_job_events", "Changes of the state of jobs", ("kind", "event"), registry=registry)
        self._seconds = Histogram(
            "chaos_job_seconds",
            "Seconds from the first start of a job to its end, waits and pauses between attempts included",
            ("kind", "end"),
            buckets=DURATIONS_S,
            registry=registry,
        )
        self._deaths = Counter("chaos_runner_deaths", "Runners that died", ("kind",), registry=registry)
        self._leases = Counter(
            "chaos_leases_lost", "Jobs taken from workers that fell silent", ("kind",), registry=registry
        )
        self._floor: int | None = None
        self._marks: deque[tuple[float, int]] = deque()
        self._counted: set[int] = set()
        self._died: set[str] = set()

    def read(self, session: Session) -> list[Happened]:
        """What was not counted yet."""
        if self._floor is None:
            self._floor = session.scalar(census.newest_event()) or 0
        found: list[Happened] = []
        after = self._floor
        while True:
            rows = census.happened(session, after, ROWS_AT_ONCE)
            found += [row for row in rows if row.seq not in self._counted]
            if len(rows) < ROWS_AT_ONCE:
                return found
            after = rows[-1].seq

    def count(self, found: list[Happened]) -> None:
        for row in found:
            self._counted.add(row.seq)
            self._count(row)
        self._settle(max((row.seq for row in found), default=0))

    def _count(self, row: Happened) -> None:
        if row.type == "runner_died":
            self._deaths.labels(row.kind).inc()
            self._died.add(row.job_id)
            return
        event = row.event if row.event in EVENTS else "other"
        self._events.labels(row.kind, event).inc()
        if row.event in LOST:
            if row.job_id not in self._died:
                self._leases.labels(row.kind).inc()
            self._died.discard(row.job_id)
        if row.status in FINISHED and row.seconds is not None:
            self._seconds.labels(row.kind, row.status).observe(row.seconds)

    def _settle(self, newest: int) -> None:
        now = time.monotonic()
        self._marks.append((now, max(newest, self._marks[-1][1] if self._marks else self._floor or 0)))
        while self._marks and self._marks[0][0] < now - SETTLED_S:
            self._floor = self._marks.popleft()[1]
        floor = self._floor or 0
        self._counted = {seq for seq in self._counted if seq > floor}


class Pace:
    """Updates per second of trainings, from one look to the next; of a new one, since its first update."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}
        self._at = 0.0

    def of(self, found: Census) -> float:
        total, elapsed = 0.0, found.at - self._at
        for job_id, update, age_s in found.trainings:
            if job_id in self._before and elapsed > 0:
                total += max(0, update - self._before[job_id]) / elapsed
            elif age_s:
                total += update / age_s
        self._before, self._at = {one.job_id: one.update for one in found.trainings}, found.at
        return total


class Tally(Collector):
    def __init__(self, database: AsyncDatabase, settings: Settings, registry: CollectorRegistry) -> None:
        self._database = database
        self._period_s = settings.metrics_s
        self._silent_s = settings.lease_s
        self._chronicle = Chronicle(registry)
        self._pace = Pace()
        self._looking = Bounded(self._look, TIMEOUT_S)
        self._due = 0.0
        self._found: Census | None = None
        self._read_at = 0.0
        self._steps_per_second = 0.0
        registry.register(self)

    async def refresh(self) -> None:
        """Leaves the numbers of the database out where it does not answer."""
        if time.monotonic() < self._due:
            return
        try:
            await self._looking.ask()
        except Exception as error:
            log.warning("no numbers from the database: %s", error or type(error).__name__)
            self._found = None
            self._due = time.monotonic() + self._period_s

    async def close(self) -> None:
        await self._looking.close()

    async def _look(self) -> None:
        with answering():
            async with self._database.read() as session:
                happened = await session.run_sync(self._chronicle.read)
                found = await session.run_sync(census.take, self._silent_s)
        self._chronicle.count(happened)
        self._steps_per_second = self._pace.of(found)
        self._found, self._read_at = found, time.monotonic()
        self._due = self._read_at + self._period_s

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("chaos_database_up", "Whether the database answered", int(self._found is not None))
        if (found := self._found) is None:
            return
        age_s = time.monotonic() - self._read_at
        yield GaugeMetricFamily("chaos_census_age_seconds", "Age of what was read from the database", age_s)
        yield from _work(found)
        yield GaugeMetricFamily(
            "chaos_training_steps_per_second", "Updates per second of all running trainings", self._steps_per_second
        )
        yield _by("chaos_datasets", "Datasets", ("status",), {(name,): n for name, n in found.datasets.items()})
        yield GaugeMetricFamily("chaos_blobs", "Stored contents", found.blobs)
        yield GaugeMetricFamily("chaos_blob_bytes", "Their bytes", found.blob_bytes)
        backlog = {(name,): found.deliveries.get(name, 0) for name in WAITING}
        yield _by("chaos_webhook_deliveries", "Deliveries that have not ended", ("status",), backlog)
        yield _by("chaos_workers", "Workers", ("status",), {(name,): n for name, n in found.workers.items()})
        slots = {(name,): n for name, n in found.slots.items()}
        yield _by("chaos_worker_slots", "Jobs that living workers run at a time", ("slots",), slots)


def _work(found: Census) -> Iterator[Metric]:
    """Each kind is told of, also where nothing of it is there."""
    queued = {(kind.value,): found.jobs.get((kind.value, "queued"), 0) for kind in Kind}
    running = {(kind.value,): found.jobs.get((kind.value, "running"), 0) for kind in Kind}
    waiting = {(kind.value,): found.waiting_s.get(kind.value, 0.0) for kind in Kind}
    yield _by("chaos_jobs", "Jobs that have not ended", ("kind", "status"), found.jobs)
    yield _by("chaos_queue_depth", "Jobs that wait for a worker", ("kind",), queued)
    yield _by("chaos_queue_oldest_seconds", "How long the oldest of them has been due", ("kind",), waiting)
    yield _by("chaos_jobs_running", "Jobs that run", ("kind",), running)


def _by(name: str, words: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=labels)
    for place, value in values.items():
        family.add_metric(place, value)
    return family
