"""What a poll of a job costs beside a bare FastAPI route of the same process, and how soon a posted job is answered.

Short rounds of both routes alternate, 16 connections each; the clients are a process of their own. Jobs are posted at
a steady rate whatever the answers do, so that a slow one does not spare the service the next.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop
from fastapi import FastAPI

from api.app import create_app
from chaos_store import jobs, logs
from chaos_store.engine import open_database
from chaos_store.settings import Settings
from tests.bench.serving import Made, make_job, place, serve, service
from tests.servers import ValkeyServer

CONNECTIONS = 16
WARM_S = 1.0


def bare() -> FastAPI:
    app = FastAPI()

    @app.get("/hello/{name}")
    async def hello(name: str) -> dict[str, str]:
        return {"hello": name}

    return app


class Answers(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.seconds: list[float] = []
        self.stopping = False
        self.closed: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        """The head of the last answer."""
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        self._asked_at = time.perf_counter()
        self._transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, found, rest = self._held.partition(b"\r\n\r\n")
        if not found or len(rest) < _length(head):
            return
        self.seconds.append(time.perf_counter() - self._asked_at)
        if self.stopping or not head.startswith(b"HTTP/1.1 2"):
            self._transport.close()
            self.closed.set_result(head)
            return
        self._held = b""
        self._ask()


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


def _request(method: str, url: str, path: str, key: str = "", body: bytes = b"") -> bytes:
    words = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", f"Authorization: Bearer {key}"]
    words += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(words).encode() + body


async def hammer(url: str, request: bytes, seconds: float) -> list[float]:
    """Seconds of every answer."""
    place, loop = urlsplit(url), asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: Answers(request), place.hostname, place.port))[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(seconds)
    for one in made:
        one.stopping = True
    for last in await asyncio.gather(*(one.closed for one in made)):
        assert last.startswith(b"HTTP/1.1 2"), last
    return [value for one in made for value in one.seconds]


async def shares(urls: list[str], made: Made, rounds: int, round_s: float) -> dict[str, float]:
    poll = _request("GET", urls[0], f"/v1/jobs/{made.job_id}", made.key)
    hello = _request("GET", urls[1], "/hello/world")
    await hammer(urls[0], poll, WARM_S)
    await hammer(urls[1], hello, WARM_S)
    found, rates, polled = [], [], []
    for _ in range(rounds):
        ours = await hammer(urls[0], poll, round_s)
        theirs = await hammer(urls[1], hello, round_s)
        found.append(len(ours) / len(theirs))
        rates.append(len(theirs) / round_s)
        polled += ours
    return {
        "GET job, share of a bare route": statistics.median(found),
        "least share of a round": min(found),
        "largest": max(found),
        "bare route, answers a second": statistics.median(rates),
        **_summary("GET job", polled),
    }


async def posts(url: str, made: Made, rate: float, seconds: float) -> dict[str, float]:
    body = json.dumps({"dataset_id": made.dataset_id, "spec": {"training": {"updates": 1000}}}).encode()
    request, idle, took = _request("POST", url, "/v1/jobs", made.key, body), asyncio.Queue[object](), []

    async def post(due: float) -> None:
        reader, writer = idle.get_nowait() if not idle.empty() else await asyncio.open_connection(
            urlsplit(url).hostname, urlsplit(url).port
        )  # fmt: skip
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(_length(head))
        took.append(time.perf_counter() - due)
        assert head.startswith(b"HTTP/1.1 202"), head
        idle.put_nowait((reader, writer))

    start, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(post(due)))
    await asyncio.gather(*tasks)
    while not idle.empty():
        idle.get_nowait()[1].close()
    return _summary(f"POST job at {rate:g} a second", took)


def _summary(name: str, seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {
        f"{name}, p50 ms": cuts[49] * 1e3,
        f"{name}, p99 ms": cuts[98] * 1e3,
        f"{name}, worst ms": max(seconds) * 1e3,
    }


def measure(settings: Settings, folder: Path, broker_url: str, how: argparse.Namespace) -> dict[str, float]:
    database = open_database(settings)
    made = make_job(database)
    if how.finished:
        with database.write.begin() as session:
            claim = jobs.claim(session, made.job_id, "bench", 600.0)
            assert claim is not None
            jobs.succeed(session, claim)
    with service(settings, folder, "tests.bench.polling", broker_url=broker_url) as urls, asyncio.Runner(
        loop_factory=uvloop.new_event_loop
    ) as runner:  # fmt: skip
        found = runner.run(shares(urls, made, how.rounds, how.round_s))
        found |= runner.run(posts(urls[0], made, how.rate, how.seconds))
    database.dispose()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--round-s", type=float, default=2.0)
    parser.add_argument("--rate", type=float, default=50.0, help="jobs posted a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long they are posted")
    parser.add_argument("--finished", action="store_true", help="poll a job that has succeeded")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgres"])
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    how = parser.parse_args()
    if how.serve:
        settings = Settings()
        logs.set_up(settings)
        serve(how.serve, create_app(settings), bare())
        return
    with ValkeyServer() as broker:
        for kind in how.databases:
            with place(kind) as (settings, folder):
                found = measure(settings, folder, broker.url, how)
            for what, value in found.items():
                sys.stdout.write(f"{kind}: {what}: {value:.3g}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
