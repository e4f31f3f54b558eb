"""Bytes out: ETag, ranges, HEAD and digests over the chunks of a blob."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from chaos_store.blobs import CHUNK_BYTES, DatabaseBlobs
from chaos_store.errors import BlobCorrupt, NotFound

from . import problems
from .context import Context
from .errors import RangeNotSatisfiable

DOWNLOAD: dict[str, Any] = {
    "response_class": Response,
    "responses": problems.declared(NotFound, RangeNotSatisfiable, BlobCorrupt)
    | {
        200: {"description": "the bytes", "content": {"application/octet-stream": {}}},
        206: {"description": "the range of bytes asked for"},
        304: {"description": "the bytes are those of If-None-Match"},
    },
}
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
            "Cache-Control": "private, max-age=31536000, immutable",
            "Content-Disposition": f"{place}; filename=\"{plain}\"; filename*=UTF-8''{quote(self.filename, safe='')}",
            "Content-Security-Policy": SANDBOX,
            "Repr-Digest": f"sha-256=:{digest}:",
        }


async def deliver(request: Request, context: Context, content: Content) -> Response:
    headers = content.headers()
    if _names(request.headers.get("if-none-match", ""), content.etag):
        return Response(status_code=304, headers=headers)
    wanted = _wanted(request, content)
    start, stop = wanted or (0, content.size)
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{content.size}"
    headers["Content-Length"] = str(stop - start)
    status = 206 if wanted else 200
    if request.method == "HEAD":
        return Response(None, status, headers, content.media_type)
    if content.size <= VERIFIED_BYTES:
        await _verify(context, content)
    return StreamingResponse(_stream(context, content, start, stop), status, headers, content.media_type)


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


def _piece(session: Session, sha256: str, start: int, stop: int) -> bytes:
    return b"".join(DatabaseBlobs().read(session, sha256, start, stop))


def _names(header: str, etag: str) -> bool:
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
