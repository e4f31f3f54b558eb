"""Immutable bytes by their sha256, in chunks; the same bytes are stored once and seen only when complete."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from . import capacity
from .engine import Database, insert_for, now
from .errors import BlobCorrupt, NotFound, StoreError
from .tables import Blob, BlobChunk, new_id

__all__ = [
    "BATCH_BYTES",
    "CHUNK_BYTES",
    "BlobRef",
    "BlobStore",
    "DatabaseBlobs",
    "Draft",
    "MemoryBlobs",
    "discard",
    "publish",
    "rename",
    "unpublished",
]

CHUNK_BYTES = 1024 * 1024
BATCH_BYTES = 8 * CHUNK_BYTES
"""What one transaction writes."""

CHUNKS_PER_READ = 4
QUIETLY = {"synchronize_session": False}
PAUSED = "The upload paused for so long that what had arrived was thrown away."


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


class Draft:
    """Chunks that no blob shows yet, summed as they are written; the first one gets the index `first`."""

    def __init__(self, first: int = 0) -> None:
        self.content = new_id("blob")
        self._first = self._next = first
        self._size = 0
        self._sha256 = hashlib.sha256()

    def write(self, session: Session, batch: bytes | bytearray) -> None:
        """Each batch but the last holds whole chunks."""
        if not batch:
            return
        capacity.check_disk(session, len(batch))
        view = memoryview(batch)
        self._sha256.update(view)
        chunks = [view[at : at + CHUNK_BYTES] for at in range(0, len(view), CHUNK_BYTES)]
        rows = [{"content": self.content, "idx": self._next + at, "data": chunk} for at, chunk in enumerate(chunks)]
        session.execute(insert(BlobChunk), rows)
        self._next += len(rows)
        self._size += len(view)

    @property
    def chunks(self) -> int:
        return self._next - self._first

    def ref(self) -> BlobRef:
        return BlobRef(self._sha256.hexdigest(), self._size)


class DatabaseBlobs:
    """Chunks as rows: one backup and one transaction with what they belong to."""

    def put(self, session: Session, pieces: Iterable[bytes]) -> BlobRef:
        draft = Draft()
        for batch in _batches(pieces):
            draft.write(session, batch)
        return publish(session, draft.content, draft.ref())

    def store(self, database: Database, pieces: Iterable[bytes]) -> BlobRef:
        draft = Draft()
        for batch in _batches(pieces):
            with database.write.begin() as session:
                draft.write(session, batch)
        with database.write.begin() as session:
            return publish(session, draft.content, draft.ref())

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


def _batches(pieces: Iterable[bytes]) -> Iterator[bytearray]:
    pending = bytearray()
    for piece in pieces:
        view = memoryview(piece)
        while len(view) + len(pending) >= BATCH_BYTES:
            taken = BATCH_BYTES - len(pending)
            pending += view[:taken]
            view = view[taken:]
            yield pending
            pending = bytearray()
        pending += view
    if pending:
        yield pending


def publish(session: Session, content: str, ref: BlobRef) -> BlobRef:
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
            session.execute(healed, execution_options=QUIETLY)
        discard(session, kept if damaged else content)
    return ref


def discard(session: Session, content: str) -> None:
    session.execute(delete(BlobChunk).where(BlobChunk.content == content), execution_options=QUIETLY)


def rename(session: Session, draft: Draft, content: str) -> None:
    """The chunks become chunks of `content` without being written anew; StoreError where the collector has taken
    some."""
    moved = update(BlobChunk).where(BlobChunk.content == draft.content).values(content=content)
    if session.execute(moved, execution_options=QUIETLY).rowcount != draft.chunks:  # type: ignore[attr-defined]
        raise StoreError(PAUSED)


def unpublished(database: Database, content: str) -> Iterator[bytes]:
    """The bytes of chunks that no blob shows, with a short look at the database for each few."""
    with database.read() as session:
        last = session.scalar(select(func.max(BlobChunk.idx)).where(BlobChunk.content == content))
    for index in range(0, 0 if last is None else last + 1, CHUNKS_PER_READ):
        with database.read() as session:
            yield from _chunks(session, content, index, index + CHUNKS_PER_READ)


def _chunks(session: Session, content: str, first: int, stop: int) -> list[bytes]:
    wanted = select(BlobChunk.data).where(BlobChunk.content == content, BlobChunk.idx >= first, BlobChunk.idx < stop)
    return [bytes(data) for data in session.scalars(wanted.order_by(BlobChunk.idx))]


def _lock_chunks(session: Session, content: str, ref: BlobRef) -> None:
    """The collector takes the chunks of an upload that paused for too long; it waits for those locked here."""
    mine = select(BlobChunk.idx).where(BlobChunk.content == content).with_for_update(read=True)
    if len(session.scalars(mine).all()) != -(-ref.size // CHUNK_BYTES):
        raise StoreError(PAUSED)


def _differ(session: Session, kept: str, fresh: str) -> bool:
    """Whether a chunk of the older bytes is missing or another one, compared inside the database."""
    old, new = aliased(BlobChunk), aliased(BlobChunk)
    pairs = select(new.idx).outerjoin(old, and_(old.content == kept, old.idx == new.idx))
    wrong = pairs.where(new.content == fresh, or_(old.data.is_(None), old.data != new.data)).limit(1)
    return session.scalar(wrong) is not None


def _pieces(session: Session, blob: Blob, start: int, stop: int) -> Iterator[bytes]:
    content, chunk_size = blob.content, blob.chunk_size
    end = -(-stop // chunk_size) if start < stop else 0
    for index in range(start // chunk_size, end, CHUNKS_PER_READ):
        chunks = _chunks(session, content, index, min(index + CHUNKS_PER_READ, end))
        if len(chunks) < min(CHUNKS_PER_READ, end - index):
            raise _corrupt(blob.sha256, f"one of the chunks {index} to {index + CHUNKS_PER_READ - 1} is missing")
        for place, chunk in enumerate(chunks, index):
            first = place * chunk_size
            yield chunk[max(start - first, 0) : stop - first]


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
