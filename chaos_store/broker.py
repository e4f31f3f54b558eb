"""The Celery app with its settings. A message is only a wake-up call: the job's row is the truth."""

from typing import Any, Literal

from celery import Celery
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from .settings import Settings
from .states import Kind

__all__ = ["LIGHT_QUEUE", "LIGHT_TASK", "TRAIN_QUEUE", "TRAIN_TASK", "make_celery", "queue_of", "reachable", "wake"]

TRAIN_TASK = "chaos.train"
LIGHT_TASK = "chaos.light"
TRAIN_QUEUE = "train"
LIGHT_QUEUE = "light"

BLOCKING_S = 30
SENDING_S = 2


def make_celery(settings: Settings, *, role: Literal["sender", "worker"] = "worker") -> Celery:
    """A sender gives up after two seconds; a worker waits for messages as long as it takes."""
    celery = Celery("chaos", broker=settings.broker_url, set_as_current=role == "worker")
    celery.conf.update(
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        task_send_sent_event=False,
        task_publish_retry=role == "worker",
        task_default_queue=TRAIN_QUEUE,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_soft_shutdown_timeout=30,
        worker_hijack_root_logger=False,
        broker_connection_timeout=SENDING_S,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_transport(role),
    )
    return celery


def _transport(role: Literal["sender", "worker"]) -> dict[str, Any]:
    once = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    return (once if role == "sender" else {}) | {
        "visibility_timeout": 3600,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "health_check_interval": 15,
        "socket_keepalive": True,
        "socket_connect_timeout": SENDING_S,
        "socket_timeout": BLOCKING_S if role == "worker" else SENDING_S,
        "retry_on_timeout": role == "worker",
        "global_keyprefix": "chaos:",
    }


def queue_of(kind: str) -> tuple[str, str]:
    """Task and queue of a kind of job."""
    return (TRAIN_TASK, TRAIN_QUEUE) if kind == Kind.train else (LIGHT_TASK, LIGHT_QUEUE)


def wake(celery: Celery, job_id: str, kind: str) -> bool:
    """Sends the wake-up call; False where the broker cannot be reached, and the reaper will call again."""
    task, queue = queue_of(kind)
    try:
        celery.send_task(task, args=[job_id], queue=queue, retry=False, ignore_result=True)
    except (KombuError, RedisError, OSError):
        return False
    return True


def reachable(celery: Celery) -> bool:
    try:
        with celery.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=SENDING_S)
            connection.default_channel.client.ping()
    except (KombuError, RedisError, OSError):
        return False
    return True
