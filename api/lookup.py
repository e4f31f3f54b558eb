from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from chaos_store.errors import NotFound
from chaos_store.paging import cut
from chaos_store.states import FINISHED, State

from .context import Caller, Context
from .deps import PageQuery
from .schemas.resource import Page

Row = TypeVar("Row")
Other = TypeVar("Other")
Item = TypeVar("Item")


class OfJob(Protocol):
    status: State
    job_id: str


Made = TypeVar("Made", bound=OfJob)


async def one(session: AsyncSession, statement: Select[Row], kind: str, row_id: str) -> Row:
    row = await session.scalar(statement)
    if row is None:
        raise NotFound(f"There is no {kind} {row_id}.", kind=kind, id=row_id)
    return row


async def pair(session: AsyncSession, statement: Select[Row, Other], kind: str, row_id: str) -> tuple[Row, Other]:
    found = (await session.execute(statement)).first()
    if found is None:
        raise NotFound(f"There is no {kind} {row_id}.", kind=kind, id=row_id)
    first, second = found
    return first, second


async def pairs(
    session: AsyncSession, statement: Select[Row, Other], query: PageQuery, shape: Callable[[Row, Other], Item]
) -> Page[Item]:
    found = (await session.execute(statement)).all()
    rows, next_cursor = cut([row for row, _ in found], query.limit)
    data = [shape(row, other) for row, other in found[: len(rows)]]
    return Page(data=data, next_cursor=next_cursor, has_more=next_cursor is not None)


async def after_job(context: Context, caller: Caller, wait_s: float, find: Callable[[], Awaitable[Made]]) -> Made:
    """What a job makes, read once the job has ended or the time is over."""
    found = await find()
    if not wait_s or found.status in FINISHED:
        return found
    await context.watch.finished(caller.project_id, found.job_id, min(wait_s, context.settings.max_wait_s))
    return await find()


async def page(
    session: AsyncSession, statement: Select[Row], query: PageQuery, shape: Callable[[Row], Item]
) -> Page[Item]:
    rows, next_cursor = cut((await session.scalars(statement)).all(), query.limit)
    return Page(data=[shape(row) for row in rows], next_cursor=next_cursor, has_more=next_cursor is not None)
