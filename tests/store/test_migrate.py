import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import MetaData, insert, inspect, select, text, update

from chaos_core.analysis_options import AUTOMATIC
from chaos_store import keys, migrate
from chaos_store.engine import migration_engine, now, open_async_database, open_database
from chaos_store.settings import Settings
from chaos_store.tables import Base, Blob, Checkpoint, Job
from tests.servers import PostgresServer

JOB_COLUMNS = {
    "limits", "priority", "deadline", "claimed_at", "ran_s", "request_id", "log_lines_cut", "log_bytes_cut",
    "start", "start_sha256",
}  # fmt: skip
PRAGMAS = {"journal_mode": "wal", "foreign_keys": 1, "query_only": 1, "busy_timeout": 15_000}


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """A database without a table."""
    if request.param == "sqlite":
        yield Settings(data_dir=tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.empty() as url:
        yield Settings(data_dir=tmp_path, database_url=url)


def _tables(settings: Settings) -> set[str]:
    engine = migration_engine(settings)
    with engine.connect() as connection:
        return set(inspect(connection).get_table_names())


def test_up_down_and_up_again(empty: Settings) -> None:
    expected = {*Base.metadata.tables, "alembic_version"}
    migrate.upgrade(empty)
    assert _tables(empty) == expected
    migrate.downgrade(empty, "base")
    assert _tables(empty) == {"alembic_version"}
    migrate.upgrade(empty)
    migrate.upgrade(empty)
    assert _tables(empty) == expected


def _fill(settings: Settings) -> None:
    """A row in every table, and a paused job with three checkpoints of which the newest is damaged."""
    samples: dict[type, Any] = {str: "text", int: 3, float: 1.5, bytes: b"bytes", bool: True, object: {"a": [1, None]}}
    engine = migration_engine(settings)
    with engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            row = {column.name: samples[column.type.python_type] for column in table.columns}
            keys = {key.parent.name: f"{key.column.table.name}_1" for key in table.foreign_keys}
            own = {column.name: f"{table.name}_1" for column in table.primary_key if column.type.python_type is str}
            connection.execute(insert(table).values(row | own | keys))
        connection.execute(update(Job).values(status="paused", checkpoint_update=7, labels={"ü": "x"}))
        for number, damaged in ((7, None), (9, 1.5)):
            connection.execute(insert(Blob).values(sha256=f"sum_{number}", content=f"c_{number}", size=1, chunk_size=1))
            values = {"id": f"ckpt_{number}", "job_id": "job_1", "update": number, "sha256": f"sum_{number}", "size": 1}
            connection.execute(insert(Checkpoint).values(**values, damaged_at=damaged))


def _rows(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """All that is stored, whatever revision the tables are of."""
    engine, found = migration_engine(settings), MetaData()
    with engine.connect() as connection:
        found.reflect(connection)
        order = {table.name: sorted(table.primary_key.columns.keys()) for table in found.sorted_tables}
        return {
            table.name: [dict(row) for row in connection.execute(select(table).order_by(*order[table.name])).mappings()]
            for table in found.sorted_tables
        }


def test_up_down_and_up_again_with_rows_in_every_table(empty: Settings) -> None:
    migrate.upgrade(empty)
    _fill(empty)
    newest = _rows(empty)
    assert [name for name, rows in newest.items() if not rows] == []

    migrate.downgrade(empty, "0002")
    added_last = {"model", "model_sha256"}
    assert _rows(empty)["checkpoint"] == [_without(row, added_last) for row in newest["checkpoint"]]
    migrate.downgrade(empty, "0001")
    older = _rows(empty)
    added = {"job": JOB_COLUMNS, "project": {"retention_s"}, "blob_chunk": {"created_at"}}
    added |= {"trained_model": {"licence", "stage"}, "trajectory": {"runs", "options"}}
    added["project"] |= {"quota_bytes", "quota_jobs", "quota_core_hours"}
    added |= {"api_key": {"scopes", "expires_at", "last_used_at"}}
    added |= {"analysis": {"options_hash", "analyser_version"}, "dataset": {"input_names", "expected", "split"}}
    for name in older.keys() - {"job", "alembic_version"}:
        assert older[name] == [_without(row, added.get(name, set())) for row in newest[name]]
    [job], [job_before] = older["job"], newest["job"]
    assert _without(job, {"checkpoint_sha256", "status"}) == _without(job_before, JOB_COLUMNS | {"status"})
    assert (job["checkpoint_sha256"], job["status"]) == ("sum_7", "queued")

    migrate.upgrade(empty)
    again = _rows(empty)
    [job], [checkpoint] = again["job"], again["checkpoint"]
    assert _without(job, JOB_COLUMNS | {"status"}) == _without(job_before, JOB_COLUMNS | {"status"})
    assert job["limits"] in ({}, "{}")
    assert (checkpoint["job_id"], checkpoint["update"], checkpoint["sha256"]) == ("job_1", 7, "sum_7")
    assert again.keys() == newest.keys()
    [analysis] = again["analysis"]
    assert (analysis["options_hash"], analysis["analyser_version"]) == (AUTOMATIC.digest(), 0)

    migrate.downgrade(empty, "base")
    migrate.upgrade(empty)
    assert [name for name, rows in _rows(empty).items() if rows] == ["alembic_version"]


def _without(row: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def test_the_migrations_make_the_tables_that_the_code_uses(settings: Settings) -> None:
    engine = migration_engine(settings)
    with engine.begin() as connection:
        command.check(migrate.alembic_config(connection))


def test_a_database_that_is_behind_is_seen(empty: Settings) -> None:
    engine = migration_engine(empty)
    with engine.connect() as connection:
        assert migrate.pending(connection)
    migrate.upgrade(empty)
    with engine.connect() as connection:
        assert not migrate.pending(connection)


def test_processes_that_migrate_at_once_wait_for_each_other(empty: Settings) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(migrate.upgrade, [empty] * 3))
    database = open_database(empty)
    with database.write.begin() as session:
        assert keys.first(session) is not None
    database.dispose()


def test_large_chunks_are_not_compressed_by_postgres(postgres_settings: Settings) -> None:
    database = open_database(postgres_settings)
    storage = "SELECT attstorage FROM pg_attribute WHERE attrelid = 'blob_chunk'::regclass AND attname = 'data'"
    with database.read() as session:
        assert session.execute(text(storage)).scalar_one() in (b"e", "e")
    database.dispose()


def test_sqlite_keeps_a_log_enforces_references_and_refuses_writes_of_readers(sqlite_settings: Settings) -> None:
    database = open_database(sqlite_settings)
    with database.read() as session:
        found = {name: session.execute(text(f"PRAGMA {name}")).scalar_one() for name in PRAGMAS}
    assert found == PRAGMAS
    database.dispose()


def test_the_clock_of_the_database_counts_seconds_since_1970(settings: Settings) -> None:
    database = open_database(settings)
    with database.read() as session:
        early = session.scalar(select(now()))
    assert early == pytest.approx(time.time(), abs=5)
    database.dispose()


@pytest.mark.parametrize("url", ["mysql://host/name", "sqlite://", "sqlite:///:memory:"])
def test_a_database_that_several_processes_cannot_share_is_refused(tmp_path: Path, url: str) -> None:
    for opened in (open_database, open_async_database):
        with pytest.raises(ValueError, match="CHAOS_DATABASE_URL must"):
            opened(Settings(data_dir=tmp_path, database_url=url))
