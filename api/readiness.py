"""Whether database, migrations and broker answer, told in bounded time also where they hang."""

import asyncio
from typing import NamedTuple

from chaos_store import migrate, workers
from chaos_store.broker import reachable

from .bounded import Bounded
from .context import Context
from .errors import DatabaseUnavailable

TIMEOUT_S = 2.0
SILENT = "does not answer"


class Readiness(NamedTuple):
    """`workers` are those alive, None where nobody knows."""

    checks: dict[str, str]
    workers: int | None


class Prober:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._database = Bounded(self._ask_database, TIMEOUT_S)
        self._broker = Bounded(self._ask_broker, TIMEOUT_S)

    async def check(self) -> Readiness:
        (database, migrations, alive), broker = await asyncio.gather(self._database_state(), self._broker_state())
        return Readiness({"database": database, "migrations": migrations, "broker": broker}, alive)

    async def close(self) -> None:
        await asyncio.gather(self._database.close(), self._broker.close())

    async def _database_state(self) -> tuple[str, str, int | None]:
        try:
            return "ok", *await self._database.ask()
        except (DatabaseUnavailable, TimeoutError):
            return SILENT, "unknown", None

    async def _broker_state(self) -> str:
        try:
            return "ok" if await self._broker.ask() else SILENT
        except TimeoutError:
            return SILENT

    async def _ask_database(self) -> tuple[str, int | None]:
        async with self._context.read() as session:
            if await session.run_sync(lambda plain: migrate.pending(plain.connection())):
                return "pending: run `python -m chaos_store migrate`", None
            return "ok", await session.scalar(workers.count_alive(self._context.settings.lease_s))

    async def _ask_broker(self) -> bool:
        return await asyncio.to_thread(reachable, self._context.celery)
