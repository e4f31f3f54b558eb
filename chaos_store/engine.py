"""Engines and sessions for both databases, and the one clock: that of the database."""

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import URL, Double, Engine, Insert, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool
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

DRIVERS = {"sqlite": ("sqlite+pysqlite", "sqlite+aiosqlite"), "postgresql": ("postgresql+psycopg", "postgresql+asyncpg")}
BUSY_MS = 15_000


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
    write: sessionmaker[Session]
    read: sessionmaker[Session]

    def dispose(self) -> None:
        self.engine.dispose()
        _bind(self.read).dispose()


@dataclass(frozen=True)
class AsyncDatabase:
    """As Database, for the event loop; `await session.run_sync(jobs.create, ...)` runs the same functions."""

    engine: AsyncEngine
    write: async_sessionmaker[AsyncSession]
    read: async_sessionmaker[AsyncSession]

    async def dispose(self) -> None:
        await self.engine.dispose()
        await self.read.kw["bind"].dispose()
