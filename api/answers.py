"""Keeps the answer of a request that holds its Idempotency-Key, before the client sees it."""

import logging

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chaos_core.errors import ChaosError
from chaos_store import idempotency
from chaos_store.idempotency import Answer, Claim

from .context import Context

NOTHING_DONE = frozenset({401, 403, 408, 413, 429})
MOST_BYTES = 8 * 1024 * 1024
NAME = b"idempotency-key"
SECRET = b'"secret":'

log = logging.getLogger("api")


class Answers:
    """Inside of whatever adds headers to all answers: a handler's own `no-store` says that it holds a secret."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self.app = app
        self.context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "POST" or not any(name == NAME for name, _ in scope["headers"]):
            await self.app(scope, receive, send)
            return
        sent: list[Message] = []
        state = scope.setdefault("state", {})

        async def send_kept(message: Message) -> None:
            claim: Claim | None = state.get("claim")
            if claim is None:
                await send(message)
                return
            sent.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                state["claim"] = None
                await self._keep(claim, _whole(sent))
                for held in sent:
                    await send(held)

        try:
            await self.app(scope, receive, send_kept)
        finally:
            if (claim := state.get("claim")) is not None:
                await self._keep(claim, None)

    async def _keep(self, claim: Claim, answer: Answer | None) -> None:
        """None: there is no answer to keep. Where it cannot be kept it can be built anew from what was made."""
        try:
            async with self.context.write() as session:
                if answer is None:
                    await session.run_sync(idempotency.free, claim)
                else:
                    await session.run_sync(idempotency.keep, claim, answer)
        except ChaosError as error:
            log.warning("an answer was not kept for its Idempotency-Key: %s", error)


def _whole(sent: list[Message]) -> Answer | None:
    start, headers = sent[0], Headers(raw=sent[0]["headers"])
    body = b"".join(message.get("body", b"") for message in sent[1:])
    secret = "no-store" in headers.get("cache-control", "") or SECRET in body
    if start["status"] >= 500 or start["status"] in NOTHING_DONE or secret or len(body) > MOST_BYTES:
        return None
    return Answer(start["status"], headers.get("content-type"), headers.get("location"), body)
