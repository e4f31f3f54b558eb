"""Around all else: one line in the log for each request, and its place in the metrics."""

import logging
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chaos_store import logs

from .meters import Meters
from .templates import template_of

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
OTHER = "other"
STREAM = "text/event-stream"
CLIENT_GONE = 499
MOST_ID = 64

log = logging.getLogger("api.access")


class Observing:
    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self.app = app
        self.meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        logs.forget()
        seen = Seen(scope, send, self.meters)
        self.meters.in_flight.inc()
        try:
            await self.app(scope, receive, seen.send)
        except Exception:
            seen.status = seen.status or 500
            raise
        finally:
            self.meters.in_flight.dec()
            seen.end()


class Seen:
    """One request, from its first byte to the end of its answer."""

    def __init__(self, scope: Scope, send: Send, meters: Meters) -> None:
        self.status: int | None = None
        self._scope = scope
        self._send = send
        self._meters = meters
        self._began = time.perf_counter()
        self._answered: float | None = None
        self._streams = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._answered = time.perf_counter()
            self._streams = Headers(scope=message).get("content-type", "").startswith(STREAM)
            if self._streams:
                self._meters.streams.inc()
        await self._send(message)

    def end(self) -> None:
        ended = time.perf_counter()
        if self._streams:
            self._meters.streams.dec()
        status, method, route = self.status or CLIENT_GONE, self._method(), template_of(self._scope) or OTHER
        self._meters.requests.labels(method, route, str(status)).inc()
        if b"wait=" not in self._scope.get("query_string", b""):
            self._meters.seconds.labels(method, route).observe((self._answered or ended) - self._began)
        took_ms = round(1e3 * (ended - self._began), 2)
        facts = {"method": method, "route": route, "status": status, "duration_ms": took_ms}
        if job_id := self._scope.get("path_params", {}).get("job_id"):
            facts["job_id"] = str(job_id)[:MOST_ID]
        log.log(_level(route, status), "request", extra=facts)

    def _method(self) -> str:
        method: str = self._scope["method"]
        return method if method in METHODS else OTHER


def _level(route: str, status: int) -> int:
    if status >= 500 and route not in PROBES:
        return logging.ERROR
    return logging.DEBUG if route in PROBES else logging.INFO
