"""Bytes out: ETag, ranges, HEAD and digests over the chunks of a blob."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from chaos_core import errors as core
from chaos_store.blobs import CHUNK_BYTES, DatabaseBlobs
from chaos_store.errors import BlobCorrupt, NotFound

from . import problems
from .context import Context
from .errors import ConversionTooLarge, InvalidRequest, RangeNotSatisfiable

DOWNLOAD: dict[str, Any] = {
    "response_class": Response,
    "responses": problems.declared(NotFound, RangeNotSatisfiable, BlobCorrupt)
    | {
        200: {"description": "the bytes", "content": {"application/octet-stream": {}}},
        206: {"description": "the range of bytes asked for"},
        304: {"description": "the bytes are those of If-None-Match"},
    },
}
MADE: dict[str, Any] = DOWNLOAD | {
    "responses": DOWNLOAD["responses"] | problems.declared(core.UnreadableFile, ConversionTooLarge, InvalidRequest)
}
IMMUTABLE = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"
"""For what can change while its address stays: the answer to the next request may be 304."""
VERIFIED_BYTES = 64 * CHUNK_BYTES
PIECE_BYTES = 2 * CHUNK_BYTES
RANGE = re.compile(r"bytes=(\d*)-(\d*)")
SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@dataclass(frozen=True)
class Content:
    sha256: str
    size: int
    media_type: str
    filename: str
    cache: str = IMMUTABLE

    @property
    def etag(self) -> str:
        return f'"{self.sha256}"'

    def headers(self) -> dict[str, str]:
        digest = base64.b64encode(bytes.fromhex(self.sha256)).decode()
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", self.filename)
        place = "inline" if self.media_type.startswith("image/") else "attachment"
        return {
            "ETag": self.etag,
            "Accept-Ranges": "bytes",
            "Cache-Control": self.cache,
            "Content-Disposition": f"{place}; filename=\"{plain}\"; filename*=UTF-8''{quote(self.filename, safe='')}",
            "Content-Security-Policy": SANDBOX,
            "Repr-Digest": f"sha-256=:{digest}:",
        }


@dataclass(frozen=True)
class Part:
    """What of the bytes goes out, and how it is announced."""

    start: int
    stop: int
    status: int
    headers: dict[str, str]
    bodiless: bool = False

    @classmethod
    def of(cls, request: Request, content: Content) -> Self:
        headers = content.headers()
        if names(request.headers.get("if-none-match", ""), content.etag):
            return cls(0, 0, 304, headers, bodiless=True)
        wanted = _wanted(request, content)
        start, stop = wanted or (0, content.size)
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{content.size}"
        headers["Content-Length"] = str(stop - start)
        return cls(start, stop, 206 if wanted else 200, headers, bodiless=request.method == "HEAD")

    def head(self, content: Content) -> Response:
        return Response(None, self.status, self.headers, None if self.status == 304 else content.media_type)


async def deliver(request: Request, context: Context, content: Content) -> Response:
    part = Part.of(request, content)
    if part.bodiless:
        return part.head(content)
    if content.size <= VERIFIED_BYTES:
        await _verify(context, content)
    body = _stream(context, content, part.start, part.stop)
    return StreamingResponse(body, part.status, part.headers, content.media_type)


async def deliver_bytes(
    request: Request, body: bytes, media_type: str, filename: str, *, cache: str = IMMUTABLE
) -> Response:
    """What was made for this request."""
    digest = await asyncio.to_thread(hashlib.sha256, body)
    content = Content(digest.hexdigest(), len(body), media_type, filename, cache)
    part = Part.of(request, content)
    if part.bodiless:
        return part.head(content)
    return Response(body[part.start : part.stop], part.status, part.headers, media_type)


async def whole(context: Context, sha256: str) -> bytes:
    async with context.read() as session:
        return await session.run_sync(_piece, sha256, 0, None)


async def _verify(context: Context, content: Content) -> None:
    """Damaged bytes are refused before the first of them leaves."""
    async for _ in _stream(context, content, 0, content.size):
        pass


async def _stream(context: Context, content: Content, start: int, stop: int) -> AsyncIterator[bytes]:
    """A slow client holds no connection: each piece has a session of its own. The last waits for the right sum."""
    whole, digest = stop - start == content.size, hashlib.sha256()
    for first in range(start, stop, PIECE_BYTES):
        last = min(first + PIECE_BYTES, stop)
        async with context.read() as session:
            piece = await session.run_sync(_piece, content.sha256, first, last)
        digest.update(piece)
        if len(piece) < last - first or (whole and last == stop and digest.hexdigest() != content.sha256):
            raise BlobCorrupt(f"Blob {content.sha256} is damaged.", sha256=content.sha256)
        yield piece


def _piece(session: Session, sha256: str, start: int, stop: int | None) -> bytes:
    return b"".join(DatabaseBlobs().read(session, sha256, start, stop))


def names(header: str, etag: str) -> bool:
    given = [part.strip().removeprefix("W/") for part in header.split(",")]
    return "*" in given or etag in given


def _wanted(request: Request, content: Content) -> tuple[int, int] | None:
    given = RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    condition = request.headers.get("if-range", content.etag)
    if given is None or given[0] == "bytes=-" or condition != content.etag:
        return None
    first, last = given.groups()
    if not first:
        start, stop = max(0, content.size - int(last)), content.size
    elif last and int(last) < int(first):
        return None
    else:
        start, stop = int(first), min(content.size, int(last) + 1 if last else content.size)
    if start >= content.size or start >= stop:
        raise RangeNotSatisfiable(f"{given[0]} of {content.size} bytes", size=content.size)
    return start, stop
