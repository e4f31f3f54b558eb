"""No room: limits, full disks of the database and of this process, each recognised for what it is."""

import errno
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from chaos_store import capacity
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import AsyncDatabase, Database, open_database
from chaos_store.errors import StorageFull
from chaos_store.settings import Settings

SAY_FULL = "DO $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$"


def test_bytes_up_to_the_limit_are_taken_and_one_more_is_not(database: Database) -> None:
    with database.write.begin() as session:
        DatabaseBlobs().put(session, [b"0123456789"])
        capacity.check(session, 90, 100)
        capacity.check(session, 10_000, None)
        with pytest.raises(StorageFull) as refused:
            capacity.check(session, 91, 100)
    assert refused.value.fields == {"value": 101, "limit": 100}


def test_more_bytes_than_the_disk_has_are_refused_where_the_disk_is_known(sqlite_settings: Settings) -> None:
    database = open_database(sqlite_settings)
    with database.read() as session, pytest.raises(StorageFull):
        capacity.check(session, 10**18, None)
    database.dispose()


def _fill(settings: Settings, database: Database) -> Callable[[], None]:
    """Makes the real database say that its disk is full."""
    if settings.database_url.startswith("sqlite"):

        def overflow() -> None:
            with database.write.begin() as session:
                pages = session.execute(text("PRAGMA page_count")).scalar_one()
                session.execute(text(f"PRAGMA max_page_count={pages + 2}"))
                DatabaseBlobs().put(session, [b"x" * 100_000])

        return overflow

    def complain() -> None:
        with database.write.begin() as session:
            session.execute(text(SAY_FULL))

    return complain


def test_a_database_that_says_its_disk_is_full_is_understood(settings: Settings, database: Database) -> None:
    with pytest.raises(DBAPIError) as full:
        _fill(settings, database)()
    assert capacity.is_full(full.value)


async def test_so_it_is_through_the_drivers_of_the_event_loop(
    settings: Settings, async_database: AsyncDatabase
) -> None:
    with pytest.raises(DBAPIError) as full:
        async with async_database.write.begin() as session:
            if settings.database_url.startswith("sqlite"):
                await session.execute(text("PRAGMA max_page_count=1"))
                await session.run_sync(DatabaseBlobs().put, [b"x" * 1_000_000])
            else:
                await session.execute(text(SAY_FULL))
    assert capacity.is_full(full.value)


def test_after_a_full_disk_nothing_half_written_is_left(sqlite_settings: Settings) -> None:
    database = open_database(sqlite_settings)
    with pytest.raises(OperationalError):
        _fill(sqlite_settings, database)()
    with database.write.begin() as session:
        session.execute(text("PRAGMA max_page_count=1000000"))
        assert session.execute(text("SELECT count(*) FROM blob_chunk")).scalar_one() == 0
        DatabaseBlobs().put(session, [b"x" * 100_000])
    database.dispose()


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (StorageFull("no"), True),
        (ValueError("disk full"), False),
    ],
)
def test_errors_of_this_process_are_told_apart(error: Exception, full: bool) -> None:
    assert capacity.is_full(error) is full


def test_the_cause_is_looked_for_behind_other_errors() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as cause:
            raise RuntimeError("could not save") from cause
    except RuntimeError as error:
        assert capacity.is_full(error)
