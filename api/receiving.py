"""A raw body into chunks of the database as it comes: summed on the way, never whole in memory, nowhere on disk."""

import asyncio
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from chaos_store import blobs
from chaos_store.blobs import BATCH_BYTES, Draft

from .answering import answering
from .context import Context
from .errors import BadRequest, BodyTooLarge, DigestMismatch, SizeMismatch, UnsupportedMediaType


@dataclass(frozen=True)
class Promise:
    """What is known of a body before it comes."""

    limit: int
    size: int | None = None
    sha256s: tuple[str, ...] = ()

    def check_head(self, request: Request) -> None:
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            detail = "a Content-Encoding is not undone here; send a compressed file as it is, without that header"
            raise UnsupportedMediaType(detail, expected="identity")
        announced = request.headers.get("content-length", "")
        if announced.isdecimal():
            self.check_most(int(announced))
            self.check_size(int(announced))

    def check_most(self, size: int) -> None:
        if size > self.limit:
            raise BodyTooLarge(f"{size} bytes; at most {self.limit} are taken", value=size, limit=self.limit)

    def check_size(self, size: int) -> None:
        if self.size is not None and size != self.size:
            raise SizeMismatch(f"{size} bytes, but {self.size} were announced", value=size, expected=self.size)

    def check_sum(self, sha256: str) -> None:
        for expected in self.sha256s:
            check_sum(sha256, expected)


def check_sum(sha256: str, expected: str | None) -> None:
    if expected is not None and sha256 != expected:
        raise DigestMismatch(f"the bytes have the sha256 {sha256}", sha256=sha256, expected=expected)


async def receive(request: Request, context: Context, promise: Promise, *, first: int = 0) -> Draft:
    """Chunks from index `first` on, which nobody sees yet. Where this fails nothing is left."""
    promise.check_head(request)
    draft = Draft(first)
    try:
        await _fill(request, context, draft, promise)
        promise.check_size(draft.ref().size)
        promise.check_sum(draft.ref().sha256)
    except ClientDisconnect as error:
        await forget(context, draft)
        raise BadRequest("the connection was closed before the end of the body") from error
    except BaseException:
        await forget(context, draft)
        raise
    return draft


async def forget(context: Context, draft: Draft) -> None:
    """What cannot be removed now is left to the collector."""
    if draft.chunks:
        await asyncio.shield(asyncio.to_thread(_forget, context, draft))


def _forget(context: Context, draft: Draft) -> None:
    with answering(), context.bulk.write.begin() as session:
        blobs.discard(session, draft.content)


async def _fill(request: Request, context: Context, draft: Draft, promise: Promise) -> None:
    """One batch is written while the next one comes."""
    batch, seen = bytearray(), 0
    writing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    writing.set_result(None)
    try:
        async for piece in request.stream():
            seen += len(piece)
            promise.check_most(seen)
            view = memoryview(piece)
            while len(batch) + len(view) >= BATCH_BYTES:
                taken = BATCH_BYTES - len(batch)
                batch += view[:taken]
                view = view[taken:]
                await writing
                writing = asyncio.ensure_future(asyncio.to_thread(_write, context, draft, batch))
                batch = bytearray()
            batch += view
        await writing
        await asyncio.to_thread(_write, context, draft, batch)
    finally:
        await asyncio.wait([writing])


def _write(context: Context, draft: Draft, batch: bytearray) -> None:
    with answering(), context.bulk.write.begin() as session:
        draft.write(session, batch)
