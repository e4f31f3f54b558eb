"""Headers that keep browsers from doing harm with an answer."""

import base64
import hashlib
import re

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STRICT = "default-src 'none'; frame-ancestors 'none'"
PROTECTION = {
    "Content-Security-Policy": STRICT,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
ENCODED = [(name.lower().encode(), value) for name, value in PROTECTION.items()]
HSTS = "max-age=31536000"
NO_STORE = "no-store"
KEPT_BY_THE_CLIENT_ALONE = "private, no-cache"
"""May be kept by whom it was sent to, who asks again each time: an ETag makes that cheap."""
INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


SHOWN = [
    "Content-Disposition", "Content-Range", "ETag", "Idempotency-Replayed", "Location", "RateLimit",
    "RateLimit-Policy", "Repr-Digest", "Retry-After", "X-Request-Id",
]  # fmt: skip


def allow_origins(app: FastAPI, origins: str) -> None:
    """Pages of these origins may call with a key that they hold; cookies are never sent, as there are none."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[origin.strip() for origin in origins.split(",") if origin.strip()],
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=SHOWN,
        max_age=600,
    )


class Protection:
    """Adds what the answer does not say itself."""

    def __init__(self, app: ASGIApp, pages: frozenset[str]) -> None:
        self.app = app
        self.pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        page: list[Message] = []

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                _protect(message, scope)
                if scope["path"] in self.pages:
                    page.append(message)
                    return
            if page and message["type"] == "http.response.body":
                start = page.pop()
                MutableHeaders(scope=start)["Content-Security-Policy"] = policy_of(message.get("body", b""))
                await send(start)
            await send(message)

        await self.app(scope, receive, send_protected)


def _protect(message: Message, scope: Scope) -> None:
    safe = scope["method"] in ("GET", "HEAD") and message["status"] < 400
    present = {name.lower() for name, _ in message["headers"]}
    added = [*ENCODED, (b"cache-control", KEPT_BY_THE_CLIENT_ALONE if safe else NO_STORE)]
    if scope["scheme"] == "https":
        added.append((b"strict-transport-security", HSTS))
    added += [(name.lower().encode(), value) for name, value in scope["state"].get("rates", {}).items()]
    fresh = [(name, value.encode()) for name, value in added if name not in present]
    message["headers"] = [*message["headers"], *fresh, (b"vary", b"Authorization")]


def policy_of(page: bytes) -> str:
    """For a page of documentation: its own files, and those inline scripts that it was served with."""
    sums = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in INLINE_SCRIPT.findall(page)]
    scripts = " ".join(["'self'", *(f"'sha256-{value}'" for value in sums)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
