"""Versions of jobs, looked up by one statement after the other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from chaos_store.engine import AsyncDatabase, Database, to_json
from chaos_store.watching import VERSIONS, Key

Look = Callable[[Sequence[Key]], Awaitable[Mapping[Key, int]]]


@dataclass(frozen=True)
class JobVersions:
    """SQLite is asked in a thread that is gone to once a look; its asynchronous driver would go to one four times."""

    database: AsyncDatabase
    bulk: Database

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[Look]:
        if self.bulk.reader.dialect.name == "sqlite":
            with ThreadPoolExecutor(1, "versions") as thread:
                yield lambda keys: self._in_thread(thread, keys)
        else:
            async with self.database.reader.connect() as connection:
                yield lambda keys: self._by_driver(connection, keys)

    async def _in_thread(self, thread: ThreadPoolExecutor, keys: Sequence[Key]) -> Mapping[Key, int]:
        return await asyncio.get_running_loop().run_in_executor(thread, self._blocking, keys)

    def _blocking(self, keys: Sequence[Key]) -> Mapping[Key, int]:
        with self.bulk.reader.connect() as connection:
            return _by_key(connection.execute(VERSIONS["sqlite"], {"keys": to_json(keys)}).all())

    async def _by_driver(self, connection: AsyncConnection, keys: Sequence[Key]) -> Mapping[Key, int]:
        return _by_key((await connection.execute(VERSIONS["postgresql"], {"keys": to_json(keys)})).all())


def _by_key(rows: Sequence[Row[Any]]) -> Mapping[Key, int]:
    return {(row.project_id, row.id): row.version for row in rows}
