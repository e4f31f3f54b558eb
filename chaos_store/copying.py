"""Rows of all tables from one database to another of the same revision, a few at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import JSON, Connection, MetaData, Select, Table, func, insert, select, text

__all__ = ["copy_rows", "count_rows", "first_table_with_rows", "reflect"]

ROWS_AT_A_TIME = 200
CHUNKS_AT_A_TIME = 4
LEFT_OUT = ("alembic_version", "lease", "worker", "chaos_backup", "upload", "upload_part")
"""An upload under way is not copied, as its bytes are none of a blob yet."""

Counts = dict[str, int]


def reflect(connection: Connection) -> list[Table]:
    """The tables that are there, whatever this code expects, each behind those that it refers to."""
    found = MetaData()
    found.reflect(connection)
    tables = [table for table in found.sorted_tables if table.name not in LEFT_OUT]
    for column in (column for table in tables for column in table.columns):
        if isinstance(column.type, JSON):
            column.type = type(column.type)(none_as_null=True)
    return tables


def copy_rows(source: Connection, target: Connection) -> Counts:
    """How many rows of each table were copied."""
    places = {table.name: table for table in reflect(target)}
    return {table.name: _copy_table(source, table, target, places[table.name]) for table in reflect(source)}


def count_rows(connection: Connection) -> Counts:
    return {table.name: connection.scalar(_count(table)) or 0 for table in reflect(connection)}


def first_table_with_rows(connection: Connection) -> str | None:
    for table in reflect(connection):
        if connection.execute(select(text("1")).select_from(table).limit(1)).first() is not None:
            return table.name
    return None


def _count(table: Table) -> Select[int]:
    return select(func.count()).select_from(table)


def _copy_table(source: Connection, table: Table, target: Connection, place: Table) -> int:
    copied = 0
    for batch in _batches(source, table):
        target.execute(insert(place), batch)
        copied += len(batch)
    return copied


def _batches(source: Connection, table: Table) -> Iterator[Sequence[dict[str, Any]]]:
    statement, size = select(table), ROWS_AT_A_TIME
    if table.name == "blob_chunk":
        complete = select(table.metadata.tables["blob"].c.content)
        statement, size = statement.where(table.c.content.in_(complete)), CHUNKS_AT_A_TIME
    with source.execute(statement, execution_options={"yield_per": size}) as rows:
        for batch in rows.mappings().partitions():
            yield [dict(row) for row in batch]
