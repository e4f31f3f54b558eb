"""Senders as processes: several at once, and one that is killed in the middle of an attempt."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos_store.deliveries import LOST
from chaos_store.engine import Database
from chaos_store.settings import Settings
from tests.receivers import Receiver, answers, says_nothing
from tests.worker.hooked import LOCAL, Hooked, until

ROOT = Path(__file__).parents[2]
OK = answers(204)


@pytest.fixture
def hooked(database: Database, settings: Settings, project_id: str) -> Hooked:
    return Hooked(database, settings, project_id)


@contextmanager
def sending(settings: Settings, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    given = {"DATA_DIR": str(settings.data_dir), "DATABASE_URL": settings.database_url}
    given |= {"WEBHOOK_ALLOW_HTTP": "1", "WEBHOOK_ALLOWED_NETWORKS": LOCAL, "WEBHOOK_POLL_S": "0.05", **more}
    environment = os.environ | {f"CHAOS_{name}": value for name, value in given.items()} | {"PYTHONPATH": str(ROOT)}
    log = settings.data_dir / "sending.log"
    with log.open("ab") as errors:
        process = subprocess.Popen([sys.executable, "-m", "worker.sending"], env=environment, stderr=errors)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGKILL)


def test_two_processes_send_each_delivery_once(hooked: Hooked) -> None:
    with Receiver([OK]) as receiver:
        targets = [hooked.add(receiver.url).id for _ in range(4)]
        made = [hooked.test(targets[index % 4]) for index in range(60)]
        with sending(hooked.settings), sending(hooked.settings):
            receiver.wait(60)
            assert [hooked.finished(found).attempts for found in made] == [1] * 60
    assert set(Counter(found.headers["webhook-id"] for found in receiver.received).values()) == {1}


def test_a_delivery_of_a_killed_sender_is_sent_again_by_another(hooked: Hooked) -> None:
    with Receiver([says_nothing, OK]) as receiver:
        delivery_id = hooked.test(hooked.add(receiver.url).id)
        with sending(hooked.settings) as killed:
            receiver.wait()
            killed.kill()
            killed.wait()
        assert hooked.delivery(delivery_id).status == "sending"
        with sending(hooked.settings):
            hooked.pass_time(100.0)
            assert hooked.finished(delivery_id).status == "succeeded"
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] and first.body == second.body
    assert hooked.reasons(delivery_id) == [LOST, None]


def test_a_sender_shows_that_it_goes_round_and_ends_when_told(hooked: Hooked) -> None:
    pulse = hooked.settings.data_dir / "sender.alive"
    with sending(hooked.settings) as process:
        until(pulse.exists)
    assert process.returncode == 0


def test_a_sender_logs_lines_of_json(hooked: Hooked) -> None:
    with Receiver([OK]) as receiver, sending(hooked.settings, LOG_FORMAT="json"):
        delivery_id = hooked.test(hooked.add(receiver.url).id)
        hooked.finished(delivery_id)
    lines = [json.loads(line) for line in (hooked.settings.data_dir / "sending.log").read_text().splitlines()]
    assert any(delivery_id in line["message"] for line in lines)
    assert all({"level", "time"} <= set(line) for line in lines)
