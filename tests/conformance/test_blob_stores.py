"""Each blob store must pass each test here."""

import hashlib
import tracemalloc
from collections.abc import Iterator

import pytest
from sqlalchemy import delete, func, select, update

from chaos_store.blobs import CHUNK_BYTES, BlobStore, DatabaseBlobs, MemoryBlobs
from chaos_store.engine import Database
from chaos_store.errors import BlobCorrupt, NotFound
from chaos_store.tables import Blob, BlobChunk

STORES: dict[str, type[DatabaseBlobs] | type[MemoryBlobs]] = {"database": DatabaseBlobs, "memory": MemoryBlobs}
LENGTHS = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES + 12_345)
RANGES = (
    (0, 10),
    (CHUNK_BYTES - 3, CHUNK_BYTES + 3),
    (CHUNK_BYTES, 2 * CHUNK_BYTES),
    (5, None),
    (2 * CHUNK_BYTES + 1, 10 * CHUNK_BYTES),
    (7, 7),
    (9 * CHUNK_BYTES, None),
)


@pytest.fixture(params=STORES)
def blobs(request: pytest.FixtureRequest) -> BlobStore:
    return STORES[request.param]()


def _bytes(length: int) -> bytes:
    return bytes(index * 31 % 251 for index in range(997)) * (length // 997 + 1)


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def test_what_goes_in_comes_out_whatever_the_pieces(database: Database, blobs: BlobStore) -> None:
    for length in LENGTHS:
        data = _bytes(length)[:length]
        for size in (100_003, 3 * CHUNK_BYTES):
            with database.write.begin() as session:
                ref = blobs.put(session, _pieces(data, size))
            assert (ref.sha256, ref.size) == (hashlib.sha256(data).hexdigest(), length)
        with database.read() as session:
            pieces = list(blobs.read(session, ref.sha256))
            assert blobs.size(session, ref.sha256) == length
            blobs.verify(session, ref.sha256)
        assert b"".join(pieces) == data
        assert all(0 < len(piece) <= CHUNK_BYTES for piece in pieces)


def test_storing_in_short_transactions_gives_the_same_blob(database: Database, blobs: BlobStore) -> None:
    data = _bytes(LENGTHS[-1])
    ref = blobs.store(database, _pieces(data, 50_000))
    with database.write.begin() as session:
        assert blobs.put(session, [data]) == ref
    with database.read() as session:
        assert b"".join(blobs.read(session, ref.sha256)) == data


def test_a_range_is_read_as_a_slice(database: Database, blobs: BlobStore) -> None:
    data = _bytes(2 * CHUNK_BYTES + 500)
    with database.write.begin() as session:
        ref = blobs.put(session, [data])
    with database.read() as session:
        for start, stop in RANGES:
            assert b"".join(blobs.read(session, ref.sha256, start, stop)) == data[start:stop]


def test_an_unknown_blob_is_not_found_before_the_first_byte(database: Database, blobs: BlobStore) -> None:
    with database.read() as session:
        for call in (blobs.read, blobs.size, blobs.verify):
            with pytest.raises(NotFound):
                call(session, "0" * 64)


def test_pieces_that_break_off_leave_no_blob(database: Database, blobs: BlobStore) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * CHUNK_BYTES * 17
        raise ConnectionError

    for store in (lambda: blobs.store(database, broken()), lambda: _put(database, blobs, broken())):
        with pytest.raises(ConnectionError):
            store()
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Blob)) == 0


def _put(database: Database, blobs: BlobStore, pieces: Iterator[bytes]) -> None:
    with database.write.begin() as session:
        blobs.put(session, pieces)


def test_the_same_bytes_are_kept_once(database: Database) -> None:
    data = _bytes(CHUNK_BYTES + 1)
    for _ in range(3):
        DatabaseBlobs().store(database, [data])
        _put(database, DatabaseBlobs(), iter([data]))
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Blob)) == 1
        assert session.scalar(select(func.count()).select_from(BlobChunk)) == 2


def test_a_flipped_byte_or_a_lost_chunk_is_found_before_the_last_piece_is_given(database: Database) -> None:
    blobs = DatabaseBlobs()
    for damage in (
        update(BlobChunk).where(BlobChunk.idx == 0).values(data=b"y" * CHUNK_BYTES),
        update(BlobChunk).where(BlobChunk.idx == 1).values(data=b""),
        delete(BlobChunk).where(BlobChunk.idx == 1),
    ):
        ref = blobs.store(database, [b"x" * (CHUNK_BYTES + 10)])
        with database.write.begin() as session:
            session.execute(damage)
        given = []
        with database.read() as session, pytest.raises(BlobCorrupt):
            given.extend(blobs.read(session, ref.sha256))
        assert sum(map(len, given)) < ref.size
        with database.write.begin() as session:
            session.execute(delete(Blob))
            session.execute(delete(BlobChunk))


def test_a_small_damaged_blob_gives_no_byte_at_all(database: Database) -> None:
    ref = DatabaseBlobs().store(database, [b"weights"])
    with database.write.begin() as session:
        session.execute(update(BlobChunk).values(data=b"weighty"))
    with database.read() as session, pytest.raises(BlobCorrupt):
        next(DatabaseBlobs().read(session, ref.sha256))


def test_memory_stays_bounded_however_large_the_blob(database: Database) -> None:
    blobs, length = DatabaseBlobs(), 48 * CHUNK_BYTES
    piece = b"z" * 65_536
    tracemalloc.start()
    ref = blobs.store(database, (piece for _ in range(length // len(piece))))
    with database.read() as session:
        assert sum(map(len, blobs.read(session, ref.sha256))) == length
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 * CHUNK_BYTES
