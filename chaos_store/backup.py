"""All rows and bytes in one SQLite file, taken while the service runs, for either database to be made from again."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, inspect, make_url, text, update
from sqlalchemy.exc import DatabaseError, IntegrityError

from . import jobs, migrate
from .copying import Counts, copy_rows, first_table_with_rows, reflect
from .engine import migration_engine, now, open_database, to_json
from .errors import BackupRefused
from .settings import Settings
from .states import State
from .tables import Job

__all__ = ["backup", "backup_before_upgrade", "restore"]

NUMBERED = ("job_event", "job_log")
MARK = "CREATE TABLE chaos_backup (name TEXT PRIMARY KEY, rows INTEGER NOT NULL)"


def backup(settings: Settings, path: Path) -> int:
    """Writes the database as it is at one moment; how many rows. The file appears when it is complete."""
    path = path.absolute()
    _refuse_the_database_itself(settings, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    _make_private(part)
    try:
        with _snapshot(settings) as source:
            revision = migrate.current(source)
            if revision not in migrate.revisions():
                raise BackupRefused(f"This program does not know the form {revision} of the database.")
            migrate.upgrade(settings.model_copy(update={"database_url": _url(part)}), revision)
            counts = _fill(part, source)
        _publish(part, path)
    finally:
        for left in (part, *(part.with_name(part.name + end) for end in ("-wal", "-shm", "-journal"))):
            left.unlink(missing_ok=True)
    return sum(counts.values())


def backup_before_upgrade(settings: Settings, folder: Path) -> Path | None:
    """A backup where migrations are pending and there is something to lose."""
    engine = migration_engine(settings)
    with engine.connect() as connection:
        revision = migrate.current(connection)
        needed = revision is not None and migrate.pending(connection) and first_table_with_rows(connection) is not None
    if not needed:
        return None
    path = folder / f"before-{migrate.revisions()[-1]}.db"
    backup(settings, path)
    return path


def restore(settings: Settings, path: Path) -> int:
    """Fills a database without rows from a backup, whatever its age; how many rows. All or nothing is written."""
    with _opened(path) as (source, revision, counts):
        _prepare(settings, revision)
        with migration_engine(settings).begin() as target:
            _keep_others_out(target)
            _refuse_rows(target)
            try:
                copied = copy_rows(source, target)
                _settle(target)
            except IntegrityError as error:
                raise BackupRefused(f"{path} does not hold together: {error.orig}.") from error
            if copied != counts:
                raise BackupRefused(f"{path} does not hold what was written into it.")
    migrate.upgrade(settings)
    _put_back(settings)
    return sum(counts.values())


@contextmanager
def _snapshot(settings: Settings) -> Iterator[Connection]:
    """Sees the database as it is at the first look, however long the reading takes."""
    database = open_database(settings)
    try:
        with database.reader.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            else:
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield connection
    finally:
        database.dispose()


def _refuse_the_database_itself(settings: Settings, path: Path) -> None:
    database = make_url(settings.database_url)
    if database.get_backend_name() == "sqlite" and path == Path(database.database or "").absolute():
        raise BackupRefused(f"{path} is the database itself.")


def _make_private(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _url(path: Path) -> str:
    return URL.create("sqlite", database=str(path)).render_as_string()


def _fill(part: Path, source: Connection) -> Counts:
    """Without a journal: nobody else sees the file, and a broken one is thrown away."""
    engine = create_engine(_url(part), poolclass=NullPool, json_serializer=to_json)
    with engine.connect() as target:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "foreign_keys=OFF"):
            target.exec_driver_sql(f"PRAGMA {pragma}")
        counts = copy_rows(source, target)
        target.exec_driver_sql(MARK)
        for name, rows in counts.items():
            target.exec_driver_sql("INSERT INTO chaos_backup VALUES (?, ?)", (name, rows))
        target.commit()
    return counts


def _publish(part: Path, path: Path) -> None:
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Connection, str, Counts]]:
    """The backup with its revision and the number of rows in each table."""
    if not path.is_file():
        raise BackupRefused(f"There is no file {path}.")
    with _reader(path.absolute()).connect() as source:
        try:
            revision = source.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
            listed = source.execute(text("SELECT name, rows FROM chaos_backup")).all()
            whole = source.execute(text("PRAGMA quick_check")).scalars().first() == "ok"
        except DatabaseError as error:
            raise BackupRefused(f"{path} is no backup: {error.orig}.") from error
        if not whole:
            raise BackupRefused(f"{path} is damaged.")
        if revision not in migrate.revisions():
            raise BackupRefused(f"{path} was written by a newer program (form {revision}).")
        yield source, revision, dict(listed)


def _reader(path: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def _prepare(settings: Settings, revision: str) -> None:
    """Brings a database without rows to the form of the backup."""
    known = migrate.revisions()
    with migration_engine(settings).connect() as connection:
        stands = migrate.current(connection)
        _refuse_rows(connection)
    if stands is not None and stands not in known:
        raise BackupRefused(f"The database has the form {stands} of a newer program.")
    if stands is None or known.index(stands) < known.index(revision):
        migrate.upgrade(settings, revision)
    elif stands != revision:
        migrate.downgrade(settings, revision)


def _refuse_rows(connection: Connection) -> None:
    table = first_table_with_rows(connection)
    if table is not None:
        raise BackupRefused(f"The database already holds rows (table {table}).")


def _keep_others_out(target: Connection) -> None:
    if target.dialect.name == "postgresql":
        names = ", ".join(f'"{table.name}"' for table in reflect(target))
        target.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))


def _settle(target: Connection) -> None:
    """Numbers go on where they ended, and no row refers to one that is not there."""
    if target.dialect.name == "postgresql":
        there = set(inspect(target).get_table_names())
        for table in (name for name in NUMBERED if name in there):
            sequence = f"pg_get_serial_sequence('{table}', 'seq')"
            target.execute(text(f"SELECT setval({sequence}, max(seq)) FROM {table} HAVING max(seq) IS NOT NULL"))
        return
    broken = target.execute(text("PRAGMA foreign_key_check")).first()
    if broken is not None:
        raise BackupRefused(f"A row of table {broken[0]} refers to a row that is missing.")


def _put_back(settings: Settings) -> None:
    """No worker runs what was running when the backup was taken; what waits is due at once."""
    database = open_database(settings)
    with database.write.begin() as session:
        jobs.abandon(session, "", lambda _: False)
        waiting = update(Job).where(Job.status == State.queued.value).values(not_before=now(), woken_at=None)
        session.execute(waiting, execution_options={"synchronize_session": False})
    database.dispose()
