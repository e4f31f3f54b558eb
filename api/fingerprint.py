"""What makes two requests the same: method, path, query, and the content of the body however it was wrapped."""

import asyncio
import hashlib
from typing import BinaryIO

from fastapi import Request
from starlette.datastructures import UploadFile

PIECE_BYTES = 1024 * 1024


async def fingerprint(request: Request) -> str:
    digest = hashlib.sha256()
    for word in (request.method, request.url.path, request.url.query, await _content(request)):
        _add(digest, word.encode())
    return digest.hexdigest()


async def _content(request: Request) -> str:
    if request.headers.get("content-type", "").strip().lower().startswith("multipart/"):
        return await _form(request)
    return hashlib.sha256(await request.body()).hexdigest()


async def _form(request: Request) -> str:
    """Fields and files by name, whatever boundary stood between them."""
    digest = hashlib.sha256()
    for name, value in sorted((await request.form()).multi_items(), key=lambda item: item[0]):
        _add(digest, name.encode())
        if isinstance(value, UploadFile):
            _add(digest, f"{value.filename}\n{value.content_type}".encode())
            _add(digest, await asyncio.to_thread(_sum, value.file))
        else:
            _add(digest, value.encode())
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", word: bytes) -> None:
    digest.update(len(word).to_bytes(8, "little") + word)


def _sum(file: BinaryIO) -> bytes:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
    file.seek(0)
    return digest.digest()
