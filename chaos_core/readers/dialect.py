"""How a text table is written: delimiter, decimal mark, header, comments; told from its first lines."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from chaos_core.errors import EmptyData, UnreadableFile
from chaos_core.readers.options import ReadOptions

__all__ = ["COMMENTS", "Dialect", "sniff"]

COMMENTS = ("#", "%")
CHARACTERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "blank": " "}
DELIMITERS = ("\t", ";", "|", ",")
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?", ".", "-nan", "+nan", "1.#qnan", "#n/a"})
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
WHOLE = re.compile(r"[+-]?\d+")
LOOK_LINES = 200


@dataclass(frozen=True)
class Dialect:
    """One way of writing a table.

    Args:
        delimiter: one character; a blank stands for any run of blanks and tabs.
        decimal_comma: "1,5" is one and a half.
        header: whether the first line that is neither empty nor a comment names the columns.
        cells: how many cells each line has.
        names: one for each column; one less than `cells` where every line ends with a delimiter.
    """

    delimiter: str
    decimal_comma: bool
    header: bool
    cells: int
    names: tuple[str, ...]


def sniff(head: Sequence[str], options: ReadOptions | None = None) -> Dialect:
    """Tells the dialect from the first lines.

    Args:
        head: the first lines of the file, in order, without line ends.
        options: what the sender says about `delimiter`, `decimal` and `header`, which goes before what is seen.

    Returns:
        The dialect. The delimiter is the one that cuts the lines most evenly (tab, semicolon and bar go before the
        comma, so that "1,5;2,5" is two numbers). The first line is a header where one of its cells is text, unless
        another one is a number with a fraction. A comment line directly above the numbers names the columns if it
        has as many words.

    Raises:
        EmptyData: there is no line to look at.
        UnreadableFile: a line cannot be cut into cells.
    """
    lines = [line for line in head if line.strip()]
    data = [line for line in lines if not line.lstrip().startswith(COMMENTS)][:LOOK_LINES]
    if not data:
        raise EmptyData("the file holds no row")
    said = options or ReadOptions()
    delimiter = CHARACTERS[said.delimiter] if said.delimiter else _delimiter(data)
    rows = [_cells(line, delimiter) for line in data]
    cells = len(rows[0])
    if cells > 2 and delimiter != " " and all(len(row) == cells and row[-1] == "" for row in rows):
        rows = [row[:-1] for row in rows]
    first = rows[0]
    header = _is_header(first) if said.header is None else said.header
    body = rows[1:] if header else rows
    texts = [cell for row in body for cell in row]
    comma = delimiter != "," and any("," in cell for cell in texts) and not any("." in cell for cell in texts)
    comma = comma if said.decimal is None else said.decimal == "comma"
    if header:
        return Dialect(delimiter, comma, True, cells, _distinct(first))
    return Dialect(delimiter, comma, False, cells, _names_above(lines, data[0], delimiter, len(first)))


def _delimiter(data: list[str]) -> str:
    best, most = "", 0.0
    for delimiter in (mark for mark in DELIMITERS if any(mark in line for line in data)):
        counts = [len(_cells(line, delimiter)) for line in data]
        usual = max(set(counts), key=counts.count)
        share = counts.count(usual) / len(counts)
        if usual > 1 and share > most:
            best, most = delimiter, share
    if best:
        return best
    blank = [len(line.split()) for line in data]
    return " " if max(set(blank), key=blank.count) > 1 else ","


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return [cell.strip('"') for cell in line.split()]
    try:
        return [cell.strip() for cell in next(csv.reader([line.strip(" ")], delimiter=delimiter))]
    except (csv.Error, StopIteration) as error:
        raise UnreadableFile(f"the line '{line[:80]}' cannot be cut into cells: {error}") from error


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None


def _is_header(first: list[str]) -> bool:
    if any(_is_number(cell) and not WHOLE.fullmatch(cell) for cell in first):
        return False
    if any(cell.lower() not in MISSING and not _is_number(cell) for cell in first):
        return True
    counted = [str(i) for i in range(len(first) - 1)]
    return len(first) > 1 and first[0] == "" and first[1:] == counted


def _names_above(lines: list[str], first: str, delimiter: str, columns: int) -> tuple[str, ...]:
    place = lines.index(first)
    above = lines[place - 1].lstrip().lstrip("".join(COMMENTS)).strip() if place else ""
    for cut in (delimiter, " "):
        names = [name for name in _cells(above, cut) if name] if above else []
        if len(names) == columns and len(set(names)) == columns and not any(_is_number(name) for name in names):
            return tuple(names)
    return tuple(f"x{i}" for i in range(columns))


def _distinct(names: list[str]) -> tuple[str, ...]:
    taken: dict[str, None] = {}
    for position, name in enumerate(names):
        label = name or ("" if position == 0 and "" not in names[1:] else f"x{position}")
        tail = 2
        while label in taken:
            label, tail = f"{name or 'x'}_{tail}", tail + 1
        taken[label] = None
    return tuple(taken)
