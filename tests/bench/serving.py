"""The API as a process of its own on either database, and a finished or waiting job in it, for benchmarks."""

import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import uvicorn
from fastapi import FastAPI

from chaos_core.systems import lorenz63
from chaos_store import datasets, jobs, keys, migrate
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.settings import Settings
from tests.servers import PostgresServer

START_S = 60.0
NO_BROKER = "redis+socket:///nowhere/broker.sock"


class Made(NamedTuple):
    project_id: str
    key: str
    dataset_id: str
    job_id: str


def make_job(database: Database) -> Made:
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
        return Made(project_id, secret, dataset.id, job.id)


@contextmanager
def place(kind: str) -> Iterator[tuple[Settings, Path]]:
    """A migrated database and a folder that go at the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if kind == "sqlite":
            settings = Settings(data_dir=folder)
            migrate.upgrade(settings)
            yield settings, folder
            return
        with PostgresServer() as server, server.fresh() as url:
            yield Settings(data_dir=folder, database_url=url), folder


def serve(ready: Path, *apps: FastAPI) -> None:
    """Each app on a port of its own, all in this process; their addresses go into the file.

    The collector of garbage passes over what was loaded, as in `python -m api`.
    """
    asyncio.run(_serve(ready, apps))


async def _serve(ready: Path, apps: Sequence[FastAPI]) -> None:
    quiet = {"port": 0, "log_level": "warning", "access_log": False, "backlog": 2048, "timeout_graceful_shutdown": 5}
    servers = [uvicorn.Server(uvicorn.Config(app, **quiet)) for app in apps]
    serving = [asyncio.create_task(server.serve()) for server in servers]
    while not all(server.started for server in servers):
        await asyncio.sleep(0.01)
    gc.freeze()
    ports = [server.servers[0].sockets[0].getsockname()[1] for server in servers]
    partial = ready.with_suffix(".partial")
    partial.write_text(json.dumps([f"http://127.0.0.1:{port}" for port in ports]))
    partial.replace(ready)
    await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*serving)


@contextmanager
def service(
    settings: Settings, folder: Path, module: str, *words: object, broker_url: str = NO_BROKER
) -> Iterator[list[str]]:
    """Addresses of what `python -m module --serve READY ...` serves with these settings."""
    ready = folder / "ready.json"
    environment = os.environ | {
        "CHAOS_DATA_DIR": str(settings.data_dir),
        "CHAOS_DATABASE_URL": settings.database_url,
        "CHAOS_BROKER_URL": broker_url,
    }
    command = [sys.executable, "-m", module, "--serve", str(ready), *map(str, words)]
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stderr=log)
    try:
        deadline = time.monotonic() + START_S
        while not ready.exists():
            assert process.poll() is None and time.monotonic() < deadline, "the service did not start"
            time.sleep(0.05)
        yield json.loads(ready.read_text())
    except BaseException:
        sys.stderr.write((folder / "service.log").read_text()[-4000:])
        raise
    finally:
        process.terminate()
        process.wait(20)
