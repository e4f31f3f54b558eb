"""Tables as JSON: rows, columns or lists within a list. Depth and size are judged before anything is parsed."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from chaos_core.errors import BadShape, ColumnNotNumeric, EmptyData, RaggedRow, TooLarge, UnreadableFile
from chaos_core.readers.bounds import bound_expansion, bound_shape
from chaos_core.readers.formats import Format
from chaos_core.readers.moments import moments
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.refusals import DuplicateName, NestedTooDeep, printable
from chaos_core.readers.table import Selection, Table, choose, distinct
from chaos_core.typing import Floats

__all__ = ["FORMAT", "read_json"]

BOM = b"\xef\xbb\xbf"
SCAN_BYTES = 4 * 1024 * 1024
BEGINS_TABLE = re.compile(rb'(\xef\xbb\xbf)?\s*(\[\s*([\[{\-0-9"\]nN]|$)|\{\s*(["}]|$))')
LARGEST = 2**1024 - 2**970
"""From here on a whole number rounds to no floating-point number."""

FORMS = "a list of rows, an object of columns, or {columns, data}"

Cell = float | int | str | bool | list[Any] | dict[str, Any] | None


class Grid(NamedTuple):
    """Cells by column: how they are called, how many rows there are, and one column's cells."""

    names: tuple[str, ...]
    rows: int
    column: Callable[[int], Sequence[Cell]]


def read_json(path: Path, options: ReadOptions) -> tuple[Table, Selection]:
    """Reads [{"x": 1, "y": 2}, ...], {"x": [1, ...], "y": [2, ...]}, [[1, 2], ...], [1, ...] or
    {"columns": ["x", "y"], "data": [[1, 2], ...]}.

    Args:
        path: the file, UTF-8. null and NaN are missing values; only numbers are numbers, "1.5" and true are not.
        options: the sender's words.

    Returns:
        The numbers, and which columns are channels and time; text in the time column is read as dates.

    Raises:
        NestedTooDeep: more levels than `max_nesting_depth`.
        DuplicateName: an object with two entries of one name.
        RaggedRow, ColumnNotNumeric: with `row` and `column`.
        BadShape: lists within lists within lists.
        UnreadableFile: no JSON, or no table, with `line` where there is one.
        EmptyData, TooLarge, ExpandsTooFar, UnknownColumn: see there.
    """
    bound_expansion(path.stat().st_size, path.stat().st_size, options)
    grid = _grid(_parsed(path, options))
    bound_shape((grid.rows, len(grid.names)), options)
    names = distinct(grid.names)
    selection = choose(names, options)
    x = np.empty((grid.rows, len(selection.positions)), np.float64)
    for place, position in enumerate(selection.positions):
        x[:, place] = _numbers(grid.column(position), names[position], clock=position == selection.time)

    def where(row: int, position: int) -> dict[str, str | int]:
        return {"row": row, "column": names[position]}

    return Table(names, selection.positions, x, where), selection


def _parsed(path: Path, options: ReadOptions) -> Any:
    content = path.read_bytes().removeprefix(BOM)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content[:4]:
        raise UnreadableFile("the text is encoded as UTF-16 or UTF-32; save it as UTF-8", encoding="utf-16")
    _bound_depth(content, options)
    try:
        return json.loads(content.decode(), object_pairs_hook=_once, parse_constant=float)
    except json.JSONDecodeError as error:
        raise UnreadableFile(f"line {error.lineno}: {error.msg}", line=error.lineno) from error
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UnreadableFile(f"no JSON: {printable(error, 200)}") from error


def _bound_depth(content: bytes, options: ReadOptions) -> None:
    if b"\\" in content:
        content = re.sub(rb"\\.", b"  ", content, flags=re.DOTALL)
    depth, inside = 0, False
    for start in range(0, len(content), SCAN_BYTES):
        codes = np.frombuffer(content, np.uint8, min(SCAN_BYTES, len(content) - start), start)
        quoted = np.bitwise_xor.accumulate((codes == ord('"')).view(np.uint8)).astype(np.bool_) ^ inside
        steps = ((codes == ord("[")) | (codes == ord("{"))).astype(np.int8)
        steps -= ((codes == ord("]")) | (codes == ord("}"))).astype(np.int8)
        steps[quoted] = 0
        depths = depth + np.cumsum(steps, dtype=np.int32)
        deepest, depth, inside = int(depths.max()), int(depths[-1]), bool(quoted[-1])
        if deepest > options.max_nesting_depth:
            detail = f"{deepest} levels of lists and objects; at most {options.max_nesting_depth} are allowed"
            raise NestedTooDeep(detail, value=deepest, limit=options.max_nesting_depth)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        name = printable(next(key for key in keys if keys.count(key) > 1))
        raise DuplicateName(f"an object has two entries called '{name}'", name=name)
    return found


def _grid(document: Any) -> Grid:
    if (
        isinstance(document, dict)
        and isinstance(document.get("columns"), list)
        and isinstance(document.get("data"), list)
    ):
        return _of_lists(document["data"], tuple(map(str, document["columns"])))
    if isinstance(document, dict):
        return _of_columns(document)
    if not isinstance(document, list):
        raise UnreadableFile(f"no table, but one single value; expected is {FORMS}")
    if document and isinstance(document[0], dict):
        return _of_objects(document)
    return _of_lists(document, None)


def _of_columns(columns: dict[str, Any]) -> Grid:
    if not columns:
        raise EmptyData("the object is empty")
    strange = next((name for name, cells in columns.items() if not isinstance(cells, list)), None)
    if strange is not None:
        raise UnreadableFile(f"the entry '{printable(strange)}' is no list; expected is {FORMS}")
    names, lengths = tuple(columns), [len(cells) for cells in columns.values()]
    for name, length in zip(names, lengths, strict=True):
        if length != lengths[0]:
            column, row = printable(name), min(length, lengths[0])
            detail = f"column '{column}' has {length} entries, '{printable(names[0])}' has {lengths[0]}"
            raise RaggedRow(detail, row=row, column=column, expected=lengths[0], found=length)
    return Grid(names, lengths[0], lambda position: columns[names[position]])


def _of_objects(rows: list[Any]) -> Grid:
    names = tuple(rows[0])
    known = set(names)
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise RaggedRow(f"row {number} is no object as the first one is", row=number)
        if not row.keys() <= known:
            extra = printable(min(row.keys() - known))
            raise RaggedRow(
                f"row {number} has an entry '{extra}', which the first row has not", row=number, column=extra
            )
    return Grid(names, len(rows), lambda position: [row.get(names[position]) for row in rows])


def _of_lists(rows: list[Any], names: tuple[str, ...] | None) -> Grid:
    if not rows:
        raise EmptyData("the list is empty")
    if not isinstance(rows[0], list):
        nested = next((number for number, cell in enumerate(rows) if isinstance(cell, list | dict)), None)
        if nested is not None or names is not None:
            raise RaggedRow(f"row {nested or 0} is of another kind than the first one", row=nested or 0)
        return Grid(("x0",), len(rows), lambda _: rows)
    expected = len(names) if names is not None else len(rows[0])
    for number, row in enumerate(rows):
        found = len(row) if isinstance(row, list) else 1
        if not isinstance(row, list) or found != expected:
            detail = f"row {number} has {found} cells; expected are {expected}"
            raise RaggedRow(detail, row=number, expected=expected, found=found)
    if any(isinstance(cell, list) for cell in rows[0]):
        raise BadShape("lists within lists within a list are no table", shape=[len(rows), expected])
    return Grid(
        names or tuple(f"x{i}" for i in range(expected)), len(rows), lambda position: [row[position] for row in rows]
    )


def _numbers(cells: Sequence[Cell], name: str, *, clock: bool) -> Floats:
    kinds = set(map(type, cells))
    if kinds <= {float, int, type(None)}:
        try:
            return np.array(cells, np.float64)
        except OverflowError as error:
            row = next(i for i, cell in enumerate(cells) if isinstance(cell, int) and abs(cell) >= LARGEST)
            raise TooLarge(
                f"column '{name}', row {row}: no floating-point number is so large", row=row, column=name
            ) from error
    if clock and kinds <= {str, type(None)}:
        seconds = moments(pl.Series(cells, dtype=pl.String))
        if seconds is not None and seconds.null_count() == cells.count(None):
            dates: Floats = seconds.fill_null(np.nan).to_numpy().astype(np.float64)
            return dates
    row = next(i for i, cell in enumerate(cells) if cell is not None and type(cell) not in (float, int))
    cell = cells[row]
    text = printable(cell) if isinstance(cell, str | bool) else f"a {type(cell).__name__}"
    raise ColumnNotNumeric(f"column '{name}', row {row}: '{text}' is not a number", row=row, column=name, text=text)


FORMAT = Format(
    kind="json",
    read=read_json,
    endings=(".json",),
    content_types=("application/json",),
    recognises=lambda head: BEGINS_TABLE.match(head) is not None,
    vague=True,
)
