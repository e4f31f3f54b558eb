"""The embedded service as a user runs it: `chaos serve`, real broker, real worker, real API."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from chaos_client.client import Client

ROOT = Path(__file__).parents[2]


def serve(folder: Path, *options: str) -> subprocess.Popen[str]:
    """As a user would: from the folder above, with a relative path."""
    command = [sys.executable, "-m", "chaos_client", "serve", "--data-dir", folder.name, "--port", "0", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHAOS_")}
    environment["PYTHONPATH"] = str(ROOT)
    where = folder.parent
    return subprocess.Popen(
        command, cwd=where, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def parts(service: psutil.Process, module: str) -> list[psutil.Process]:
    found = []
    for child in service.children():
        with suppress(psutil.NoSuchProcess):  # a zombie is one too
            if module in child.cmdline():
                found.append(child)
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, psutil.Process]]:
    folder = tmp_path_factory.mktemp("service")
    process = serve(folder)
    until(lambda: (folder / "service.json").exists() or process.poll() is not None)
    service = psutil.Process(process.pid)
    yield folder, service
    family = service.children(recursive=True)
    process.terminate()
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert "stopped" in said
    assert not (folder / "service.json").exists()
    assert psutil.wait_procs(family, timeout=5)[1] == []


def test_the_record_is_private_and_says_where_the_service_is(running: tuple[Path, psutil.Process]) -> None:
    folder, service = running
    path = folder / "service.json"
    assert path.stat().st_mode & 0o777 == 0o600
    record = json.loads(path.read_text())
    assert record["pid"] == service.pid
    assert httpx.get(f"{record['url']}/readyz").status_code == 200
    assert httpx.get(f"{record['url']}/v1/jobs").status_code == 401
    with Client.local(folder) as client:
        assert client.get("/v1/jobs")["data"] == []


def test_it_listens_on_this_machine_only(running: tuple[Path, psutil.Process]) -> None:
    listening = [c.laddr.ip for c in running[1].net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]


def test_the_key_is_stored_as_a_hash_only(running: tuple[Path, psutil.Process]) -> None:
    folder = running[0]
    key = (folder / "api_key").read_text().strip()
    assert (folder / "api_key").stat().st_mode & 0o777 == 0o600
    held = b"".join(path.read_bytes() for path in folder.glob("chaos.db*"))
    assert key.encode() not in held


def test_a_second_service_on_the_same_folder_is_refused_with_a_reason(running: tuple[Path, psutil.Process]) -> None:
    folder, service = running
    second = serve(folder)
    said = second.communicate(timeout=30)[1]
    assert second.returncode == 1
    assert f"another service already uses {folder} (pid {service.pid})" in " ".join(said.split())
    assert (folder / "service.json").exists()


def test_a_taken_port_is_refused_with_a_reason(running: tuple[Path, psutil.Process], tmp_path: Path) -> None:
    port = json.loads((running[0] / "service.json").read_text())["url"].rsplit(":", 1)[1]
    second = serve(tmp_path, "--port", port)
    said = second.communicate(timeout=30)[1]
    assert second.returncode == 1
    assert "Use --port 0 for any free port" in " ".join(said.split())


@pytest.mark.parametrize("module", ["api", "worker"])
def test_a_killed_part_is_replaced_and_requests_go_on(running: tuple[Path, psutil.Process], module: str) -> None:
    folder, service = running
    victim = parts(service, module)[0]
    victim.send_signal(signal.SIGKILL)
    with Client.local(folder) as client:
        assert client.get("/v1/jobs")["object"] == "list"
    until(lambda: any(child.pid != victim.pid for child in parts(service, module)))
    with Client.local(folder) as client:
        assert client.get("/v1/jobs")["object"] == "list"


def test_data_and_key_outlive_a_restart(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        process = serve(tmp_path)
        until(lambda: (tmp_path / "service.json").exists())
        keys.append(json.loads((tmp_path / "service.json").read_text())["api_key"])
        with Client.local(tmp_path) as client:
            assert client.get("/v1/datasets")["data"] == []
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr is not None
        process.stderr.close()
    assert keys[0] == keys[1]
