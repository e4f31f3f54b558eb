"""Clients that wait for one job, half of them by event stream and half by long poll: looks a second, and how soon they
hear. The service is a process of its own; the clients, raw sockets on one selector, are another."""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from sqlalchemy import event

from api.app import create_app
from chaos_core.systems import lorenz63
from chaos_store import datasets, jobs, keys, migrate
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database, open_database
from chaos_store.settings import Settings
from tests.servers import PostgresServer

START_S = 60.0
STAGES = 20


def serve(ready: Path, queries: Path) -> None:
    """The API; each statement leaves its moment as a line in `queries`."""
    app = create_app(Settings())
    database = app.state.context.database
    with queries.open("w", buffering=1) as out:
        for engine in {one.pool: one.sync_engine for one in (database.engine, database.reader)}.values():
            event.listen(engine, "before_cursor_execute", lambda *_: out.write(f"{time.time()}\n"))
        config = uvicorn.Config(app, port=0, log_level="warning", backlog=2048, timeout_graceful_shutdown=5)
        asyncio.run(_serve(uvicorn.Server(config), ready))


async def _serve(server: uvicorn.Server, ready: Path) -> None:
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()
    partial = ready.with_suffix(".partial")
    partial.write_text(json.dumps({"url": f"http://{host}:{port}"}))
    partial.replace(ready)
    await serving


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


def make_job(database: Database) -> tuple[str, str, str]:
    with database.write.begin() as session:
        project_id = keys.create_project(session, "bench").id
        secret = keys.issue(session, project_id, "bench")[1]
        content = DatabaseBlobs().put(session, [lorenz63(500, dt=0.05, seed=0).to_npz()])
        facts = {"format": "npy", "series_sha256": content.sha256, "rows": 500, "channels": 3, "dt": 0.05}
        facts |= {"names": ["x", "y", "z"], "missing_count": 0, "stretches": 1}
        dataset = datasets.create(
            session, project_id=project_id, name="lorenz", content=content, facts=datasets.Facts(**facts)
        )
        job = jobs.create(session, project_id=project_id, kind="train", dataset_id=dataset.id, max_attempts=3)
        return project_id, secret, job.id


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


@contextmanager
def service(settings: Settings, folder: Path) -> Iterator[tuple[str, Path]]:
    ready, queries = folder / "ready.json", folder / "queries"
    environment = os.environ | {
        "CHAOS_DATA_DIR": str(settings.data_dir),
        "CHAOS_DATABASE_URL": settings.database_url,
        "CHAOS_BROKER_URL": "redis+socket:///nowhere/broker.sock",
    }
    command = [sys.executable, "-m", "tests.bench.waiting", "--serve", str(ready), str(queries)]
    process = subprocess.Popen(command, env=environment)
    try:
        deadline = time.monotonic() + START_S
        while not ready.exists():
            assert process.poll() is None and time.monotonic() < deadline, "the service did not start"
            time.sleep(0.05)
        yield json.loads(ready.read_text())["url"], queries
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def place(kind: str, folder: Path) -> Iterator[Settings]:
    if kind == "sqlite":
        settings = Settings(data_dir=folder)
        migrate.upgrade(settings)
        yield settings
        return
    with PostgresServer() as server, server.fresh() as url:
        yield Settings(data_dir=folder, database_url=url)


async def measure(settings: Settings, folder: Path, clients: int, pause_s: float) -> dict[str, float]:
    database, heard = open_database(settings), Heard()
    project_id, key, job_id = make_job(database)
    with service(settings, folder) as (url, queries):
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
        serve(*how.serve)
        return
    for kind in how.databases:
        with tempfile.TemporaryDirectory() as name, place(kind, Path(name)) as settings:
            found = asyncio.run(measure(settings, Path(name), how.clients, how.pause))
        for what, value in found.items():
            sys.stdout.write(f"{kind}, {how.clients} clients: {what}: {value:.1f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
