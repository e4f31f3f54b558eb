"""One leader for a chore: nobody else does it at the same time, nor before the leader has been silent for a while."""

import hashlib

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from .engine import insert_for, now
from .tables import Lease

__all__ = ["lead"]


def lead(session: Session, name: str, owner: str, ttl_s: float) -> bool:
    """Whether `owner` leads `name` for the next `ttl_s` seconds.

    The row says who leads. On Postgres a lock of the transaction comes first, so that others turn away at once
    where they would wait for a leader that is at work, or frozen.
    """
    if not _alone(session, name):
        return False
    statement = insert_for(session, Lease).values(name=name, owner=owner, until=now() + ttl_s)
    free = or_(Lease.until < now(), Lease.owner == owner)
    changes = {"owner": statement.excluded.owner, "until": statement.excluded.until}
    elected = statement.on_conflict_do_update(index_elements=["name"], set_=changes, where=free).returning(Lease.owner)
    return session.execute(elected).scalar_one_or_none() is not None


def _alone(session: Session, name: str) -> bool:
    if session.get_bind().dialect.name != "postgresql":
        return True
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    return session.scalar(select(func.pg_try_advisory_xact_lock(key))) is True
