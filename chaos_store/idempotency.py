"""One effect for each Idempotency-Key, whoever dies when.

A request takes its key by compare-and-set with a lock that expires. The transaction that makes something also writes
what it made into the key's row, and only while the lock is still its own: so an effect and its mark come together, and
who lost the lock commits nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, event, or_, select, tuple_, update
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.orm.session import sessionmaker

from .engine import AsyncDatabase, Database, insert_for, now
from .errors import IdempotencyInProgress
from .tables import Base, Blob, BlobChunk, IdempotencyKey, JobEvent, new_id

__all__ = ["Answer", "Claim", "acting", "find", "follow", "forget", "free", "keep", "renew", "restore", "take"]

NO_EFFECT = frozenset({Blob.__tablename__, BlobChunk.__tablename__, IdempotencyKey.__tablename__})
"""Bytes that nothing refers to are no effect: the collector takes them."""
ROWS_PER_TRANSACTION = 500
QUIETLY = {"synchronize_session": False}


@dataclass
class Claim:
    """A request that holds, or wants, its key; `made` grows with each committed effect."""

    project_id: str
    key: str
    fingerprint: str
    owner: str = field(default_factory=lambda: new_id("claim"))
    made: list[str] | None = None
    acts: bool = False

    def row(self) -> ColumnElement[bool]:
        return and_(IdempotencyKey.project_id == self.project_id, IdempotencyKey.key == self.key)

    def held(self) -> ColumnElement[bool]:
        return and_(self.row(), IdempotencyKey.owner == self.owner, IdempotencyKey.status.is_(None))


@dataclass(frozen=True)
class Answer:
    status: int
    media_type: str | None
    location: str | None
    body: bytes


ACTING: ContextVar[Claim | None] = ContextVar("acting", default=None)


@contextmanager
def acting(claim: Claim) -> Iterator[None]:
    """What is written here, in threads too, is an effect of the request; what tasks of it write later is none."""
    token, claim.acts = ACTING.set(claim), True
    try:
        yield
    finally:
        ACTING.reset(token)
        claim.acts = False


def _acting() -> Claim | None:
    claim = ACTING.get()
    return claim if claim is not None and claim.acts else None


def find(project_id: str, key: str) -> Select[IdempotencyKey, bool, bool]:
    """The row, whether somebody works on it, and whether the key may be taken."""
    columns = (IdempotencyKey, (~_unlocked()).label("locked"), _free().label("free"))
    return select(*columns).where(IdempotencyKey.project_id == project_id, IdempotencyKey.key == key)


def take(session: Session, claim: Claim, *, lock_s: float, keep_s: float) -> bool:
    """Whether the key is now the claim's."""
    fresh = {"fingerprint": claim.fingerprint, "owner": claim.owner, "made": None, "status": None, "media_type": None}
    fresh |= {"location": None, "body": None}
    times = {"locked_until": now() + lock_s, "expires_at": now() + keep_s, "created_at": now()}
    values: dict[str, Any] = fresh | times
    own = {"project_id": claim.project_id, "key": claim.key}
    statement = insert_for(session, IdempotencyKey).values(own | values)
    taken = statement.on_conflict_do_update(index_elements=["project_id", "key"], set_=values, where=_free())
    return session.scalar(taken.returning(IdempotencyKey.owner)) is not None


def renew(session: Session, claim: Claim, *, lock_s: float) -> bool:
    return _change(session, claim.held(), locked_until=now() + lock_s)


def keep(session: Session, claim: Claim, answer: Answer) -> bool:
    """Stores what is answered from now on; False where another answer stands, or the key is somebody else's."""
    return _answer(session, claim.held(), answer)


def restore(session: Session, claim: Claim, answer: Answer) -> bool:
    """Stores an answer that was built anew, of a request whose process died between its effect and its answer."""
    unanswered = and_(claim.row(), IdempotencyKey.status.is_(None), IdempotencyKey.made.is_not(None), _unlocked())
    return _answer(session, unanswered, answer)


def free(session: Session, claim: Claim) -> None:
    """Nothing is kept: the key can be taken again where nothing was made, else the answer can be built anew."""
    nothing_made = delete(IdempotencyKey).where(claim.held(), IdempotencyKey.made.is_(None))
    session.execute(nothing_made, execution_options=QUIETLY)
    _change(session, claim.held(), locked_until=now() - 1.0)


def forget(database: Database) -> int:
    """Removes keys whose time is over; how many."""
    old = select(IdempotencyKey.project_id, IdempotencyKey.key).where(IdempotencyKey.expires_at < now(), _unlocked())
    gone = 0
    while True:
        with database.write.begin() as session:
            found = session.execute(old.limit(ROWS_PER_TRANSACTION).with_for_update(skip_locked=True)).all()
            keys = tuple_(IdempotencyKey.project_id, IdempotencyKey.key).in_([tuple(key) for key in found])
            if found:
                session.execute(delete(IdempotencyKey).where(keys), execution_options=QUIETLY)
        gone += len(found)
        if len(found) < ROWS_PER_TRANSACTION:
            return gone


def follow(database: Database | AsyncDatabase) -> None:
    """From now on the database's write transactions mark the request in which they happen."""
    if isinstance(database, Database):
        _listen(database.write)
        return
    followed = type("FollowedSession", (Session,), {})
    _listen(followed)
    database.write.configure(sync_session_class=followed)


def _listen(sessions: sessionmaker[Session] | type[Session]) -> None:
    listeners: dict[str, Callable[..., None]] = {
        "after_flush": _note_objects,
        "do_orm_execute": _note_statement,
        "before_commit": _mark,
        "after_commit": _remember,
        "after_soft_rollback": _forget_notes,
    }
    for name, listener in listeners.items():
        event.listen(sessions, name, listener)


def _note_objects(session: Session, _context: object) -> None:
    if _acting() is None:
        return
    changed = [row for row in (*session.new, *session.dirty, *session.deleted) if isinstance(row, Base)]
    if any(row.__tablename__ not in NO_EFFECT for row in changed):
        made = [
            f"{row.__tablename__}/{identity}"
            for row in session.new
            if isinstance(row, Base) and not isinstance(row, JobEvent) and (identity := getattr(row, "id", None))
        ]
        session.info.setdefault("made", []).extend(made)


def _note_statement(state: ORMExecuteState) -> None:
    if _acting() is None or not (state.is_insert or state.is_update or state.is_delete):
        return
    table = None if state.bind_mapper is None else getattr(state.bind_mapper.local_table, "name", None)
    if table not in NO_EFFECT:
        state.session.info.setdefault("made", [])


def _mark(session: Session) -> None:
    """In the transaction of the effect: it is marked, or it does not happen."""
    claim = _acting()
    if claim is None:
        return
    session.flush()
    noted = session.info.pop("made", None)
    if noted is None:
        return
    made = [*(claim.made or []), *noted]
    if not _change(session, claim.held(), made=made):
        raise IdempotencyInProgress("this request was too slow, and a repeat of it took the key over")
    session.info["marked"] = claim, made


def _remember(session: Session) -> None:
    if "marked" in session.info:
        claim, made = session.info.pop("marked")
        claim.made = made


def _forget_notes(session: Session, _previous: object) -> None:
    session.info.pop("made", None)
    session.info.pop("marked", None)


def _answer(session: Session, where: ColumnElement[bool], answer: Answer) -> bool:
    given = {"status": answer.status, "media_type": answer.media_type, "location": answer.location}
    return _change(session, where, body=answer.body, locked_until=now(), **given)


def _change(session: Session, where: ColumnElement[bool], **values: Any) -> bool:
    statement = update(IdempotencyKey).where(where).values(values).returning(IdempotencyKey.key)
    return session.scalar(statement, execution_options=QUIETLY) is not None


def _unlocked() -> ColumnElement[bool]:
    return IdempotencyKey.locked_until < now()


def _free() -> ColumnElement[bool]:
    """The time is over, or who had the key died before anything was made."""
    untouched = and_(IdempotencyKey.made.is_(None), IdempotencyKey.status.is_(None))
    return and_(_unlocked(), or_(untouched, IdempotencyKey.expires_at < now()))
