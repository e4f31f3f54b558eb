import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import inspect, select, text

from chaos_store import keys, migrate
from chaos_store.engine import migration_engine, now, open_async_database, open_database
from chaos_store.settings import Settings
from chaos_store.tables import Base
from tests.servers import PostgresServer

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
