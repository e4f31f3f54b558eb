"""Room: how much the service may store, what each project may have, and whether an error says that nothing is left."""

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, func, literal, or_, select, text, union
from sqlalchemy.orm import Session

from . import usage
from .errors import QuotaBytes, QuotaCoreHours, QuotaJobs, StorageFull
from .states import FINISHED, State
from .tables import Artifact, Base, Blob, Job, Project

__all__ = [
    "USERS",
    "bytes_by_kind",
    "check",
    "check_disk",
    "foresee_bytes",
    "is_full",
    "project_bytes",
    "require_bytes",
    "require_turn",
    "stored_bytes",
]

USERS = tuple(
    column
    for table in Base.metadata.sorted_tables
    for column in table.columns
    if any(key.target_fullname == "blob.sha256" for key in column.foreign_keys)
)
"""Every column that refers to a blob, so that a new table's bytes are never taken for unused, nor for nobody's."""

DISK_FULL = "53100"
FULL_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
HOUR_S = 3600
KINDS = {"trained_model": "model"}
"""Kinds of stored bytes are those of the artifacts, and else the names of the tables."""
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


def foresee_bytes(session: Session, project_id: str, incoming: int) -> None:
    """QuotaBytes where so many more would be too many; nothing is locked, so `require_bytes` has to ask again."""
    project = session.execute(_quotas(project_id)).first()
    if project is not None and project.quota_bytes is not None:
        _within_bytes(session, project_id, incoming, project.quota_bytes)


def require_bytes(session: Session, project_id: str) -> None:
    """QuotaBytes where the project has more bytes than it may.

    Asked after the rows are written and before the transaction ends: the project's row is locked from here on, so
    that of several that come at once none can overlook another.
    """
    project = session.execute(_quotas(project_id).with_for_update(key_share=True)).first()
    if project is not None and project.quota_bytes is not None:
        _within_bytes(session, project_id, 0, project.quota_bytes)


def require_turn(session: Session, project_id: str) -> None:
    """Whether the project may queue one job more; locks as `require_bytes` does."""
    project = session.execute(_quotas(project_id).with_for_update(key_share=True)).first()
    if project is None:
        return
    if project.quota_jobs is not None:
        used = (
            session.scalar(select(func.count()).select_from(Job).where(Job.project_id == project_id, _at_hand())) or 0
        )
        if used >= project.quota_jobs:
            raise QuotaJobs(f"{used} jobs wait or run, {project.quota_jobs} may.", used=used, limit=project.quota_jobs)
    if project.quota_core_hours is not None:
        hours = (session.scalar(usage.core_seconds(project_id)) or 0.0) / HOUR_S
        if hours >= project.quota_core_hours:
            detail = f"Jobs ran for {hours:.2f} h in {usage.PERIOD_DAYS} days, {project.quota_core_hours:g} h may be."
            raise QuotaCoreHours(detail, used=hours, limit=project.quota_core_hours)
    if project.quota_bytes is not None:
        _within_bytes(session, project_id, 0, project.quota_bytes)


def bytes_by_kind(project_id: str) -> Select[str, int]:
    """What the project's rows refer to, the same bytes of one kind counted once."""
    used = union(*(_used(column, project_id) for column in USERS)).subquery()
    sizes = select(used.c.kind, func.sum(Blob.size)).join(Blob, Blob.sha256 == used.c.sha256)
    return sizes.group_by(used.c.kind)


def project_bytes(project_id: str) -> Select[int]:
    """What the project's rows refer to, the same bytes counted once."""
    used = union(*(_used(column, project_id) for column in USERS)).subquery()
    mine = select(used.c.sha256).distinct().scalar_subquery()
    return select(func.coalesce(func.sum(Blob.size), 0)).where(Blob.sha256.in_(mine))


def _within_bytes(session: Session, project_id: str, incoming: int, limit: int) -> None:
    needed = int(session.scalar(project_bytes(project_id)) or 0) + incoming
    if needed > limit:
        raise QuotaBytes(f"{needed} bytes would be stored, {limit} may be.", used=needed, limit=limit)


def _quotas(project_id: str) -> Select[int | None, int | None, float | None]:
    """No row where there are none: then nothing is locked."""
    quotas = (Project.quota_bytes, Project.quota_jobs, Project.quota_core_hours)
    some = or_(*(quota.is_not(None) for quota in quotas))
    return select(*quotas).where(Project.id == project_id, some)


def _at_hand() -> ColumnElement[bool]:
    """Jobs that wait or run; a paused one does neither."""
    return Job.status.not_in([state.value for state in FINISHED | {State.paused}])


def _used(column: Any, project_id: str) -> Select[str, str]:
    table = column.table
    kind = Artifact.kind if table is Artifact.__table__ else literal(KINDS.get(table.name, table.name))
    owner = _owner(table)
    found = select(kind.label("kind"), column.label("sha256")).where(owner.c.project_id == project_id)
    return (found if owner is table else found.join(owner)).where(column.is_not(None))


def _owner(table: FromClause) -> FromClause:
    """The table that says whose the rows are: the same, or one that it refers to."""
    if "project_id" in table.c:
        return table
    return next(key.column.table for key in table.foreign_keys if "project_id" in key.column.table.c)


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
