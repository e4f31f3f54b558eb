"""Gives back what nobody needs: unused blobs, uploads broken off or given up, jobs whose time to be kept is over.

Each step is a short transaction. Rows are locked before the question "does anybody use this?" is asked again, and rows
that somebody else has locked are left for the next time: so no upload and no job ever waits for a broken promise.
"""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, select, tuple_
from sqlalchemy.orm import Session

from . import commands, deliveries, idempotency, uploads
from .capacity import USERS
from .engine import Database, now
from .errors import StoreError
from .states import FINISHED
from .tables import Blob, BlobChunk, Job, Project, Upload

__all__ = ["USERS", "Collected", "broken_uploads", "collect", "steps", "total"]

BLOBS_PER_TRANSACTION = 100
CHUNKS_PER_TRANSACTION = 32
JOBS_PER_LOOK = 100
QUIETLY = {"synchronize_session": False}

log = logging.getLogger(__name__)


class Collected(NamedTuple):
    blobs: int = 0
    bytes: int = 0
    broken_uploads: int = 0
    expired_jobs: int = 0
    deliveries: int = 0
    idempotency_keys: int = 0
    expired_uploads: int = 0


def collect(database: Database, *, grace_s: float, deliveries_s: float = math.inf) -> Collected:
    """One round over everything; what is younger than the grace stays, used or not."""
    return total(steps(database, grace_s=grace_s, deliveries_s=deliveries_s))


def total(parts: Iterable[Collected]) -> Collected:
    return Collected(*map(sum, zip(Collected(), *parts, strict=True)))


def steps(database: Database, *, grace_s: float, deliveries_s: float = math.inf) -> Iterator[Collected]:
    """The round in short transactions, for a caller who may have to stop between them."""
    yield from (Collected(deliveries=count) for count in deliveries.forget(database, deliveries_s))
    yield from _expired_jobs(database)
    yield from _expired_uploads(database)
    yield from _unused_blobs(database, grace_s)
    yield from broken_uploads(database, grace_s=grace_s)
    yield Collected(idempotency_keys=idempotency.forget(database))


def broken_uploads(database: Database, *, grace_s: float) -> Iterator[Collected]:
    """Chunks of no blob and of no upload under way, the newest of them older than the grace."""
    orphans = select(BlobChunk.content).where(*_forsaken()).distinct()
    with database.read() as session:
        contents = session.scalars(orphans).all()
        old = [content for content in contents if _is_older(session, content, grace_s)]
    for content in old:
        yield Collected(broken_uploads=int(_remove_chunks(database, [content])))


def _expired_jobs(database: Database) -> Iterator[Collected]:
    over = select(Job.project_id, Job.id).join(Project, Project.id == Job.project_id)
    over = over.where(Job.status.in_(list(FINISHED)), Job.finished_at < now() - Project.retention_s)
    seen = ""
    while True:
        with database.read() as session:
            found = session.execute(over.where(Job.id > seen).order_by(Job.id).limit(JOBS_PER_LOOK)).all()
        if not found:
            return
        for project_id, seen in found:
            yield Collected(expired_jobs=int(_delete_job(database, project_id, seen)))


def _delete_job(database: Database, project_id: str, job_id: str) -> bool:
    try:
        with database.write.begin() as session:
            commands.delete(session, project_id, job_id)
    except StoreError as error:
        log.info("%s is kept: %s", job_id, error)
        return False
    return True


def _expired_uploads(database: Database) -> Iterator[Collected]:
    """The row goes first, so that no part can be added; its chunks are then chunks of nobody."""
    over = select(Upload).where(Upload.expires_at < now()).order_by(Upload.id).limit(1)
    while True:
        with database.write.begin() as session:
            upload = session.scalar(over.with_for_update(skip_locked=True))
            if upload is None:
                return
            content, was_open = upload.content, upload.status == "open"
            uploads.remove_row(session, upload)
        if was_open:
            _remove_chunks(database, [content])
        yield Collected(expired_uploads=int(was_open))


def _unused_blobs(database: Database, grace_s: float) -> Iterator[Collected]:
    seen = ""
    while True:
        with database.write.begin() as session:
            locked = session.scalars(_unused(grace_s, after=seen)).all()
            gone = _delete_unused(session, locked, grace_s)
        if not locked:
            return
        seen = locked[-1]
        _remove_chunks(database, [content for content, _ in gone])
        yield Collected(blobs=len(gone), bytes=sum(size for _, size in gone))


def _unused(grace_s: float, *, after: str) -> Select[str]:
    unused = select(Blob.sha256).where(Blob.sha256 > after, *_may_go(grace_s))
    return unused.order_by(Blob.sha256).limit(BLOBS_PER_TRANSACTION).with_for_update(skip_locked=True)


def _delete_unused(session: Session, sha256s: Sequence[str], grace_s: float) -> Sequence[tuple[str, int]]:
    """Asked once more now that the rows are locked: a reference made in between is seen, a later one has to wait."""
    statement = delete(Blob).where(Blob.sha256.in_(sha256s), *_may_go(grace_s)).returning(Blob.content, Blob.size)
    rows = session.execute(statement, execution_options=QUIETLY).all()
    return [(content, size) for content, size in rows]


def _may_go(grace_s: float) -> Iterator[ColumnElement[bool]]:
    yield Blob.created_at < now() - grace_s
    for user in USERS:
        yield ~exists().where(user == Blob.sha256)


def _forsaken() -> Iterator[ColumnElement[bool]]:
    yield ~exists().where(Blob.content == BlobChunk.content)
    yield ~exists().where(and_(Upload.content == BlobChunk.content, Upload.status == "open"))


def _is_older(session: Session, content: str, grace_s: float) -> bool:
    newest = func.max(func.coalesce(BlobChunk.created_at, 0.0))
    return bool(session.scalar(select(newest < now() - grace_s).where(BlobChunk.content == content)))


def _remove_chunks(database: Database, contents: Sequence[str]) -> bool:
    """From the end, a few at a time; False where the upload turned out to be alive."""
    mine = select(BlobChunk.content, BlobChunk.idx).where(BlobChunk.content.in_(contents), *_forsaken())
    last_ones = mine.order_by(BlobChunk.content, BlobChunk.idx.desc()).limit(CHUNKS_PER_TRANSACTION)
    removed = False
    while True:
        with database.write.begin() as session:
            locked = session.execute(last_ones.with_for_update(skip_locked=True)).all()
            chunks = tuple_(BlobChunk.content, BlobChunk.idx).in_([tuple(key) for key in locked])
            statement = delete(BlobChunk).where(chunks, *_forsaken()).returning(BlobChunk.idx)
            if not locked or not session.scalars(statement, execution_options=QUIETLY).all():
                return removed
        removed = True
