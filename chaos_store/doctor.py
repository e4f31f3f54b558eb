"""Looks at everything that the service needs and tells what is wrong and what to do about it; changes nothing."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Select, func, make_url, or_, select, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from chaos_core import native

from . import broker, integrity, migrate, processes, workers
from .engine import Database, now, open_database
from .settings import Settings
from .states import LIVE, State
from .tables import Job, JobEvent

__all__ = ["Finding", "examine"]

GIB = 1024**3
SKEW_S = 2.0
STUCK_S = 60.0
NAMED = 5
MIGRATE = "Run `python -m chaos_store migrate`."


class Finding(NamedTuple):
    name: str
    ok: bool
    detail: str
    remedy: str = ""


def examine(settings: Settings, *, deep: bool = False) -> list[Finding]:
    """One finding for each thing looked at; `deep` also reads every stored byte."""
    looks: list[Callable[[Settings], Finding]] = [_settings, _broker, _disk, _kernels, _orphans]
    return [look(settings) for look in looks] + list(_look_at_database(settings, deep=deep))


def _settings(settings: Settings) -> Finding:
    folder, place = settings.data_dir, _existing(settings.data_dir)
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Finding("settings", True, f"data folder {folder}")
    remedy = "Set CHAOS_DATA_DIR to a folder that this user may write to."
    return Finding("settings", False, f"data folder {folder}: {place} is no folder to write to", remedy)


def _broker(settings: Settings) -> Finding:
    sender = broker.make_celery(settings, role="sender")
    if broker.reachable(sender):
        return Finding("broker", True, "answers")
    remedy = "Start the service, or correct CHAOS_BROKER_URL; until then jobs start up to 5 s later."
    return Finding("broker", False, "does not answer", remedy)


def _disk(settings: Settings) -> Finding:
    file = _database_file(settings)
    places = {settings.data_dir} if file is None else {settings.data_dir, file.parent}
    free = {place: shutil.disk_usage(_existing(place)).free for place in places}
    detail = ", ".join(f"{room / GIB:.1f} GiB free in {place}" for place, room in free.items())
    enough = min(free.values()) >= GIB
    return Finding("disk", enough, detail, "" if enough else "Make room: at least 1 GiB.")


def _database_file(settings: Settings) -> Path | None:
    try:
        url = make_url(settings.database_url)
    except ArgumentError:
        return None
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _kernels(_: Settings) -> Finding:
    status = native.status()
    remedy = "" if status.level else "Training works, but several times slower; the reason says how to build them."
    return Finding("kernels", status.level is not None, status.reason, remedy)


def _orphans(settings: Settings) -> Finding:
    orphans = processes.orphaned_runners(settings.data_dir)
    if not orphans:
        return Finding("processes", True, "no runner without a worker")
    numbers = ", ".join(str(process.pid) for process in orphans)
    remedy = "Run `python -m chaos_store repair`, which ends them."
    return Finding("processes", False, f"runners without a worker: {numbers}", remedy)


def _look_at_database(settings: Settings, *, deep: bool) -> Iterator[Finding]:
    try:
        file = _database_file(settings)
        if file is not None and not file.is_file():
            yield Finding("database", False, f"there is no file {file}", MIGRATE)
            return
        database = open_database(settings)
    except (ValueError, ArgumentError) as error:
        yield Finding("database", False, str(error), "Correct CHAOS_DATABASE_URL.")
        return
    try:
        with database.reader.connect() as connection:
            form = _form(connection)
            yield form
            if form.ok:
                yield _clock(connection)
        if form.ok:
            with database.read() as session:
                yield _stuck(session)
                yield _workers(session, settings)
            if deep:
                yield from _bytes(database)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip()
        yield Finding("database", False, reason, "Start the database, or correct CHAOS_DATABASE_URL.")
    finally:
        database.dispose()


def _form(connection: Connection) -> Finding:
    stands, head = migrate.current(connection), migrate.revisions()[-1]
    if stands == head:
        return Finding("database", True, f"{connection.dialect.name} at migration {head}")
    if stands is not None and stands not in migrate.revisions():
        return Finding("database", False, f"at migration {stands} of a newer program", "Install the newer program.")
    detail = "without tables" if stands is None else f"at migration {stands}, not {head}"
    return Finding("database", False, detail, MIGRATE)


def _clock(connection: Connection) -> Finding:
    before = time.time()
    there = connection.scalar(select(now())) or 0.0
    skew = max(before - there, there - time.time(), 0.0)
    remedy = "" if skew < SKEW_S else "Let both machines follow the same time server."
    return Finding("clock", skew < SKEW_S, f"the database's clock is {skew:.3f} s away", remedy)


def _stuck(session: Session) -> Finding:
    found = [job_id for look in (_lapsed(), _deaf(), _unnoticed()) for job_id in session.scalars(look)]
    if not found:
        return Finding("jobs", True, "none is stuck")
    named = ", ".join(found[:NAMED]) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")
    remedy = "Start a worker, which takes back what is lost and announces what waits; restart one that is deaf."
    return Finding("jobs", False, f"nobody looks after {named}", remedy)


def _workers(session: Session, settings: Settings) -> Finding:
    """None at all is in order where nothing runs; one that fell silent is not."""
    seen = session.execute(workers.listed(settings.lease_s)).all()
    silent = [worker.name for worker, alive in seen if not alive]
    detail = f"{len(seen) - len(silent)} alive" + (f", silent: {', '.join(silent[:NAMED])}" if silent else "")
    remedy = "Look for it on its machine; a row without a worker goes by itself." if silent else ""
    return Finding("workers", not silent, detail, remedy)


def _lapsed() -> Select[str]:
    live = Job.status.in_([state.value for state in LIVE])
    return select(Job.id).where(live, or_(Job.lease_until.is_(None), Job.lease_until < now() - STUCK_S))


def _deaf() -> Select[str]:
    """Asked to stop long ago by a client, and a worker still says that it is at it."""
    asked = Job.status.in_([State.pausing.value, State.cancelling.value])
    latest = select(func.max(JobEvent.created_at)).where(JobEvent.job_id == Job.id, JobEvent.type == "status")
    return select(Job.id).where(asked, Job.lease_until >= now() - STUCK_S, latest.scalar_subquery() < now() - STUCK_S)


def _unnoticed() -> Select[str]:
    """Queued and due, yet not announced for long: the reaper of any worker would have done so."""
    latest = func.coalesce(Job.woken_at, Job.not_before)
    queued = select(Job.id).where(Job.status == State.queued.value, Job.not_before < now() - STUCK_S)
    return queued.where(latest < now() - STUCK_S).order_by(Job.created_at)


def _bytes(database: Database) -> Iterator[Finding]:
    if database.engine.dialect.name == "sqlite":
        with database.read() as session:
            said = session.execute(text("PRAGMA quick_check(1)")).scalar_one()
        yield Finding("database file", said == "ok", said, "" if said == "ok" else "Restore a backup.")
    checked, damaged = integrity.check_blobs(database)
    for one in damaged:
        remedy = "Restore a backup, or make it again: the same bytes stored once more heal it."
        users = ", ".join(one.users) or "nothing that is still kept"
        yield Finding("blob", False, f"{one.sha256} is damaged ({one.what}); used by {users}", remedy)
    yield Finding("blobs", not damaged, f"{checked.blobs} blobs of {checked.bytes} bytes read, {len(damaged)} damaged")
