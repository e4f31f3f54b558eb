"""Documents with an ETag: `If-None-Match` spares their sending, `If-Match` a change of something that has changed."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import Header, Request, Response
from pydantic import BaseModel
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import PreconditionFailed

ASK_AGAIN = "private, no-cache"
"""For what can change while its address stays: the answer to the next request may be 304."""


@dataclass(frozen=True, slots=True)
class Document:
    body: bytes
    etag: str

    @classmethod
    def of(cls, shown: BaseModel) -> Self:
        body = shown.model_dump_json().encode()
        return cls(body, tag(body))

    def answer(self, request: Request) -> Response:
        headers = {"ETag": self.etag, "Cache-Control": ASK_AGAIN}
        if names(request.headers.get("if-none-match", ""), self.etag):
            return Response(None, 304, headers)
        return Response(self.body, 200, headers, "application/json")


def tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def names(header: str, etag: str) -> bool:
    """Whether the header lists the ETag; a weak form of it counts."""
    return header.strip() == "*" or etag in {given.strip().removeprefix("W/") for given in header.split(",")}


IfMatch = Annotated[
    str, Header(alias="If-Match", max_length=200, description="the ETag of the version that is to be changed")
]


def require_match(wanted: IfMatch, shown: BaseModel) -> None:
    """To be asked where the row is locked, so that nobody changes it in between."""
    if wanted.strip() == "*":
        return
    current = Document.of(shown).etag
    if current not in {given.strip() for given in wanted.split(",")}:
        raise PreconditionFailed("it has changed since it was read", etag=current)


class Conditional:
    """Gives every JSON document that is read an ETag, and spares its sending where the reader has it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        wanted, held = Headers(scope=scope).get("if-none-match", ""), list[Message]()

        async def send_tagged(message: Message) -> None:
            if message["type"] == "http.response.start" and _untagged_json(message):
                held.append(message)
                return
            if held:
                start, body = held.pop(), message
                if not message.get("more_body"):
                    start, body = _conditional(start, message, wanted)
                await send(start)
                message = body
            await send(message)

        await self.app(scope, receive, send_tagged)


def _untagged_json(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return start["status"] == 200 and headers.get("content-type") == "application/json" and "etag" not in headers


def _conditional(start: Message, body: Message, wanted: str) -> tuple[Message, Message]:
    headers = MutableHeaders(raw=start["headers"])
    headers["ETag"] = etag = tag(body["body"])
    headers.setdefault("Cache-Control", ASK_AGAIN)
    if not names(wanted, etag):
        return start, body
    del headers["content-length"], headers["content-type"]
    return {**start, "status": 304, "headers": headers.raw}, {**body, "body": b""}
