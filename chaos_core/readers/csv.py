"""Tables of numbers as text: CSV in its usual dialects, and columns cut by blanks."""

import io
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from chaos_core.errors import ColumnNotNumeric, EmptyData, RaggedRow, TooLarge, UnreadableFile
from chaos_core.readers.dialect import COMMENTS, MISSING, Dialect, sniff
from chaos_core.readers.formats import Format
from chaos_core.readers.lines import Block, blocks
from chaos_core.readers.moments import moments
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.refusals import printable
from chaos_core.readers.table import Selection, Table, choose
from chaos_core.typing import Floats, Ints

__all__ = ["FORMAT", "read_csv"]

HEAD_BYTES = 65536
SHOWN_TEXT = 80


class Piece(NamedTuple):
    """The numbers of one block and the line of each row."""

    x: Floats
    lines: Ints


def read_csv(path: Path, options: ReadOptions) -> tuple[Table, Selection]:
    """Reads the wanted columns of a text table.

    Cells are read as numbers; a block in which one is none is read again as text, so that it can be named. Blank
    lines between rows are skipped, but in a table of one column they are missing values. The words nan, na, null,
    none, ?, - and the empty cell are missing values (NaN here; `to_series` refuses them unless told otherwise).

    Args:
        path: the file.
        options: the sender's words.

    Returns:
        The numbers, and which columns are channels and time.

    Raises:
        EmptyData: no row.
        RaggedRow: with `row`, `line`, `expected` and `found` cells.
        ColumnNotNumeric: with `row`, `line`, `column` and `text`.
        UnknownColumn, TooLarge, UnreadableFile: see there.
    """
    dialect = sniff(_head(path), options)
    if len(dialect.names) > options.max_columns:
        raise TooLarge(
            f"{len(dialect.names)} columns; at most {options.max_columns} are allowed",
            value=len(dialect.names),
            limit=options.max_columns,
        )
    selection = choose(dialect.names, options)
    pieces: list[Piece] = []
    rows, header = 0, dialect.header
    for block in blocks(path):
        body, header = _body(block, dialect, header)
        if not len(body.starts):
            continue
        if rows + len(body.starts) > options.max_rows:
            raise TooLarge(f"more than {options.max_rows} rows", value=rows + len(body.starts), limit=options.max_rows)
        pieces.append(_numbers(body, dialect, selection, rows))
        rows += len(body.starts)
    if not rows:
        raise EmptyData("there is a header but no row under it", names=list(dialect.names[:100]))
    lines = np.concatenate([piece.lines for piece in pieces])
    x = np.concatenate([piece.x for piece in pieces])
    pieces.clear()

    def where(row: int, position: int) -> dict[str, str | int]:
        return {"row": row, "line": int(lines[row]), "column": dialect.names[position]}

    return Table(dialect.names, selection.positions, x, where), selection


def _head(path: Path) -> list[str]:
    """The first lines, also those that are comments: one of them may name the columns."""
    first = next(blocks(path))
    kept = [first.line(place) for place in range(min(len(first.starts), 400))]
    with path.open("rb") as file:
        top = file.read(HEAD_BYTES).decode("utf-8-sig", errors="replace")
    comments = []
    for line in islice(top.splitlines(), 400):
        if line.strip() and not line.lstrip().startswith(COMMENTS):
            break
        comments.append(line)
    return comments + kept


def _body(block: Block, dialect: Dialect, header: bool) -> tuple[Block, bool]:
    """The rows of a block: without the header, and without blank lines where they cannot be values."""
    gone = np.zeros(len(block.starts), np.bool_)
    text = np.flatnonzero(~block.blank)
    if header and text.size:
        gone[: text[0] + 1] = True
        header = False
    elif header:
        gone[:] = True
    if len(dialect.names) > 1:
        gone |= block.blank
    return block.drop(gone) if gone.any() else block, header


def _numbers(block: Block, dialect: Dialect, selection: Selection, row: int) -> Piece:
    if dialect.delimiter == " ":
        content, found = _unblanked(block)
        delimiter = "\t"
    else:
        content, found, delimiter = block.text(), block.count(dialect.delimiter) + 1, dialect.delimiter
    _refuse_ragged(block, found, dialect.cells, row)
    plain = None if dialect.decimal_comma else _plain(content, delimiter, dialect.cells, selection)
    if plain is not None and len(plain) == len(block.starts):
        return Piece(plain, block.numbers)
    try:
        cells = pl.read_csv(
            io.BytesIO(content),
            has_header=False,
            separator=delimiter,
            infer_schema=False,
            encoding="utf8-lossy",
            columns=sorted(selection.positions),
            low_memory=True,
        )
    except pl.exceptions.PolarsError as error:
        raise UnreadableFile(f"near line {block.numbers[0]}: {printable(error, 200)}") from error
    if cells.height != len(block.starts):
        raise UnreadableFile(f"lines {block.numbers[0]} to {block.numbers[-1]} do not parse as rows")
    found_texts = dict(zip(sorted(selection.positions), cells.get_columns(), strict=True))
    x = np.empty((cells.height, len(found_texts)), np.float64)
    for place, position in enumerate(selection.positions):
        texts = found_texts[position].str.strip_chars()
        x[:, place], bad = _column(texts, dialect, clock=position == selection.time)
        optional = position == selection.time and position not in selection.channels and not selection.wanted
        if bad.size and not optional:
            raise _not_a_number(block, dialect, row, int(bad[0]), position, texts)
    return Piece(x, block.numbers)


def _plain(content: bytes, delimiter: str, count: int, selection: Selection) -> Floats | None:
    """The numbers where every cell is one or empty, which takes a tenth of the time."""
    wanted = sorted(selection.positions)
    try:
        cells = pl.read_csv(
            io.BytesIO(content),
            has_header=False,
            separator=delimiter,
            infer_schema=False,
            schema_overrides=[pl.Float64 if place in wanted else pl.String for place in range(count)],
            columns=wanted,
            low_memory=True,
        )
    except pl.exceptions.PolarsError:
        return None
    if set(cells.dtypes) != {pl.Float64}:
        return None
    numbers: Floats = cells.fill_null(np.nan).to_numpy()[:, [wanted.index(place) for place in selection.positions]]
    return numbers


def _unblanked(block: Block) -> tuple[bytes, Ints]:
    """Lines cut by runs of blanks and tabs, as lines cut by one tab each."""
    cut = [block.content[a:b].split() for a, b in zip(block.starts, block.stops, strict=True)]
    return b"\n".join(b"\t".join(cells) for cells in cut) + b"\n", np.array([len(cells) for cells in cut], np.int64)


def _refuse_ragged(block: Block, found: Ints, expected: int, row: int) -> None:
    uneven = np.flatnonzero((found != expected) & ~block.blank)
    if uneven.size:
        place = int(uneven[0])
        line, cells = int(block.numbers[place]), int(found[place])
        raise RaggedRow(
            f"row {row + place} (line {line} of the file) has {cells} cells; the first line has {expected}",
            row=row + place,
            line=line,
            expected=expected,
            found=cells,
        )


def _column(texts: pl.Series, dialect: Dialect, *, clock: bool) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Numbers of one column, NaN where missing, and the places of cells that are neither."""
    if dialect.decimal_comma:
        texts = texts.str.replace(",", ".", literal=True)
    values = texts.cast(pl.Float64, strict=False)
    bad = _places(values.is_null() & _says_something(texts))
    if bad.size and clock:
        seconds = moments(texts)
        if seconds is not None:
            values = seconds
            bad = _places(values.is_null() & _says_something(texts))
    numbers: Floats = values.fill_null(np.nan).to_numpy().astype(np.float64)
    return numbers, bad


def _says_something(texts: pl.Series) -> pl.Series:
    return ~texts.fill_null("").str.to_lowercase().is_in(list(MISSING))


def _places(flags: pl.Series) -> Ints:
    return np.flatnonzero(flags.to_numpy())


def _not_a_number(
    block: Block, dialect: Dialect, row: int, place: int, position: int, texts: pl.Series
) -> ColumnNotNumeric:
    name, line, text = dialect.names[position], int(block.numbers[place]), printable(texts[place], SHOWN_TEXT)
    return ColumnNotNumeric(
        f"column '{name}', row {row + place} (line {line} of the file): '{text}' is not a number",
        row=row + place,
        line=line,
        column=name,
        text=text,
    )


FORMAT = Format(
    kind="csv",
    read=read_csv,
    endings=(".csv", ".tsv", ".txt", ".dat", ".asc", ".tab"),
    content_types=("text/csv", "text/tab-separated-values", "text/plain"),
)
