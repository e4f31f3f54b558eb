"""Clients that wait for one job, half of them by event stream and half by long poll: looks a second, and how soon they
hear. The service is a process of its own; the clients, raw sockets on one selector, are another."""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI
from sqlalchemy import event

from api.app import create_app
from chaos_store import jobs
from chaos_store.engine import Database, open_database
from chaos_store.settings import Settings
from tests.bench.serving import START_S, make_job, place, serve, service

STAGES = 20


def watched(queries: Path) -> FastAPI:
    """The API; each statement leaves its moment as a line in `queries`."""
    app = create_app(Settings())
    database = app.state.context.database
    out = queries.open("w", buffering=1)
    for engine in {one.pool: one.sync_engine for one in (database.engine, database.reader)}.values():
        event.listen(engine, "before_cursor_execute", lambda *_: out.write(f"{time.time()}\n"))
    return app


@dataclass
class Heard:
    """When each client heard of the event with a number (streams), or of the end (long polls)."""

    streams: dict[int, list[float]] = field(default_factory=dict)
    polls: list[float] = field(default_factory=list)
    connected: int = 0


@asynccontextmanager
async def asked(url: str, key: str, path: str, accept: str) -> AsyncIterator[asyncio.StreamReader]:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    words = [f"GET {path} HTTP/1.1", f"Host: {place.netloc}", f"Authorization: Bearer {key}", f"Accept: {accept}"]
    writer.write("\r\n".join([*words, "Connection: close", "", ""]).encode())
    await writer.drain()
    try:
        yield reader
    finally:
        writer.close()


async def stream(url: str, key: str, job_id: str, heard: Heard) -> None:
    async with asked(url, key, f"/v1/jobs/{job_id}/events", "text/event-stream") as reader:
        status = await reader.readline()
        assert b" 200 " in status, status
        heard.connected += 1
        async for line in reader:
            if line.startswith(b"id: "):
                heard.streams.setdefault(int(line[4:]), []).append(time.time())


async def poll(url: str, key: str, job_id: str, heard: Heard) -> None:
    """Asks again until the job has ended, as a client does."""
    while True:
        async with asked(url, key, f"/v1/jobs/{job_id}?wait=30", "application/json") as reader:
            heard.connected += 1
            answer = await reader.read()
        heard.connected -= 1
        assert b" 200 " in answer[:20], answer[:300]
        if b'"status":"succeeded"' in answer:
            heard.polls.append(time.time())
            return


@dataclass
class Happened:
    """The moment at which each event was committed."""

    committed: dict[int, float] = field(default_factory=dict)
    ended: float = 0.0


def live(database: Database, project_id: str, job_id: str, pause_s: float) -> Happened:
    """A job that changes its stage now and then and ends."""
    with database.write.begin() as session:
        claim = jobs.claim(session, job_id, "bench", 600.0)
    assert claim is not None
    happened = Happened()
    for number in range(STAGES):
        time.sleep(pause_s * (1 + (number * 0.618) % 1))
        with database.write.begin() as session:
            jobs.progress(session, claim, stage=f"stage {number}", progress_update=number)
        _note(database, project_id, job_id, happened, time.time())
    time.sleep(pause_s)
    with database.write.begin() as session:
        jobs.succeed(session, claim)
    happened.ended = time.time()
    _note(database, project_id, job_id, happened, happened.ended)
    return happened


def _note(database: Database, project_id: str, job_id: str, happened: Happened, moment: float) -> None:
    with database.read() as session:
        last = [row.seq for row in session.scalars(jobs.events(project_id, job_id))][-1]
    happened.committed[last] = moment


async def measure(settings: Settings, folder: Path, clients: int, pause_s: float) -> dict[str, float]:
    database, heard = open_database(settings), Heard()
    project_id, key, _, job_id = make_job(database)
    queries = folder / "queries"
    with service(settings, folder, "tests.bench.waiting", queries) as (url,):
        tasks = [
            asyncio.create_task((stream if number % 2 else poll)(url, key, job_id, heard)) for number in range(clients)
        ]
        began = time.time()
        while heard.connected < clients or len(heard.streams.get(1, [])) < clients // 2:
            await asyncio.sleep(0.05)
            assert time.time() - began < START_S, "not all clients got through"
        await asyncio.sleep(1.0)
        start = time.time()
        happened = await asyncio.to_thread(live, database, project_id, job_id, pause_s)
        await asyncio.gather(*tasks)
        stop = time.time()
    database.dispose()
    asked_at = [float(line) for line in queries.read_text().splitlines()]
    waiting = [moment for moment in asked_at if start <= moment <= stop]
    most = max(sum(first <= moment < first + 1.0 for moment in waiting) for first in waiting)
    late = [at - then for seq, then in happened.committed.items() for at in heard.streams[seq]]
    ends = [at - happened.ended for at in heard.polls]
    assert (len(late), len(ends)) == ((clients // 2) * (STAGES + 1), clients - clients // 2)
    return {
        "looks a second": len(waiting) / (stop - start),
        "most in any second": most,
        **_summary("event to stream", late),
        **_summary("end to long poll", ends),
    }


def _summary(name: str, seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {
        f"{name}, p50 ms": cuts[49] * 1e3,
        f"{name}, p99 ms": cuts[98] * 1e3,
        f"{name}, worst ms": max(seconds) * 1e3,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between events, up to twice as many")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgres"])
    parser.add_argument("--serve", nargs=2, type=Path, help=argparse.SUPPRESS)
    how = parser.parse_args()
    if how.serve:
        ready, queries = how.serve
        serve(ready, watched(queries))
        return
    for kind in how.databases:
        with place(kind) as (settings, folder):
            found = asyncio.run(measure(settings, folder, how.clients, how.pause))
        for what, value in found.items():
            sys.stdout.write(f"{kind}, {how.clients} clients: {what}: {value:.1f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
