"""Room for bytes: how much the service may store, and whether an error says that there is none."""

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from .errors import StorageFull
from .tables import Blob

__all__ = ["check", "check_disk", "is_full", "stored_bytes"]

DISK_FULL = "53100"
FULL_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
SPARE_BYTES = 16 * 1024 * 1024
UNUSED_BYTES = text("SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size")


def check(session: Session, incoming: int, limit: int | None) -> None:
    """StorageFull where `incoming` more bytes would cross the limit, or would fill the disk of SQLite."""
    if limit is not None:
        needed = stored_bytes(session) + incoming
        if needed > limit:
            raise StorageFull(f"{needed} bytes would be stored, {limit} are allowed.", value=needed, limit=limit)
    check_disk(session, incoming)


def check_disk(session: Session, incoming: int) -> None:
    """Bytes may not take the last room: on a disk that is quite full SQLite cannot even delete.

    What its journal holds may be needed once more, in the database; pages given back are used again. The disk of a
    database on another machine is not known here.
    """
    url = session.connection().engine.url
    if url.get_backend_name() != "sqlite" or not url.database:
        return
    journal = Path(f"{url.database}-wal")
    with suppress(FileNotFoundError):
        incoming += journal.stat().st_size
    unused = session.execute(UNUSED_BYTES).scalar_one()
    room = shutil.disk_usage(journal.parent).free + unused - SPARE_BYTES
    if incoming > room:
        detail = f"{incoming} bytes would leave less than {SPARE_BYTES} on the disk of the database."
        raise StorageFull(detail, value=incoming, limit=max(0, room))


def stored_bytes(session: Session) -> int:
    return int(session.scalar(select(func.coalesce(func.sum(Blob.size), 0))) or 0)


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
