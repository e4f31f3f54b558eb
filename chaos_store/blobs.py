"""Immutable bytes by their sha256, in chunks; the same bytes are stored once and seen only when complete."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from . import capacity
from .engine import Database, insert_for, now
from .errors import BlobCorrupt, NotFound, StoreError
from .tables import Blob, BlobChunk, new_id

__all__ = ["CHUNK_BYTES", "BlobRef", "BlobStore", "DatabaseBlobs", "MemoryBlobs"]

CHUNK_BYTES = 1024 * 1024
CHUNKS_PER_TRANSACTION = 8


@dataclass(frozen=True)
class BlobRef:
    sha256: str
    size: int


class BlobStore(Protocol):
    def put(self, session: Session, pieces: Iterable[bytes]) -> BlobRef:
        """Stores the bytes in the caller's transaction."""
        ...

    def store(self, database: Database, pieces: Iterable[bytes]) -> BlobRef:
        """Stores many bytes in short transactions of its own."""
        ...

    def size(self, session: Session, sha256: str) -> int:
        """The number of bytes; NotFound where there is no such blob."""
        ...

    def read(self, session: Session, sha256: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to `stop`; a full read withholds its last piece until the sum is right."""
        ...

    def verify(self, session: Session, sha256: str) -> None:
        """Reads everything; BlobCorrupt where the bytes are not those stored."""
        ...


class Tally:
    """Cuts pieces of any length into chunks, summing what passes."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self._sha256 = hashlib.sha256()
        self._size = 0

    def chunks(self) -> Iterator[bytes]:
        pending = bytearray()
        for piece in self._pieces:
            self._sha256.update(piece)
            self._size += len(piece)
            for offset in range(0, len(piece), CHUNK_BYTES):
                pending += piece[offset : offset + CHUNK_BYTES]
                if len(pending) >= CHUNK_BYTES:
                    yield bytes(pending[:CHUNK_BYTES])
                    del pending[:CHUNK_BYTES]
        if pending:
            yield bytes(pending)

    def ref(self) -> BlobRef:
        return BlobRef(self._sha256.hexdigest(), self._size)


class DatabaseBlobs:
    """Chunks as rows: one backup and one transaction with what they belong to."""

    def put(self, session: Session, pieces: Iterable[bytes]) -> BlobRef:
        content, tally = new_id("blob"), Tally(pieces)
        for index, chunk in enumerate(tally.chunks()):
            _insert(session, content, index, chunk)
        return _publish(session, content, tally.ref())

    def store(self, database: Database, pieces: Iterable[bytes]) -> BlobRef:
        content, tally = new_id("blob"), Tally(pieces)
        chunks = enumerate(tally.chunks())
        while batch := list(islice(chunks, CHUNKS_PER_TRANSACTION)):
            with database.write.begin() as session:
                for index, chunk in batch:
                    _insert(session, content, index, chunk)
        with database.write.begin() as session:
            return _publish(session, content, tally.ref())

    def size(self, session: Session, sha256: str) -> int:
        return _find(session, sha256).size

    def read(self, session: Session, sha256: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        blob = _find(session, sha256)
        end = blob.size if stop is None else min(stop, blob.size)
        pieces = _pieces(session, blob, max(start, 0), end)
        return _checked(pieces, blob.sha256, blob.size) if start <= 0 and end == blob.size else pieces

    def verify(self, session: Session, sha256: str) -> None:
        for _ in self.read(session, sha256):
            pass


class MemoryBlobs:
    """The same in a dictionary, for programs that keep nothing."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def put(self, session: Session, pieces: Iterable[bytes]) -> BlobRef:  # noqa: ARG002
        return self._keep(pieces)

    def store(self, database: Database, pieces: Iterable[bytes]) -> BlobRef:  # noqa: ARG002
        return self._keep(pieces)

    def size(self, session: Session, sha256: str) -> int:  # noqa: ARG002
        return len(self._bytes(sha256))

    def read(self, session: Session, sha256: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:  # noqa: ARG002
        data = self._bytes(sha256)
        begin, end = max(start, 0), len(data) if stop is None else min(stop, len(data))
        pieces = (data[at : min(at + CHUNK_BYTES, end)] for at in range(begin, end, CHUNK_BYTES))
        return _checked(pieces, sha256, len(data)) if begin == 0 and end == len(data) else pieces

    def verify(self, session: Session, sha256: str) -> None:
        for _ in self.read(session, sha256):
            pass

    def _keep(self, pieces: Iterable[bytes]) -> BlobRef:
        data = b"".join(pieces)
        ref = BlobRef(hashlib.sha256(data).hexdigest(), len(data))
        self._blobs[ref.sha256] = data
        return ref

    def _bytes(self, sha256: str) -> bytes:
        try:
            return self._blobs[sha256]
        except KeyError:
            raise _missing(sha256) from None


def _missing(sha256: str) -> NotFound:
    return NotFound(f"There is no blob {sha256}.", kind="blob", id=sha256)


def _find(session: Session, sha256: str) -> Blob:
    blob = session.scalar(select(Blob).where(Blob.sha256 == sha256))
    if blob is None:
        raise _missing(sha256)
    return blob


def _insert(session: Session, content: str, index: int, chunk: bytes) -> None:
    capacity.check_disk(session, len(chunk))
    session.execute(insert(BlobChunk).values(content=content, idx=index, data=chunk))


def _publish(session: Session, content: str, ref: BlobRef) -> BlobRef:
    """From here on the bytes are seen; the same bytes stored before stay, unless they are damaged."""
    _lock_chunks(session, content, ref)
    statement = insert_for(session, Blob).values(
        sha256=ref.sha256, content=content, size=ref.size, chunk_size=CHUNK_BYTES, created_at=now()
    )
    fresh = statement.on_conflict_do_update(index_elements=["sha256"], set_={"created_at": now()})
    kept = session.execute(fresh.returning(Blob.content)).scalar_one()
    if kept != content:
        damaged = _differ(session, kept, content)
        if damaged:
            healed = update(Blob).where(Blob.sha256 == ref.sha256).values(content=content, chunk_size=CHUNK_BYTES)
            session.execute(healed, execution_options={"synchronize_session": False})
        session.execute(delete(BlobChunk).where(BlobChunk.content == (kept if damaged else content)))
    return ref


def _lock_chunks(session: Session, content: str, ref: BlobRef) -> None:
    """The collector takes the chunks of an upload that paused for too long; it waits for those locked here."""
    mine = select(BlobChunk.idx).where(BlobChunk.content == content).with_for_update(read=True)
    if len(session.scalars(mine).all()) != -(-ref.size // CHUNK_BYTES):
        raise StoreError("The upload paused for so long that what had arrived was thrown away.")


def _differ(session: Session, kept: str, fresh: str) -> bool:
    """Whether a chunk of the older bytes is missing or another one, compared inside the database."""
    old, new = aliased(BlobChunk), aliased(BlobChunk)
    pairs = select(new.idx).outerjoin(old, and_(old.content == kept, old.idx == new.idx))
    wrong = pairs.where(new.content == fresh, or_(old.data.is_(None), old.data != new.data)).limit(1)
    return session.scalar(wrong) is not None


def _pieces(session: Session, blob: Blob, start: int, stop: int) -> Iterator[bytes]:
    content, chunk_size = blob.content, blob.chunk_size
    for index in range(start // chunk_size, -(-stop // chunk_size) if start < stop else 0):
        statement = select(BlobChunk.data).where(BlobChunk.content == content, BlobChunk.idx == index)
        chunk = session.scalar(statement)
        if chunk is None:
            raise _corrupt(blob.sha256, f"chunk {index} is missing")
        first = index * chunk_size
        yield bytes(chunk[max(start - first, 0) : stop - first])


def _checked(pieces: Iterator[bytes], sha256: str, size: int) -> Iterator[bytes]:
    digest, seen, withheld = hashlib.sha256(), 0, b""
    for piece in pieces:
        if seen:
            yield withheld
        digest.update(piece)
        seen += len(piece)
        withheld = piece
    if seen != size or digest.hexdigest() != sha256:
        raise _corrupt(sha256, f"{seen} of {size} bytes with another sum")
    if seen:
        yield withheld


def _corrupt(sha256: str, what: str) -> BlobCorrupt:
    return BlobCorrupt(f"Blob {sha256} is damaged: {what}.", sha256=sha256)
