"""Room for bytes: how much the service may store, and whether an error says that there is none."""

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from .errors import StorageFull
from .tables import Blob

__all__ = ["check", "is_full", "stored_bytes"]

DISK_FULL = "53100"
FULL_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
SPARE_BYTES = 32 * 1024 * 1024


def check(session: Session, incoming: int, limit: int | None) -> None:
    """StorageFull where `incoming` more bytes would cross the limit, or would not fit on the disk of SQLite."""
    if limit is not None:
        needed = stored_bytes(session) + incoming
        if needed > limit:
            raise StorageFull(f"{needed} bytes would be stored, {limit} are allowed.", value=needed, limit=limit)
    free = _free_bytes(session)
    if free is not None and incoming + SPARE_BYTES > free:
        raise StorageFull(f"{incoming} bytes are too many for the disk of the database.", value=incoming, limit=free)


def stored_bytes(session: Session) -> int:
    return int(session.scalar(select(func.coalesce(func.sum(Blob.size), 0))) or 0)


def _free_bytes(session: Session) -> int | None:
    """Where the database is a file here; what another machine has left is its own secret."""
    url = session.connection().engine.url
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return shutil.disk_usage(Path(url.database).parent).free


def is_full(error: BaseException) -> bool:
    """Whether the disk of the database, or of this process, has no room left."""
    return any(_says_full(link) for link in _chain(error))


def _says_full(error: BaseException) -> bool:
    if isinstance(error, StorageFull):
        return True
    if isinstance(error, OSError) and error.errno in FULL_ERRNOS:
        return True
    if getattr(error, "sqlite_errorcode", None) in FULL_CODES:
        return True
    return DISK_FULL in (getattr(error, "sqlstate", None), getattr(error, "pgcode", None))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is not None and link not in seen:
            seen.append(link)
            yield link
            original = getattr(link, "orig", None)
            waiting += [link.__cause__, link.__context__, original if isinstance(original, BaseException) else None]
