"""What one API process counts of itself, and its registry of all metrics."""

import platform

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Pool, QueuePool

from chaos_store.engine import AsyncDatabase, Database

LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


disable_created_metrics()  # type: ignore[no-untyped-call]


class Meters:
    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "chaos_http_requests",
            "Requests that ended, by route template",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "chaos_http_request_seconds",
            "Seconds until an answer began, but of requests that ask to wait",
            ("method", "route"),
            buckets=LATENCY_S,
            registry=self.registry,
        )
        self.in_flight = Gauge("chaos_http_requests_in_flight", "Requests under way", registry=self.registry)
        self.streams = Gauge("chaos_event_streams", "Open streams of events", registry=self.registry)
        build = Gauge(
            "chaos_build_info", "1, with what runs here as labels", ("version", "python"), registry=self.registry
        )
        build.labels(version, platform.python_version()).set(1)
        ProcessCollector(registry=self.registry)


class Pools(Collector):
    """Connections of this process to the database."""

    def __init__(self, database: AsyncDatabase, bulk: Database) -> None:
        named = {
            "write": database.engine.pool,
            "read": database.reader.pool,
            "bulk_write": bulk.engine.pool,
            "bulk_read": bulk.reader.pool,
        }
        self._pools: dict[str, Pool] = {}
        for name, pool in named.items():
            if pool not in self._pools.values():
                self._pools[name] = pool

    def collect(self) -> list[Metric]:
        words = "Connections to the database, by pool; on Postgres one pool reads and writes"
        family = GaugeMetricFamily("chaos_database_connections", words, labels=("pool", "state"))
        for name, pool in self._pools.items():
            if isinstance(pool, QueuePool):
                family.add_metric((name, "used"), pool.checkedout())
                family.add_metric((name, "idle"), pool.checkedin())
        return [family]
