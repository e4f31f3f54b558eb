"""Deliveries: claimed by one sender at a time, tried again by the schedule, and kept with each attempt for a while."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Unpack

from sqlalchemy import ColumnElement, Select, delete, insert, select, update
from sqlalchemy.orm import Session

from . import webhooks
from .engine import Database, now
from .errors import NotFound
from .paging import Place, window
from .tables import Attempt, Delivery, Webhook

__all__ = [
    "GONE",
    "LOST",
    "STOPPED",
    "WAITING",
    "Claim",
    "Outcome",
    "Places",
    "Schedule",
    "attempts",
    "claim",
    "conclude",
    "due",
    "forget",
    "get",
    "page",
    "retry",
]

GONE = "gone"
FAILING = "failing"
LOST = "sender_lost"
STOPPED = "sender_stopped"
WAITING = ("pending", "sending")
JITTER = 0.2
FORGOTTEN_AT_ONCE = 500
QUIETLY = {"synchronize_session": False}


@dataclass(frozen=True)
class Claim:
    """The right to one attempt, with all that the request needs. `sent_at` is the moment by the database."""

    delivery_id: str
    webhook_id: str
    project_id: str
    event_id: str
    attempt: int
    sent_at: float
    url: str = field(repr=False)
    payload: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


class Outcome(NamedTuple):
    """How an attempt went; one without a reason has succeeded. `wait_s`: what the receiver asked for."""

    duration_s: float
    status_code: int | None = None
    reason: str | None = None
    detail: str | None = None
    answer: str | None = None
    wait_s: float = 0.0

    def written(self) -> dict[str, Any]:
        return {name: fact for name, fact in self._asdict().items() if name != "wait_s"}


class Places(NamedTuple):
    """How many deliveries one sender has in hand at a time: of all, of one webhook, of one project."""

    total: int
    each_webhook: int
    each_project: int


class Schedule(NamedTuple):
    """Pauses before the further tries, and after how long without any success a webhook is disabled."""

    pauses_s: Sequence[float]
    give_up_s: float


def get(project_id: str, delivery_id: str) -> Select[Delivery]:
    return select(Delivery).where(Delivery.project_id == project_id, Delivery.id == delivery_id)


def page(
    project_id: str,
    webhook_id: str,
    *,
    status: str | None = None,
    event_type: str | None = None,
    **place: Unpack[Place],
) -> Select[Delivery]:
    statement = select(Delivery).where(Delivery.project_id == project_id, Delivery.webhook_id == webhook_id)
    for column, value in ((Delivery.status, status), (Delivery.type, event_type)):
        if value is not None:
            statement = statement.where(column == value)
    return window(statement, Delivery, **place)


def attempts(project_id: str, delivery_id: str) -> Select[Attempt]:
    mine = select(Attempt).join(Delivery, Delivery.id == Attempt.delivery_id)
    return mine.where(Delivery.project_id == project_id, Delivery.id == delivery_id).order_by(Attempt.number)


def due(places: Places, held: Iterable[Claim]) -> Select[str]:
    """One delivery that there is a place for, if there is any."""
    return select(Delivery.id).where(*_due(places, held)).limit(1)


def claim(session: Session, places: Places, held: Sequence[Claim], lease_s: float) -> list[Claim]:
    """Takes what is due, the oldest first, as far as there are places; until the lease is over nobody else does."""
    wanted = select(Delivery, Webhook, now()).join(Webhook, Webhook.id == Delivery.webhook_id)
    looked_at = wanted.where(*_due(places, held)).order_by(Delivery.due_at, Delivery.id).limit(4 * places.total)
    locked = looked_at.with_for_update(skip_locked=True, of=Delivery)
    rows = session.execute(locked, execution_options={"populate_existing": True}).all()
    taken = _fitting(rows, places, held)
    _end_disabled(session, [row.id for row, webhook, _ in taken if not webhook.enabled])
    claims = [_claim(row, webhook, moment) for row, webhook, moment in taken if webhook.enabled]
    if claims:
        ids = [found.delivery_id for found in claims]
        broken_off = update(Attempt).where(
            Attempt.delivery_id.in_(ids), Attempt.reason.is_(None), Attempt.status_code.is_(None)
        )
        session.execute(broken_off.values(reason=LOST), execution_options=QUIETLY)
        counts = {"attempts": Delivery.attempts + 1, "tries": Delivery.tries + 1}
        sending = update(Delivery).where(Delivery.id.in_(ids))
        session.execute(sending.values(status="sending", due_at=now() + lease_s, **counts), execution_options=QUIETLY)
        session.execute(
            insert(Attempt), [{"delivery_id": found.delivery_id, "number": found.attempt} for found in claims]
        )
    return claims


def conclude(session: Session, claim: Claim, outcome: Outcome, schedule: Schedule) -> None:
    """Writes down how the attempt went; what follows from it only where nobody else has taken the delivery over."""
    found = session.execute(
        select(Webhook, now()).where(Webhook.id == claim.webhook_id).with_for_update(key_share=True),
        execution_options={"populate_existing": True},
    ).one_or_none()
    if found is None:
        return
    webhook, moment = found
    locked = get(claim.project_id, claim.delivery_id).with_for_update()
    row = session.scalar(locked, execution_options={"populate_existing": True})
    mine = update(Attempt).where(Attempt.delivery_id == claim.delivery_id, Attempt.number == claim.attempt)
    session.execute(mine.values(outcome.written()), execution_options=QUIETLY)
    if row is None or (row.attempts, row.status) != (claim.attempt, "sending"):
        return
    row.reason = outcome.reason
    if outcome.reason is None:
        _finish(row, "succeeded")
        webhook.failing_since = None
    elif outcome.reason == STOPPED and webhook.enabled:
        row.status, row.due_at, row.tries = "pending", moment, row.tries - 1
    else:
        webhook.failing_since = webhook.failing_since or moment
        _fail(session, row, webhook, outcome, schedule, moment)
    session.flush()


def retry(session: Session, project_id: str, delivery_id: str) -> Delivery:
    """Due at once and with a whole schedule before it, whatever became of it; one that is being sent stays as it is."""
    row = session.scalar(get(project_id, delivery_id))
    if row is None:
        raise NotFound(f"There is no delivery {delivery_id}.", kind="delivery", id=delivery_id)
    webhooks.require_enabled(webhooks.lock(session, project_id, row.webhook_id))
    session.refresh(row, with_for_update=True)
    if row.status != "sending":
        row.status, row.reason, row.tries, row.finished_at = "pending", None, 0, None
        row.due_at = now()
        session.flush()
    return row


def forget(database: Database, keep_s: float) -> Iterator[int]:
    """Removes deliveries that finished so long ago, some in each transaction."""
    old = select(Delivery.id).where(Delivery.finished_at < now() - keep_s).order_by(Delivery.finished_at)
    some = old.limit(FORGOTTEN_AT_ONCE).with_for_update(skip_locked=True)
    while True:
        with database.write.begin() as session:
            ids = session.scalars(some).all()
            session.execute(delete(Delivery).where(Delivery.id.in_(ids)), execution_options=QUIETLY)
        if not ids:
            return
        yield len(ids)


def _due(places: Places, held: Iterable[Claim]) -> Iterator[ColumnElement[bool]]:
    yield Delivery.status.in_(WAITING)
    yield Delivery.due_at <= now()
    in_hand = list(held)
    for column, counts, most in (
        (Delivery.webhook_id, Counter(claim.webhook_id for claim in in_hand), places.each_webhook),
        (Delivery.project_id, Counter(claim.project_id for claim in in_hand), places.each_project),
    ):
        full = [name for name, count in counts.items() if count >= most]
        if full:
            yield column.not_in(full)


def _fitting(rows: Iterable[Any], places: Places, held: Iterable[Claim]) -> list[Any]:
    in_hand = list(held)
    of_webhook = Counter(claim.webhook_id for claim in in_hand)
    of_project = Counter(claim.project_id for claim in in_hand)
    taken: list[Any] = []
    for found in rows:
        row = found[0]
        full = of_webhook[row.webhook_id] >= places.each_webhook or of_project[row.project_id] >= places.each_project
        if len(in_hand) + len(taken) < places.total and not full:
            taken.append(found)
            of_webhook[row.webhook_id] += 1
            of_project[row.project_id] += 1
    return taken


def _claim(row: Delivery, webhook: Webhook, moment: float) -> Claim:
    before = webhook.previous_secret
    both = before is not None and webhook.previous_until is not None and webhook.previous_until > moment
    return Claim(
        delivery_id=row.id,
        webhook_id=webhook.id,
        project_id=row.project_id,
        event_id=row.event_id,
        attempt=row.attempts + 1,
        sent_at=moment,
        url=webhook.url,
        payload=row.payload,
        secrets=(webhook.secret, before) if both and before is not None else (webhook.secret,),
    )


def _end_disabled(session: Session, ids: list[str]) -> None:
    """A delivery that was made while its webhook was being disabled."""
    if ids:
        ended = {"status": "failed", "reason": webhooks.DISABLED, "due_at": None, "finished_at": now()}
        session.execute(update(Delivery).where(Delivery.id.in_(ids)).values(ended), execution_options=QUIETLY)


def _fail(
    session: Session, row: Delivery, webhook: Webhook, outcome: Outcome, schedule: Schedule, moment: float
) -> None:
    left, reason = row.tries <= len(schedule.pauses_s), outcome.reason
    if reason == GONE or not webhook.enabled or not left:
        _finish(row, "failed")
    else:
        planned_s = schedule.pauses_s[row.tries - 1] * random.uniform(1.0, 1.0 + JITTER)
        asked_s = min(outcome.wait_s, max(schedule.pauses_s))
        row.status, row.due_at = "pending", moment + max(planned_s, asked_s)
    since = webhook.failing_since
    hopeless = not left and since is not None and since <= moment - schedule.give_up_s
    if webhook.enabled and (reason == GONE or hopeless):
        webhooks.disable(session, webhook, GONE if reason == GONE else FAILING)


def _finish(row: Delivery, status: str) -> None:
    row.status, row.due_at, row.finished_at = status, None, now()
