"""The receiver in docs/webhooks.md, run as it stands there."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import httpx
import pytest
from standardwebhooks import Webhook as Signer

from chaos_store.announcements import EventType
from chaos_store.engine import Database
from chaos_store.settings import Settings
from tests.worker.hooked import Hooked, until

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()


@pytest.fixture
def settings(sqlite_settings: Settings) -> Settings:
    """Nothing here depends on the kind of database."""
    return sqlite_settings


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Shown:
    """The page's receiver as a process, and what it has printed."""

    def __init__(self, secret: str, port: int) -> None:
        [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        environment = os.environ | {"WEBHOOK_SECRET": secret, "PORT": str(port)}
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as said:
            self.lines.extend(iter(said.readline, ""))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()


@pytest.fixture
def hooked(database: Database, settings: Settings, project_id: str) -> Hooked:
    return Hooked(database, settings, project_id)


@pytest.fixture
def shown(hooked: Hooked) -> Iterator[tuple[Shown, str, str]]:
    """The process, the webhook's id and its secret."""
    port = _free_port()
    webhook = hooked.add(f"http://127.0.0.1:{port}/")
    started = Shown(webhook.secret, port)
    until(lambda: _answers(port))
    yield started, webhook.id, webhook.secret
    started.close()


def test_the_receiver_of_the_page_takes_what_is_genuine_and_each_event_once(
    hooked: Hooked, shown: tuple[Shown, str, str]
) -> None:
    receiver, webhook_id, _ = shown
    with hooked.sender():
        delivery_id = hooked.test(webhook_id)
        assert hooked.finished(delivery_id).status == "succeeded"
        hooked.retry(delivery_id)
        assert hooked.finished(delivery_id).attempts == 2
        other = hooked.test(webhook_id)
        assert hooked.finished(other).status == "succeeded"
    until(lambda: len(receiver.lines) == 2)
    assert receiver.lines == [f"webhook.test {webhook_id}\n"] * 2


@pytest.mark.parametrize("fault", ["body", "old", "signature", "none"])
def test_the_receiver_of_the_page_refuses_the_rest(hooked: Hooked, shown: tuple[Shown, str, str], fault: str) -> None:
    receiver, webhook_id, secret = shown
    row = hooked.delivery(hooked.test(webhook_id))
    sent_at = int(time.time()) - (400 if fault == "old" else 0)
    moment = datetime.fromtimestamp(sent_at, UTC)
    headers = {"webhook-id": row.event_id, "webhook-timestamp": str(sent_at)}
    headers["webhook-signature"] = Signer(secret).sign(row.event_id, moment, row.payload)
    if fault == "signature":
        headers["webhook-signature"] = "v1,AAAA v1,ü"
    if fault == "none":
        headers = {}
    body = row.payload + (" " if fault == "body" else "")
    url = hooked.webhook(webhook_id).url
    answer = httpx.post(url, content=body.encode(), headers={name: value.encode() for name, value in headers.items()})
    assert (answer.status_code, receiver.lines) == (401, [])


def test_the_page_names_each_event_and_shows_what_is_really_sent(hooked: Hooked) -> None:
    assert [name for name in get_args(EventType) if f"`{name}`" not in PAGE] == []
    shown = {found["type"]: found for found in map(json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))}
    sent = json.loads(hooked.delivery(hooked.test(hooked.add("https://example.com/").id)).payload)
    example = shown["webhook.test"]
    assert (set(example), set(example["data"])) == (set(sent), set(sent["data"]))
    assert set(shown) == {"job.failed", "analysis.succeeded", "dataset.ready", "webhook.test"}
