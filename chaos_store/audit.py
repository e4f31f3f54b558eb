"""The audit log: changes and refusals, without secrets and without what was sent."""

from collections.abc import Sequence
from typing import TypedDict, Unpack

from sqlalchemy import Select, bindparam, delete, insert, or_, select
from sqlalchemy.orm import Session

from .engine import now
from .paging import Place, window
from .tables import AuditEvent, new_id

__all__ = ["Entry", "add", "forget", "page"]

ROWS_AT_ONCE = 5000


class Entry(TypedDict):
    """`age_s`: how long ago it happened when it is written."""

    project_id: str | None
    key_id: str | None
    request_id: str
    address: str | None
    method: str
    route: str
    status: int
    code: str | None
    resource_id: str | None
    age_s: float


class Filter(TypedDict, total=False):
    key_id: str | None
    method: str | None
    status: int | None
    code: str | None
    request_id: str | None
    resource_id: str | None


def add(session: Session, entries: Sequence[Entry]) -> None:
    rows = [{"id": new_id("aud"), **entry} for entry in entries]
    session.execute(insert(AuditEvent).values(created_at=now() - bindparam("age_s")), rows)


def page(project_id: str, *, place: Place, with_nobody: bool = False, **wanted: Unpack[Filter]) -> Select[AuditEvent]:
    """The project's; `with_nobody`: also refusals of requests with no key that is known."""
    mine = AuditEvent.project_id == project_id
    found = select(AuditEvent).where(or_(mine, AuditEvent.project_id.is_(None)) if with_nobody else mine)
    for name, value in wanted.items():
        if value is not None:
            found = found.where(getattr(AuditEvent, name) == value)
    return window(found, AuditEvent, **place)


def forget(session: Session, older_than_s: float) -> int:
    """Removes old events, a few thousand at a time; how many."""
    old = select(AuditEvent.id).where(AuditEvent.created_at < now() - older_than_s).order_by(AuditEvent.created_at)
    gone = delete(AuditEvent).where(AuditEvent.id.in_(old.limit(ROWS_AT_ONCE))).returning(AuditEvent.id)
    return len(session.scalars(gone, execution_options={"synchronize_session": False}).all())
