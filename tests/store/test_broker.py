import json
import time
from pathlib import Path

import pytest
from celery import Celery
from celery.app import defaults
from kombu.transport.redis import Channel

from chaos_store import broker
from chaos_store.settings import Settings
from tests.servers import ValkeyServer


def _sender(tmp_path: Path, url: str) -> Celery:
    return broker.make_celery(Settings(data_dir=tmp_path, broker_url=url), role="sender")


@pytest.mark.parametrize(("kind", "queue"), [("train", "train"), ("analyse", "light"), ("ingest", "light")])
def test_a_wake_up_call_carries_the_job_id_alone_to_the_queue_of_its_kind(
    tmp_path: Path, broker_url: str, valkey_server: ValkeyServer, kind: str, queue: str
) -> None:
    with _sender(tmp_path, broker_url) as celery:
        assert broker.reachable(celery)
        assert broker.wake(celery, "job_1", kind)
    with valkey_server.client() as client:
        assert client.keys("chaos:*") != []
        message = json.loads(client.lrange(f"chaos:{queue}", 0, -1)[0])
    assert message["headers"]["task"] == f"chaos.{queue}"
    assert json.loads(message["headers"]["argsrepr"].replace("'", '"')) == ["job_1"]


def test_a_broker_that_is_away_is_told_at_once_and_raises_nothing(tmp_path: Path) -> None:
    for url in (f"redis+socket://{tmp_path}/none.sock", "redis://127.0.0.1:1/0"):
        with _sender(tmp_path, url) as celery:
            begun = time.monotonic()
            assert not broker.wake(celery, "job_1", "train")
            assert not broker.reachable(celery)
            assert time.monotonic() - begun < 2


def test_a_worker_receives_what_was_sent_without_fetching_ahead(tmp_path: Path, broker_url: str) -> None:
    settings = Settings(data_dir=tmp_path, broker_url=broker_url)
    worker = broker.make_celery(settings)
    with _sender(tmp_path, broker_url) as sender:
        broker.wake(sender, "job_7", "train")
    with worker, worker.connection_for_read() as connection:
        message = connection.SimpleQueue(broker.TRAIN_QUEUE).get(timeout=3)
        assert message.payload[0] == ["job_7"]
        message.ack()
    assert worker.conf.worker_disable_prefetch
    assert not worker.conf.task_acks_late


def test_each_setting_is_one_that_celery_and_kombu_know(tmp_path: Path) -> None:
    celery = broker.make_celery(Settings(data_dir=tmp_path))
    known = set(dict(defaults.flatten(defaults.NAMESPACES)))
    assert set(celery.conf.changes) - known - {"deprecated_settings"} == set()
    assert set(celery.conf.broker_transport_options) - set(Channel.from_transport_options) == set()
