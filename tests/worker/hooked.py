"""A project with webhooks, and a sender that tries again soon."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update

from chaos_store import announcements, deliveries, webhooks
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import Attempt, Delivery, Webhook
from worker.sending.sender import Sender

LOCAL = "127.0.0.0/8,::1/128"
QUICK: dict[str, Any] = {
    "webhook_allow_http": True,
    "webhook_allowed_networks": LOCAL,
    "webhook_poll_s": 0.05,
    "webhook_retries_s": (0.0, 0.0),
    "webhook_timeout_s": 20.0,
}


def quick(settings: Settings, **more: Any) -> Settings:
    given = settings.model_dump() | QUICK | more
    return Settings.model_validate(given)


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@dataclass
class Hooked:
    database: Database
    settings: Settings
    project_id: str

    def add(self, url: str, **words: Any) -> Webhook:
        with self.database.write.begin() as session:
            return webhooks.create(session, project_id=self.project_id, url=url, **words)

    def test(self, webhook_id: str) -> str:
        with self.database.write.begin() as session:
            return announcements.send_test(session, self.project_id, webhook_id).id

    def retry(self, delivery_id: str) -> None:
        with self.database.write.begin() as session:
            deliveries.retry(session, self.project_id, delivery_id)

    def webhook(self, webhook_id: str) -> Webhook:
        with self.database.read() as session:
            return session.scalars(webhooks.get(self.project_id, webhook_id)).one()

    def delivery(self, delivery_id: str) -> Delivery:
        with self.database.read() as session:
            return session.scalars(deliveries.get(self.project_id, delivery_id)).one()

    def deliveries(self, webhook_id: str) -> list[Delivery]:
        with self.database.read() as session:
            return list(session.scalars(deliveries.page(self.project_id, webhook_id)))

    def attempts(self, delivery_id: str) -> list[Attempt]:
        with self.database.read() as session:
            return list(session.scalars(deliveries.attempts(self.project_id, delivery_id)))

    def reasons(self, delivery_id: str) -> list[str | None]:
        return [found.reason for found in self.attempts(delivery_id)]

    def finished(self, delivery_id: str) -> Delivery:
        until(lambda: self.delivery(delivery_id).finished_at is not None)
        return self.delivery(delivery_id)

    def pass_time(self, seconds: float) -> None:
        """Lets leases and pauses pass by moving them into the past."""
        with self.database.write.begin() as session:
            waiting = update(Delivery).where(Delivery.due_at.is_not(None)).values(due_at=Delivery.due_at - seconds)
            session.execute(waiting, execution_options={"synchronize_session": False})

    def sender(self, **more: Any) -> AbstractContextManager[Sender]:
        return Sending(Sender(self.database, quick(self.settings, **more)))


@dataclass
class Sending(AbstractContextManager[Sender]):
    sender: Sender

    def __enter__(self) -> Sender:
        self.sender.start()
        return self.sender

    def __exit__(self, *_: object) -> None:
        self.sender.stop()
