"""Tells the ledger of every change and every refusal."""

from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chaos_store.audit import Entry

from .context import Caller
from .errors import RateLimited
from .ledger import Ledger
from .templates import template_of

CHANGES = {"POST", "PUT", "PATCH", "DELETE"}
REFUSED = {401, 403}
LONGEST = 200


class Auditing:
    def __init__(self, app: ASGIApp, ledger: Ledger) -> None:
        self.app = app
        self.ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, location = 500, ""

        async def send_watched(message: Message) -> None:
            nonlocal status, location
            if message["type"] == "http.response.start":
                status, location = message["status"], Headers(scope=message).get("location", "")
            await send(message)

        try:
            await self.app(scope, receive, send_watched)
        finally:
            if _matters(scope, status):
                self.ledger.note(_entry(scope, status, location))


def _matters(scope: Scope, status: int) -> bool:
    """What is too frequent is refused without a word: nobody may fill the log by asking too often."""
    state = scope["state"]
    known = state.get("asker") is not None
    if state.get("code") == RateLimited.code:
        return False
    return status in REFUSED or (known and scope["method"] in CHANGES)


def _entry(scope: Scope, status: int, location: str) -> Entry:
    state: dict[str, Any] = scope["state"]
    caller: Caller | None = state.get("asker")
    address, _ = scope.get("client") or (None, None)
    return Entry(
        project_id=caller.project_id if caller else None,
        key_id=caller.key_id if caller else None,
        request_id=state["request_id"],
        address=address,
        method=scope["method"],
        route=(template_of(scope) or scope["path"])[:LONGEST],
        status=status,
        code=state.get("code"),
        resource_id=_resource(scope, location),
        age_s=0.0,
    )


def _resource(scope: Scope, location: str) -> str | None:
    """The thing in the address, and else what was made."""
    named = [str(value) for value in scope.get("path_params", {}).values()]
    made = location.rpartition("/")[2]
    found = named[0] if named else made
    return "".join(letter for letter in found if letter.isprintable())[:LONGEST] or None
