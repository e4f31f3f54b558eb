"""Everything at once: jobs change, webhooks come and go, senders claim and conclude. Nobody is in another's way."""

import random
import threading
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import select

from chaos_store import deliveries, gc, jobs, webhooks
from chaos_store.deliveries import Outcome, Places, Schedule
from chaos_store.engine import Database
from chaos_store.errors import NotFound, WebhookDisabled
from chaos_store.tables import Delivery, Webhook

ROUNDS = 25
OUTCOMES = (Outcome(0.1, 204), Outcome(0.1, 500, "status"), Outcome(0.1, 410, "gone"))


def test_no_job_ever_fails_because_of_a_webhook(
    database: Database, project_id: str, new_job: Callable[..., str]
) -> None:
    waiting = [new_job() for _ in range(ROUNDS)]
    errors: list[BaseException] = []

    def change_jobs() -> None:
        for job_id in waiting:
            with database.write.begin() as session:
                claim = jobs.claim(session, job_id, "tester", 60.0)
                assert claim is not None
            with database.write.begin() as session:
                jobs.succeed(session, claim)

    def come_and_go() -> None:
        for _ in range(ROUNDS):
            with database.write.begin() as session:
                made = webhooks.create(session, project_id=project_id, url="https://example.com/").id
            with database.write.begin() as session, suppress(NotFound):
                webhooks.change(session, project_id, made, enabled=random.random() < 0.7)
            if random.random() < 0.7:
                with database.write.begin() as session:
                    webhooks.delete(session, project_id, made)

    def send() -> None:
        for _ in range(ROUNDS):
            with database.write.begin() as session:
                claims = deliveries.claim(session, Places(9, 3, 9), (), random.choice((0.0, 60.0)))
            for claim in claims:
                with database.write.begin() as session:
                    deliveries.conclude(session, claim, random.choice(OUTCOMES), Schedule((0.0,), 0.0))

    def replay_and_forget() -> None:
        for _ in range(ROUNDS):
            with database.read() as session:
                known = session.scalars(select(Delivery.id).limit(5)).all()
            for delivery_id in known:
                with database.write.begin() as session, suppress(NotFound, WebhookDisabled):
                    deliveries.retry(session, project_id, delivery_id)
            gc.collect(database, grace_s=1e9, deliveries_s=0.0)

    def guarded(act: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                act()
            except BaseException as error:
                errors.append(error)

        return run

    acts = (change_jobs, come_and_go, come_and_go, send, send, replay_and_forget)
    threads = [threading.Thread(target=guarded(act)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with database.read() as session:
        orphans = select(Delivery.id).where(Delivery.webhook_id.not_in(select(Webhook.id)))
        assert session.scalars(orphans).all() == []
        assert {row.status for row in session.scalars(jobs.page(project_id, limit=100))} == {"succeeded"}
