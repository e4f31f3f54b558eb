"""The two Celery tasks: each a wake-up call for one row."""

from collections.abc import Callable

from celery import Celery

from chaos_store.broker import LIGHT_TASK, TRAIN_TASK
from chaos_store.states import Kind


def bind(celery: Celery, run_job: Callable[[str, str], None]) -> None:
    def train(job_id: str) -> None:
        run_job(job_id, Kind.train)

    def light(job_id: str) -> None:
        run_job(job_id, Kind.analyse)

    celery.task(name=TRAIN_TASK)(train)
    celery.task(name=LIGHT_TASK)(light)
