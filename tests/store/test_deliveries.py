"""Who may send what, when, and what becomes of it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from chaos_store import announcements, deliveries, gc, keys, webhooks
from chaos_store.deliveries import GONE, LOST, STOPPED, Claim, Outcome, Places, Schedule
from chaos_store.engine import Database, now
from chaos_store.errors import NotFound, TooManyWebhooks, WebhookDisabled
from chaos_store.tables import Attempt, Delivery, Webhook

URL = "https://example.com/"
MANY = Places(100, 100, 100)
SCHEDULE = Schedule((10.0, 100.0), 1000.0)
WENT_WELL = Outcome(0.1, 204)
WENT_BADLY = Outcome(0.1, 500, "status", None, "no")


@pytest.fixture
def webhook(database: Database, project_id: str) -> Webhook:
    return _add(database, project_id)


def _add(database: Database, project_id: str, **words: Any) -> Webhook:
    with database.write.begin() as session:
        return webhooks.create(session, project_id=project_id, url=URL, **words)


def _test(database: Database, webhook: Webhook) -> str:
    with database.write.begin() as session:
        return announcements.send_test(session, webhook.project_id, webhook.id).id


def _claims(
    database: Database, places: Places = MANY, held: tuple[Claim, ...] = (), lease_s: float = 60.0
) -> list[Claim]:
    with database.write.begin() as session:
        return deliveries.claim(session, places, held, lease_s)


def _conclude(database: Database, claim: Claim, outcome: Outcome, schedule: Schedule = SCHEDULE) -> Delivery:
    with database.write.begin() as session:
        deliveries.conclude(session, claim, outcome, schedule)
    with database.read() as session:
        return session.scalars(select(Delivery).where(Delivery.id == claim.delivery_id)).one()


def _attempts(database: Database, project_id: str, delivery_id: str) -> list[Attempt]:
    with database.read() as session:
        return list(session.scalars(deliveries.attempts(project_id, delivery_id)))


def _row(database: Database, table: type[Any], row_id: str) -> Any:
    with database.read() as session:
        return session.scalars(select(table).where(table.id == row_id)).one()


@pytest.fixture
def later(database: Database) -> Callable[[float], None]:
    def move(seconds: float) -> None:
        with database.write.begin() as session:
            for table, name in ((Delivery, "due_at"), (Delivery, "finished_at"), (Webhook, "failing_since")):
                moved = update(table).values({name: getattr(table, name) - seconds})
                session.execute(moved, execution_options={"synchronize_session": False})

    return move


def test_a_claimed_delivery_is_nobody_elses_until_the_lease_is_over(
    database: Database, webhook: Webhook, later: Callable[[float], None]
) -> None:
    delivery_id = _test(database, webhook)
    [claim] = _claims(database)
    assert (claim.delivery_id, claim.attempt, claim.secrets) == (delivery_id, 1, (webhook.secret,))
    assert _claims(database) == []
    later(61.0)
    [again] = _claims(database)
    assert (again.attempt, again.event_id, again.payload) == (2, claim.event_id, claim.payload)
    row = _conclude(database, claim, WENT_WELL)
    assert row.status == "sending", "the late one no longer decides"
    assert _conclude(database, again, WENT_BADLY).status == "pending"
    found = _attempts(database, webhook.project_id, delivery_id)
    assert [(attempt.status_code, attempt.reason) for attempt in found] == [(204, None), (500, "status")]


def test_an_attempt_whose_sender_was_lost_says_so(
    database: Database, webhook: Webhook, later: Callable[[float], None]
) -> None:
    delivery_id = _test(database, webhook)
    _claims(database)
    later(61.0)
    _claims(database)
    assert [found.reason for found in _attempts(database, webhook.project_id, delivery_id)] == [LOST, None]


def test_senders_at_once_never_take_the_same(database: Database, project_id: str) -> None:
    made = {_test(database, _add(database, project_id)) for _ in range(30)}
    taken: list[str] = []
    start = threading.Barrier(3)

    def take() -> None:
        start.wait()
        for _ in range(40):
            taken.extend(claim.delivery_id for claim in _claims(database, Places(2, 2, 2)))

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(made)


def test_the_oldest_due_comes_first_and_nobody_takes_more_than_its_places(database: Database, project_id: str) -> None:
    first, second = _add(database, project_id), _add(database, project_id)
    with database.write.begin() as session:
        stranger = keys.create_project(session, "other").id
    foreign = _add(database, stranger)
    made = [_test(database, found) for found in (first, first, first, second, second, foreign)]
    places = Places(total=5, each_webhook=2, each_project=3)
    held = tuple(_claims(database, places))
    assert [claim.delivery_id for claim in held] == [made[0], made[1], made[3], made[5]]
    assert _claims(database, places, held) == []
    with database.read() as session:
        assert session.scalar(deliveries.due(places, held)) is None
        assert session.scalar(deliveries.due(places, held[1:])) is not None
    [more] = _claims(database, places, held[1:])
    assert more.delivery_id == made[2]


def test_pauses_follow_the_schedule_with_jitter_and_end_in_failure(
    database: Database, webhook: Webhook, later: Callable[[float], None]
) -> None:
    delivery_id = _test(database, webhook)
    for pause_s in SCHEDULE.pauses_s:
        [claim] = _claims(database)
        row = _conclude(database, claim, WENT_BADLY)
        with database.read() as session:
            left = row.due_at - (session.scalar(select(now())) or 0.0)  # type: ignore[operator]
        assert row.status == "pending" and pause_s - 5 < left <= pause_s * 1.2
        assert _claims(database) == []
        later(pause_s * 1.3)
    [claim] = _claims(database)
    row = _conclude(database, claim, WENT_BADLY)
    assert (row.status, row.due_at, row.attempts) == ("failed", None, 3)
    assert _row(database, Webhook, webhook.id).enabled, "one delivery given up is not for long"
    assert delivery_id == row.id


def test_a_webhook_that_nothing_reached_for_long_is_disabled_with_the_last_try_of_a_delivery(
    database: Database, webhook: Webhook, later: Callable[[float], None]
) -> None:
    waiting = _test(database, webhook)
    once = Schedule((), 1000.0)
    [claim] = _claims(database)
    _conclude(database, claim, WENT_BADLY, once)
    later(1001.0)
    given_up, left = _test(database, webhook), _test(database, webhook)
    [claim] = _claims(database, Places(1, 1, 1))
    assert claim.delivery_id == given_up != waiting
    _conclude(database, claim, WENT_BADLY, once)
    found = _row(database, Webhook, webhook.id)
    assert (found.enabled, found.disabled_reason) == (False, "failing")
    row = _row(database, Delivery, left)
    assert (row.status, row.reason, row.due_at) == ("failed", "webhook_disabled", None)
    with database.write.begin() as session:
        enabled = webhooks.change(session, webhook.project_id, webhook.id, enabled=True)
        assert (enabled.disabled_reason, enabled.disabled_at, enabled.failing_since) == (None, None, None)


def test_a_success_forgets_the_failures_before(
    database: Database, webhook: Webhook, later: Callable[[float], None]
) -> None:
    for outcome in (WENT_BADLY, WENT_WELL):
        _test(database, webhook)
        [claim] = _claims(database, Places(1, 1, 1))
        _conclude(database, claim, outcome, Schedule((1e6,), 1.0))
    assert _row(database, Webhook, webhook.id).failing_since is None


def test_gone_disables_at_once_and_an_interrupted_attempt_counts_nothing(database: Database, webhook: Webhook) -> None:
    _test(database, webhook)
    [claim] = _claims(database)
    row = _conclude(database, claim, Outcome(0.1, reason=STOPPED))
    assert (row.status, row.tries, row.attempts) == ("pending", 0, 1)
    assert _row(database, Webhook, webhook.id).failing_since is None
    [claim] = _claims(database)
    assert _conclude(database, claim, Outcome(0.1, 410, GONE)).status == "failed"
    assert _row(database, Webhook, webhook.id).disabled_reason == GONE


def test_what_was_made_while_its_webhook_was_disabled_is_ended_unsent(database: Database, webhook: Webhook) -> None:
    delivery_id = _test(database, webhook)
    with database.write.begin() as session:
        session.execute(update(Webhook).values(enabled=False))
    assert _claims(database) == []
    row = _row(database, Delivery, delivery_id)
    assert (row.status, row.reason, row.attempts) == ("failed", "webhook_disabled", 0)


def test_a_webhook_that_is_disabled_while_it_is_sent_to_gets_no_further_try(
    database: Database, webhook: Webhook
) -> None:
    _test(database, webhook)
    [claim] = _claims(database)
    with database.write.begin() as session:
        webhooks.change(session, webhook.project_id, webhook.id, enabled=False)
    assert _conclude(database, claim, WENT_BADLY).status == "failed"


def test_a_replay_has_the_whole_schedule_before_it(database: Database, webhook: Webhook) -> None:
    delivery_id = _test(database, webhook)
    [claim] = _claims(database)
    with database.write.begin() as session:
        assert deliveries.retry(session, webhook.project_id, delivery_id).status == "sending", "under way already"
    _conclude(database, claim, WENT_BADLY, Schedule((), 1e9))
    with database.write.begin() as session:
        row = deliveries.retry(session, webhook.project_id, delivery_id)
        assert (row.status, row.tries, row.attempts, row.finished_at) == ("pending", 0, 1, None)
    [again] = _claims(database)
    assert (again.attempt, again.event_id) == (2, claim.event_id)
    with database.write.begin() as session:
        webhooks.change(session, webhook.project_id, webhook.id, enabled=False)
        with pytest.raises(WebhookDisabled):
            deliveries.retry(session, webhook.project_id, delivery_id)
        with pytest.raises(NotFound):
            deliveries.retry(session, "prj_other", delivery_id)


def test_deleting_a_webhook_takes_its_log_and_what_is_under_way_ends_quietly(
    database: Database, webhook: Webhook
) -> None:
    _test(database, webhook)
    [claim] = _claims(database)
    with database.write.begin() as session:
        webhooks.delete(session, webhook.project_id, webhook.id)
        deliveries.conclude(session, claim, WENT_WELL, SCHEDULE)
    with database.read() as session:
        assert session.scalars(select(Delivery)).all() == session.scalars(select(Attempt)).all() == []


def test_finished_deliveries_are_forgotten_after_their_time_and_no_others(
    database: Database, webhook: Webhook, later: Callable[[float], None]
) -> None:
    old, open_one = _test(database, webhook), _test(database, webhook)
    _conclude(database, _claims(database, Places(1, 1, 1))[0], WENT_WELL)
    later(100.0)
    young = _test(database, webhook)
    _conclude(database, _claims(database)[-1], WENT_WELL)
    assert gc.collect(database, grace_s=1e9).deliveries == 0
    assert gc.collect(database, grace_s=1e9, deliveries_s=50.0) == gc.Collected(deliveries=1)
    with database.read() as session:
        assert sorted(session.scalars(select(Delivery.id))) == sorted([open_one, young])
    assert _attempts(database, webhook.project_id, old) == []


def test_a_project_has_so_many_webhooks_and_no_more_however_many_ask_at_once(
    database: Database, project_id: str
) -> None:
    refused = 0
    start = threading.Barrier(4)

    def ask() -> None:
        nonlocal refused
        start.wait()
        for _ in range(2):
            try:
                _add(database, project_id, max_webhooks=5)
            except TooManyWebhooks as error:
                assert error.fields == {"value": 5, "limit": 5}
                refused += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert (len(session.scalars(webhooks.page(project_id)).all()), refused) == (5, 3)


def test_claims_and_rows_do_not_show_the_secret(database: Database, webhook: Webhook) -> None:
    _test(database, webhook)
    [claim] = _claims(database)
    for shown in (repr(claim), str(claim), repr(webhook)):
        assert webhook.secret not in shown and URL not in shown
