import asyncio

from celery import Celery
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from chaos_store import migrate
from chaos_store.broker import reachable

from .context import Context
from .errors import DatabaseUnavailable

TIMEOUT_S = 4.0


async def check(context: Context) -> dict[str, str]:
    (database, migrations), broker = await asyncio.gather(_database(context), _broker(context.celery))
    return {"database": database, "migrations": migrations, "broker": broker}


async def _database(context: Context) -> tuple[str, str]:
    try:
        async with asyncio.timeout(TIMEOUT_S), context.read() as session:
            await session.execute(text("SELECT 1"))
            return "ok", await _migrations(session)
    except (DatabaseUnavailable, TimeoutError):
        return "does not answer", "unknown"


async def _migrations(session: AsyncSession) -> str:
    behind = await session.run_sync(lambda plain: migrate.pending(plain.connection()))
    return "pending: run `python -m chaos_store migrate`" if behind else "ok"


async def _broker(celery: Celery) -> str:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return "ok" if await asyncio.to_thread(reachable, celery) else "does not answer"
    except TimeoutError:
        return "does not answer"
