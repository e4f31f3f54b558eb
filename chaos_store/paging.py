"""Pages by keyset: newest first or oldest first, never skipping or repeating a row while others are added."""

import base64
import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict, TypeVar, Unpack

from sqlalchemy import Row, Select, tuple_

from .errors import BadCursor

__all__ = ["Place", "cut", "window"]

LONGEST_CURSOR = 200

Statement = TypeVar("Statement", bound=Select[*tuple[Any, ...]])
Item = TypeVar("Item")


class Place(TypedDict, total=False):
    """Which page of which rows."""

    cursor: str | None
    limit: int
    order: Literal["asc", "desc"]
    created_after: datetime | None
    created_before: datetime | None


def window(statement: Statement, table: type[Any], **place: Unpack[Place]) -> Statement:
    """At most `limit + 1` rows after the cursor; the extra one only tells `cut` that more follow.

    The table has `id` and `created_at`.
    """
    rising = place.get("order") == "asc"
    keys = tuple_(table.created_at, table.id)
    if (cursor := place.get("cursor")) is not None:
        seen = tuple_(*_decode(cursor))
        statement = statement.where(keys > seen if rising else keys < seen)
    if (after := place.get("created_after")) is not None:
        statement = statement.where(table.created_at > after.timestamp())
    if (before := place.get("created_before")) is not None:
        statement = statement.where(table.created_at < before.timestamp())
    order = [column.asc() if rising else column.desc() for column in (table.created_at, table.id)]
    return statement.order_by(*order).limit(place.get("limit", 50) + 1)


def cut(rows: Sequence[Item], limit: int) -> tuple[Sequence[Item], str | None]:
    """The page and the cursor of the next one, None at the end; of joined rows the first is the paged one."""
    if len(rows) <= limit:
        return rows, None
    last: Any = rows[limit - 1]
    paged = last[0] if isinstance(last, Row) else last
    return rows[:limit], _encode(paged.created_at, paged.id)


def _encode(created_at: float, row_id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([created_at, row_id]).encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[float, str]:
    if len(cursor) > LONGEST_CURSOR:
        raise BadCursor("The page cursor is too long.")
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        created_at, row_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        place = float(created_at), str(row_id)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadCursor("The page cursor cannot be read.") from error
    if not math.isfinite(place[0]) or not place[1].isascii() or not place[1].isprintable():
        raise BadCursor("The page cursor cannot be read.")
    return place
