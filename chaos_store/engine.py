"""Engines and sessions for both databases, and the one clock: that of the database."""

import json
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Double, Engine, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import InternalError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry, NullPool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement

from .settings import Settings

__all__ = [
    "AsyncDatabase",
    "Database",
    "insert_for",
    "migration_engine",
    "now",
    "open_async_database",
    "open_database",
]

DRIVERS = {
    "sqlite": ("sqlite+pysqlite", "sqlite+aiosqlite"),
    "postgresql": ("postgresql+psycopg", "postgresql+asyncpg"),
}
BUSY_MS = 15_000
JOURNAL_BYTES = 16 * 1024 * 1024
SINGLE_WRITER: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 30}
PATIENCE: dict[str, Any] = {"timeout": 5, "command_timeout": 30}
"""Seconds until a Postgres that neither answers nor refuses is given up."""
FORSAKEN = {"idle_in_transaction_session_timeout": "15000"}
"""After so many ms Postgres ends a transaction whose process is frozen, or it would keep its locks for ever."""

to_json = partial(json.dumps, allow_nan=False, separators=(",", ":"))


class now(ColumnElement[float]):  # noqa: N801 - reads as the SQL function it is
    """Seconds since 1970 by the clock of the database."""

    type = Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_sqlite(_element: now, _compiler: SQLCompiler, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_postgresql(_element: now, _compiler: SQLCompiler, **_: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) AS DOUBLE PRECISION)"


def insert_for(session: Session, table: type[Any]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, in the words of the session's database."""
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


@dataclass(frozen=True)
class Database:
    """`write.begin()` for a transaction that may write, `read()` for statements that never do."""

    engine: Engine
    reader: Engine
    write: sessionmaker[Session]
    read: sessionmaker[Session]

    def dispose(self) -> None:
        self.engine.dispose()
        self.reader.dispose()


@dataclass(frozen=True)
class AsyncDatabase:
    """As Database, for the event loop; `await session.run_sync(jobs.create, ...)` runs the same functions."""

    engine: AsyncEngine
    reader: AsyncEngine
    write: async_sessionmaker[AsyncSession]
    read: async_sessionmaker[AsyncSession]

    async def dispose(self) -> None:
        await self.engine.dispose()
        await self.reader.dispose()


def open_database(settings: Settings) -> Database:
    url = _url(settings, asynchronous=False)
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, **_options(url), **SINGLE_WRITER)
        reader = create_engine(url, **_options(url))
        _tune_sqlite(engine, writes=True)
        _tune_sqlite(reader, writes=False)
    else:
        words = " ".join(f"-c {name}={value}" for name, value in FORSAKEN.items())
        connect = {"connect_timeout": PATIENCE["timeout"], "options": words}
        engine = create_engine(url, **_options(url), connect_args=connect)
        event.listen(engine, "handle_error", _lost_connection)
        reader = engine.execution_options(isolation_level="AUTOCOMMIT")
    write = sessionmaker(engine, expire_on_commit=False)
    return Database(engine, reader, write, sessionmaker(reader, expire_on_commit=False))


def open_async_database(settings: Settings) -> AsyncDatabase:
    logging.getLogger("aiosqlite").setLevel(logging.INFO)
    url = _url(settings, asynchronous=True)
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, **_options(url), **SINGLE_WRITER)
        reader = create_async_engine(url, **_options(url))
        _tune_sqlite(engine.sync_engine, writes=True)
        _tune_sqlite(reader.sync_engine, writes=False)
    else:
        engine = create_async_engine(url, **_options(url), connect_args=PATIENCE | {"server_settings": FORSAKEN})
        reader = engine.execution_options(isolation_level="AUTOCOMMIT")
    write = async_sessionmaker(engine, expire_on_commit=False)
    return AsyncDatabase(engine, reader, write, async_sessionmaker(reader, expire_on_commit=False))


def migration_engine(settings: Settings) -> Engine:
    """One connection at a time, without foreign keys: SQLite alters a table by copying it."""
    url = _url(settings, asynchronous=False)
    engine = create_engine(url, poolclass=NullPool, json_serializer=to_json, hide_parameters=True)
    if url.get_backend_name() == "sqlite":
        _tune_sqlite(engine, writes=True, foreign_keys=False)
    return engine


def _url(settings: Settings, *, asynchronous: bool) -> URL:
    url = make_url(settings.database_url)
    drivers = DRIVERS.get(url.get_backend_name())
    if drivers is None:
        raise ValueError(f"CHAOS_DATABASE_URL must begin with sqlite:// or postgresql://, not {url.drivername}://")
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ValueError("CHAOS_DATABASE_URL must name a file: several processes share the database")
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    return url.set(drivername=drivers[int(asynchronous)])


def _options(url: URL) -> dict[str, Any]:
    """Values, secrets of webhooks among them, are not told in errors."""
    postgres = url.get_backend_name() == "postgresql"
    return {"json_serializer": to_json, "pool_pre_ping": postgres, "hide_parameters": True}


def _tune_sqlite(engine: Engine, *, writes: bool, foreign_keys: bool = True) -> None:
    def pragmas(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for name, value in (
            ("busy_timeout", BUSY_MS),
            ("journal_mode", "WAL"),
            ("journal_size_limit", JOURNAL_BYTES),
            ("secure_delete", "FAST"),
            ("synchronous", "NORMAL"),
            ("foreign_keys", int(foreign_keys)),
            ("query_only", int(not writes)),
        ):
            cursor.execute(f"PRAGMA {name}={value}")
        cursor.close()

    event.listen(engine, "connect", pragmas)
    if writes:
        event.listen(engine, "begin", _begin_immediate)


def _lost_connection(context: ExceptionContext) -> None:
    """One kind of error for each way to lose the connection; a forsaken transaction has an exotic one."""
    error = context.sqlalchemy_exception
    if context.is_disconnect and isinstance(error, InternalError) and error.orig is not None:
        raise OperationalError(error.statement, error.params, error.orig, connection_invalidated=True) from error


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
