"""Real processes, real sockets: connections that break, services that die."""

import hashlib
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from chaos_client.client import Client
from chaos_client.failures import ServeError
from chaos_store.blobs import CHUNK_BYTES
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import BlobChunk, Upload
from tests.api.test_raw import count
from tests.cutting import CuttingProxy

START_S = 60.0
PART = 2 * CHUNK_BYTES


@contextmanager
def api_process(settings: Settings, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    ready = settings.data_dir / "ready.json"
    ready.unlink(missing_ok=True)
    environment = os.environ | {
        "CHAOS_DATA_DIR": str(settings.data_dir),
        "CHAOS_DATABASE_URL": settings.database_url,
        "CHAOS_BROKER_URL": settings.broker_url,
    }
    command = [sys.executable, "-m", "api", "--port", str(port), "--ready-file", str(ready)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        until(lambda: ready.exists() or process.poll() is not None)
        yield json.loads(ready.read_text())["url"], process
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """About 10 MB of numbers."""
    path = tmp_path / "noise.npy"
    np.save(path, np.random.default_rng(0).normal(size=(160_000, 8)))
    return path


def sum_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_comes_whole_over_connections_that_break(service_settings: Settings, api_key: str, file: Path) -> None:
    """Whatever byte it breaks at, no more than one part is sent again for each break."""
    size = file.stat().st_size
    cuts = random.Random(4).sample(range(size), 3)
    with api_process(service_settings) as (url, _):
        where = urlsplit(url)
        assert where.hostname is not None and where.port is not None
        with (
            CuttingProxy(where.hostname, where.port, cuts) as proxy,
            Client(proxy.url, api_key) as client,
        ):
            seen: list[dict[str, Any]] = []
            dataset = client.upload_file(file, part_bytes=PART, on_progress=seen.append, dt="0.1")
    assert (dataset["status"], dataset["content_sha256"], dataset["dt"]) == ("ready", sum_of(file), 0.1)
    assert (seen[0]["received_bytes"], seen[-1]["received_bytes"], proxy.cuts_left) == (0, size, 0)
    heads = 100_000
    assert size < proxy.passed <= size + len(cuts) * PART + heads


def test_another_process_goes_on_with_the_same_upload(
    service_settings: Settings, api_key: str, database: Database, file: Path, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    def die(upload: dict[str, Any]) -> None:
        if upload["received_bytes"] >= 2 * PART:
            raise Killed(upload["id"])

    with api_process(service_settings) as (url, _):
        with Client(url, api_key) as client, pytest.raises(Killed) as broken:
            client.upload_file(file, part_bytes=PART, on_progress=die)
        upload_id = str(broken.value)
        with Client(url, api_key) as client:
            assert client.get(f"/v1/uploads/{upload_id}")["received_parts"] == 2
            wrong = tmp_path / "wrong.npy"
            wrong.write_bytes(bytes(PART) + file.read_bytes()[PART:])
            with pytest.raises(ServeError, match="is not the file"):
                client.upload_file(wrong, upload_id=upload_id)
            with pytest.raises(ServeError, match="bytes"):
                client.upload_file(Path(__file__), upload_id=upload_id)
        command = [sys.executable, "-m", "chaos_client", "upload", str(file), "--resume", upload_id, "--url", url]
        done = subprocess.run(command, env=os.environ | {"CHAOS_API_KEY": api_key}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "160000 rows of x0, x1" in done.stdout
        with Client(url, api_key) as client:
            closed = client.get(f"/v1/uploads/{upload_id}")
            assert client.get(closed["links"]["dataset"])["content_sha256"] == sum_of(file)
    assert count(database, Upload) == 1


def test_the_service_may_die_during_an_upload(service_settings: Settings, api_key: str, file: Path) -> None:
    with ExitStack() as services:
        url, process = services.enter_context(api_process(service_settings))
        port = urlsplit(url).port
        assert port is not None
        started = []

        def restart(upload: dict[str, Any]) -> None:
            if not started and upload["received_bytes"] >= upload["size_bytes"] // 2:
                process.kill()
                process.wait()
                started.append(services.enter_context(api_process(service_settings, port)))

        with Client(url, api_key) as client:
            dataset = client.upload_file(file, part_bytes=PART, on_progress=restart)
    assert (dataset["status"], dataset["content_sha256"], len(started)) == ("ready", sum_of(file), 1)


def test_a_raw_body_that_breaks_off_leaves_the_dataset_empty(
    service_settings: Settings, api_key: str, database: Database, file: Path
) -> None:
    with api_process(service_settings) as (url, _), Client(url, api_key) as client:
        made = client.announce(filename=file.name)
        where = urlsplit(url)
        with socket.create_connection((where.hostname, where.port)) as line:
            head = f"PUT {made['links']['content']} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api_key}\r\n"
            line.sendall(f"{head}Content-Length: {file.stat().st_size}\r\n\r\n".encode())
            line.sendall(file.read_bytes()[:-1000])
            until(lambda: count(database, BlobChunk) > 0)
        until(lambda: count(database, BlobChunk) == 0)
        assert client.get(made["links"]["self"]) == made
        dataset = client.fill(made["id"], file)
        assert (dataset["status"], dataset["content_sha256"]) == ("ready", sum_of(file))
