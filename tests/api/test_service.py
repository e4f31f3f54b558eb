import asyncio
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
import uvicorn

from api.__main__ import Server
from api.app import create_app
from chaos_core.families import FAMILIES
from chaos_store import keys
from chaos_store.engine import open_database
from chaos_store.settings import Settings
from tests.api.conftest import add_dataset, add_job, client_of


async def test_health_needs_no_key_and_all_is_well(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    assert (await client.get("/livez")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (
        200, {"status": "ok", "checks": {"database": "ok", "migrations": "ok", "broker": "ok"}, "workers": 0},
    )  # fmt: skip
    page = await client.get("/docs")
    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(sources) >= 2
    assert [(await client.get(source)).status_code for source in sources] == [200] * len(sources)
    assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.")


async def test_readiness_names_what_is_down(tmp_path: Path) -> None:
    async with client_of(Settings(data_dir=tmp_path)) as client:
        ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    checks = ready.json()["checks"]
    assert (checks["database"], checks["broker"]) == ("ok", "does not answer")
    assert checks["migrations"].startswith("pending")


async def test_limits_are_those_of_the_settings(client: httpx.AsyncClient, settings: Settings) -> None:
    limits = (await client.get("/v1/limits")).json()
    assert limits["inline_upload_bytes"] == settings.inline_upload_bytes
    assert limits["max_wait_s"] == settings.max_wait_s


async def test_model_types_are_the_registries(client: httpx.AsyncClient) -> None:
    types = (await client.get("/v1/model-types")).json()
    assert {family: [entry["kind"] for entry in types[family]] for family in FAMILIES} == {
        family: list(members) for family, members in FAMILIES.items()
    }
    for kind in types["cells"] + types["forcings"]:
        assert kind["citation"] and kind["summary"] and kind["settings_schema"]["properties"]


def test_the_api_loads_no_torch() -> None:
    code = "import sys, api.__main__; print([m for m in sys.modules if m in ('torch', 'worker', 'matplotlib')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_what_was_loaded_is_no_work_for_the_collector_of_garbage(service_settings: Settings) -> None:
    app = create_app(service_settings)
    server = Server(uvicorn.Config(app, log_config=None), app, None)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            assert gc.get_freeze_count() > len(gc.get_objects())
        finally:
            gc.unfreeze()
            server.should_exit = True
            await serving


@pytest.fixture
def serving(sqlite_settings: Settings, tmp_path: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"CHAOS_DATA_DIR": str(sqlite_settings.data_dir)}
    command = [sys.executable, "-m", "api", "--port", "0", "--ready-file", str(tmp_path / "ready.json")]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


@pytest.fixture
def queued(sqlite_settings: Settings) -> tuple[str, str]:
    """A key, and the id of a job that waits."""
    database = open_database(sqlite_settings)
    with database.write.begin() as session:
        project = keys.create_project(session, "test").id
        secret = keys.issue(session, project, "test")[1]
    job_id = add_job(database, project, add_dataset(database, project))
    database.dispose()
    return secret, job_id


def _ready(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return str(json.loads(path.read_text())["url"])


def test_the_process_says_where_it_is_and_ends_long_polls_at_sigterm(
    serving: subprocess.Popen[bytes], tmp_path: Path, queued: tuple[str, str]
) -> None:
    answers: list[httpx.Response] = []
    try:
        url = _ready(tmp_path / "ready.json")
        secret, job_id = queued
        headers = {"Authorization": f"Bearer {secret}"}

        def poll() -> None:
            answers.append(httpx.get(f"{url}/v1/jobs/{job_id}?wait=30", headers=headers, timeout=40))

        thread = threading.Thread(target=poll)
        thread.start()
        time.sleep(1.0)
        started = time.monotonic()
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(10) == 0
        assert list((tmp_path / "scratch").iterdir()) == []
        thread.join(5)
        assert time.monotonic() - started < 6
        assert (answers[0].status_code, answers[0].json()["status"]) == (200, "queued")
    finally:
        serving.kill()
        serving.wait()


async def test_one_model_type_is_found_by_family_and_kind(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/v1/model-types")).json()
    for family, members in listed.items():
        if family != "object":
            assert (await client.get(f"/v1/model-types/{family}/{members[0]['kind']}")).json() == members[0]
    for path in ("cells/lstn", "cell/lstm", "object/model_types"):
        absent = await client.get(f"/v1/model-types/{path}")
        assert (absent.status_code, absent.json()["code"]) == (404, "not_found")
