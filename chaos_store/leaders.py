"""One leader for a chore, elected by compare-and-set on a row."""

from sqlalchemy import or_
from sqlalchemy.orm import Session

from .engine import insert_for, now
from .tables import Lease

__all__ = ["lead"]


def lead(session: Session, name: str, owner: str, ttl_s: float) -> bool:
    """Whether `owner` leads `name` for the next `ttl_s` seconds."""
    statement = insert_for(session, Lease).values(name=name, owner=owner, until=now() + ttl_s)
    free = or_(Lease.until < now(), Lease.owner == owner)
    changes = {"owner": statement.excluded.owner, "until": statement.excluded.until}
    elected = statement.on_conflict_do_update(index_elements=["name"], set_=changes, where=free).returning(Lease.owner)
    return session.execute(elected).scalar_one_or_none() is not None
