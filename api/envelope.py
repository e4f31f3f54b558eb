"""The outermost layer: a request id on every request, a limit on every body, no NUL in a path."""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chaos_store import logs
from chaos_store.tables import new_id

MAX_JSON_BYTES = 1024 * 1024
RAW_BODY = re.compile(r"/v1/(datasets/[^/]+/content|uploads/[^/]+/parts/[^/]+)")
"""Paths to which raw bytes are PUT; their handlers know closer limits."""

FORM_OVERHEAD_BYTES = 64 * 1024
GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Envelope:
    def __init__(self, app: ASGIApp, max_upload_bytes: int) -> None:
        self.app = app
        self.max_raw_bytes = max_upload_bytes
        self.max_form_bytes = max_upload_bytes + FORM_OVERHEAD_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers.get("x-request-id", ""))
        scope.setdefault("state", {})["request_id"] = request_id
        logs.bind(request_id=request_id)
        scope["path"] = scope["path"].replace("\x00", "\ufffd")

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["X-Request-Id"] = request_id
                answer["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self.app(scope, self._limited(receive, headers, self._most(scope, headers)), send_with_id)

    def _most(self, scope: Scope, headers: Headers) -> int:
        if scope["method"] == "PUT" and RAW_BODY.fullmatch(scope["path"]):
            return self.max_raw_bytes
        form = headers.get("content-type", "").startswith("multipart/")
        return self.max_form_bytes if form else MAX_JSON_BYTES

    def _limited(self, receive: Receive, headers: Headers, limit: int) -> Receive:
        announced = headers.get("content-length", "0")
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            if announced.isdecimal() and int(announced) > limit:
                raise HTTPException(413, f"{announced} bytes; at most {limit} are taken")
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, f"more than {limit} bytes")
            return message

        return receive_limited


def _request_id(given: str) -> str:
    return given if GIVEN_ID.fullmatch(given) else new_id("req")
