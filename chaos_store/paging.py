"""Pages by keyset: newest first, never skipping or repeating a row while others are added."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import Select, tuple_

from .errors import BadCursor
from .tables import AnalysisRow, Artifact, Dataset, Job, TrainedModel, Trajectory

__all__ = ["cut", "window"]


Row = TypeVar("Row", AnalysisRow, Artifact, Dataset, Job, TrainedModel, Trajectory)


def window(statement: Select[Row], table: type[Row], cursor: str | None, limit: int) -> Select[Row]:
    """At most `limit + 1` rows after the cursor; the extra one only tells `cut` that more follow."""
    if cursor is not None:
        created_at, row_id = _decode(cursor)
        statement = statement.where(tuple_(table.created_at, table.id) < tuple_(created_at, row_id))
    return statement.order_by(table.created_at.desc(), table.id.desc()).limit(limit + 1)


def cut(rows: Sequence[Row], limit: int) -> tuple[Sequence[Row], str | None]:
    """The page and the cursor of the next one, None at the end."""
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], _encode(last.created_at, last.id)


def _encode(created_at: float, row_id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([created_at, row_id]).encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[float, str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        created_at, row_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        return float(created_at), str(row_id)
    except (ValueError, TypeError, binascii.Error) as error:
        raise BadCursor("The page cursor cannot be read.") from error
