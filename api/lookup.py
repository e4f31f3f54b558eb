from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from chaos_store.errors import NotFound
from chaos_store.paging import cut

from .deps import PageQuery
from .schemas.resource import Page

Row = TypeVar("Row")
Other = TypeVar("Other")
Item = TypeVar("Item")


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


async def page(
    session: AsyncSession, statement: Select[Row], query: PageQuery, shape: Callable[[Row], Item]
) -> Page[Item]:
    rows, next_cursor = cut((await session.scalars(statement)).all(), query.limit)
    return Page(data=[shape(row) for row in rows], next_cursor=next_cursor, has_more=next_cursor is not None)
