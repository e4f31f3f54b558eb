"""What a proxy says of the client is believed only where it was told to, through a real socket."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from chaos_store import keys
from chaos_store.engine import open_database
from chaos_store.settings import Settings
from chaos_store.tables import AuditEvent

FORWARDED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


@contextmanager
def serving(settings: Settings, **environment: str) -> Iterator[str]:
    ready = settings.data_dir / "ready.json"
    command = [sys.executable, "-m", "api", "--port", "0", "--ready-file", str(ready)]
    known = os.environ | {"CHAOS_DATA_DIR": str(settings.data_dir)} | environment
    process = subprocess.Popen(command, env=known, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        yield json.loads(ready.read_text())["url"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("trusted", "believed"),
    [({}, False), ({"CHAOS_TRUSTED_PROXIES": "127.0.0.1"}, True), ({"CHAOS_TRUSTED_PROXIES": "10.0.0.0/8"}, False)],
    ids=["nobody", "this one", "others"],
)
def test_forwarded_headers_are_believed_only_from_trusted_proxies(
    sqlite_settings: Settings, trusted: dict[str, str], believed: bool, tmp_path: Path
) -> None:
    database = open_database(sqlite_settings)
    with database.write.begin() as session:
        secret = keys.issue(session, keys.create_project(session, "test").id, "test")[1]
    with serving(sqlite_settings, **trusted) as url:
        header = {"Authorization": f"Bearer {secret}"} | FORWARDED
        answer = httpx.delete(f"{url}/v1/jobs/job_none", headers=header, timeout=30)
        assert answer.status_code == 404
        assert ("strict-transport-security" in answer.headers) == believed
    with database.read() as session:
        assert session.scalars(select(AuditEvent.address)).one() == ("203.0.113.9" if believed else "127.0.0.1")
    database.dispose()
