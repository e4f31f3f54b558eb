"""A disk that is really full: a small file system in memory under the real database."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from chaos_store import backup, capacity, datasets, gc, integrity, keys
from chaos_store.blobs import CHUNK_BYTES, BlobRef, DatabaseBlobs
from chaos_store.engine import Database, open_database
from chaos_store.errors import StorageFull
from chaos_store.settings import Settings
from chaos_store.tables import Blob, BlobChunk
from tests.servers import PostgresServer

SMALL = "64m"


def _mount(*options: str) -> bool:
    done = subprocess.run(["mount", "-t", "tmpfs", *options], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 64 MiB."""
    with TemporaryDirectory(prefix="chaos-full-") as folder:
        disk = Path(folder) / "disk"
        disk.mkdir()
        disk.parent.chmod(0o755)
        with suppress(FileNotFoundError):
            if _mount("-o", f"size={SMALL},mode=777", "tmpfs", str(disk)):
                yield disk
                subprocess.run(["umount", "--lazy", str(disk)], check=True)
                return
        pytest.skip("this user may not mount a small file system")


@pytest.fixture
def fill(small_disk: Path) -> Callable[[], Path]:
    """Another program takes all the room; its file."""

    def take() -> Path:
        path = small_disk / "another's"
        with path.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        return path

    return take


@pytest.fixture
def sqlite_on_it(sqlite_template: Path, small_disk: Path) -> Settings:
    (small_disk / "chaos.db").write_bytes(sqlite_template.read_bytes())
    return Settings(data_dir=small_disk)


@pytest.fixture
def postgres_on_it(postgres_server: PostgresServer, small_disk: Path) -> Iterator[Settings]:
    """Only the chunks lie there: a server whose own log finds no room stops altogether."""
    place = small_disk / "space"
    place.mkdir(mode=0o700)
    with postgres_server.fresh() as url, psycopg.connect(url, autocommit=True) as connection:
        server_folder = connection.execute("SHOW unix_socket_directories").fetchone()
        with suppress(OSError, TypeError):
            owner = Path(str(server_folder[0]), "data").stat()
            subprocess.run(["chown", f"{owner.st_uid}:{owner.st_gid}", str(place)], check=True)
        try:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        except psycopg.Error as error:
            pytest.skip(f"this Postgres takes no table space: {error}")
        connection.execute("ALTER TABLE blob_chunk SET TABLESPACE small")
        yield Settings(data_dir=small_disk.parent, database_url=url)
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )
        connection.execute("TRUNCATE blob_chunk")
        connection.execute("ALTER TABLE blob_chunk SET TABLESPACE pg_default")
        connection.execute("DROP TABLESPACE small")


@pytest.fixture(params=["sqlite", "postgres"])
def cramped(request: pytest.FixtureRequest) -> Iterator[Database]:
    database = open_database(request.getfixturevalue(f"{request.param}_on_it"))
    yield database
    database.dispose()


def _bytes(length: int, seed: int) -> Iterator[bytes]:
    for index in range(length // CHUNK_BYTES):
        yield bytes([seed, index]) * (CHUNK_BYTES // 2)


def _counts(database: Database) -> tuple[int, int]:
    with database.read() as session:
        chunks = session.scalar(select(func.count()).select_from(BlobChunk)) or 0
        return session.scalar(select(func.count()).select_from(Blob)) or 0, chunks


def _store(database: Database, length: int, seed: int) -> BlobRef:
    return DatabaseBlobs().store(database, _bytes(length, seed))


def test_what_does_not_fit_is_never_seen_and_fits_when_there_is_room(
    cramped: Database, fill: Callable[[], Path]
) -> None:
    kept = _store(cramped, 2 * CHUNK_BYTES, 1)
    theirs = fill()
    with pytest.raises((DBAPIError, StorageFull)) as full:
        _store(cramped, 12 * CHUNK_BYTES, 2)
    assert capacity.is_full(full.value)
    assert _counts(cramped)[0] == 1
    with cramped.read() as session:
        DatabaseBlobs().verify(session, kept.sha256)
    theirs.unlink()
    _store(cramped, 12 * CHUNK_BYTES, 2)
    checked, damaged = integrity.check_blobs(cramped)
    assert (checked.blobs, damaged) == (2, [])


def test_rows_that_find_no_room_are_recognised_and_written_later(
    sqlite_on_it: Settings, fill: Callable[[], Path]
) -> None:
    database = open_database(sqlite_on_it)

    def write(name: str) -> None:
        with database.write.begin() as session:
            keys.create_project(session, name)

    theirs = fill()
    with pytest.raises(DBAPIError) as full:
        for turn in range(10_000):
            write(f"{turn} " + "x" * 5000)
    assert capacity.is_full(full.value)
    theirs.unlink()
    write("later")
    with database.read() as session:
        assert session.execute(text("PRAGMA quick_check")).scalar_one() == "ok"
    database.dispose()


def test_bytes_leave_the_room_that_emptying_needs(sqlite_on_it: Settings) -> None:
    database = open_database(sqlite_on_it)
    with database.write.begin() as session:
        project_id = keys.create_project(session, "p").id
    made = []
    with pytest.raises(StorageFull):
        for seed in range(20):
            large = _store(database, 5 * CHUNK_BYTES, seed)
            with database.write.begin() as session:
                made.append(datasets.create(session, project_id=project_id, name="d", content=large).id)
    assert len(made) > 3
    with database.write.begin() as session:
        for dataset_id in made[:2]:
            datasets.delete(session, project_id, dataset_id)
    assert gc.collect(database, grace_s=-1.0).blobs == 2
    _store(database, 5 * CHUNK_BYTES, 100)
    assert integrity.check_blobs(database)[1] == []
    database.dispose()


def test_a_backup_that_does_not_fit_leaves_nothing_behind(
    settings: Settings, database: Database, small_disk: Path
) -> None:
    _store(database, 72 * CHUNK_BYTES, 1)
    with pytest.raises((DBAPIError, OSError)) as full:
        backup.backup(settings, small_disk / "one.db")
    assert capacity.is_full(full.value)
    assert list(small_disk.iterdir()) == []
