"""The answer to a request whose process died after its effect: what it made, read anew."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.types import Message

from chaos_store.errors import IdempotencyAnswerLost, IdempotencyInProgress
from chaos_store.idempotency import Answer

HEADERS = (b"authorization", b"host", b"x-request-id")
JOBS = "job/"


@dataclass(frozen=True)
class Places:
    """Where a resource of each kind is read: the path of the GET whose last word is its id."""

    paths: Mapping[Any, str] = field(default_factory=dict)

    @classmethod
    def of(cls, routes: Iterable[Any], prefix: str) -> Self:
        gets = [route for route in routes if isinstance(route, APIRoute) and "GET" in (route.methods or ())]
        own = [get for get in gets if get.response_model is not None and _parameter(get.path_format)]
        return cls({get.response_model: prefix + get.path_format for get in own})

    def find(self, route: APIRoute, made: list[str], given: Mapping[str, Any]) -> str | None:
        """Of the newest resource of the kind that the route answers with; else of the one in the route's own path."""
        path = self.paths.get(route.response_model)
        if path is None:
            return None
        name = _parameter(path)
        noun = name.removesuffix("_id")
        ids = [one.partition("/") for one in made]
        mine = [identity for kind, _, identity in ids if kind == noun or kind.endswith(f"_{noun}")]
        identity = mine[-1] if mine else given.get(name)
        return None if identity is None else path.replace(f"{{{name}}}", str(identity))


def _parameter(path: str) -> str:
    """The name in a path that ends with its only parameter."""
    last = path.rpartition("/")[2]
    return last[1:-1] if path.count("{") == 1 and last.startswith("{") and last.endswith("}") else ""


async def rebuilt(request: Request, made: list[str], route: APIRoute, places: Places) -> Answer:
    path = places.find(route, made, request.path_params)
    answer = None if path is None else await _get(request, path)
    if answer is None:
        what = ", ".join(made) or "a change"
        raise IdempotencyAnswerLost(f"the first request made {what}, and ended before it was answered", made=made)
    return Answer(_status(route, made), answer.media_type, path if made else None, answer.body)


def _status(route: APIRoute, made: list[str]) -> int:
    """202 where a job was made and the route knows that answer."""
    usual = route.status_code or 200
    return 202 if 202 in route.responses and any(one.startswith(JOBS) for one in made) else usual


async def _get(request: Request, path: str) -> Answer | None:
    """What this service answers to a GET by the same caller; None where there is no such thing."""
    headers = [(name, value) for name, value in request.scope["headers"] if name in HEADERS]
    words = ("type", "asgi", "http_version", "scheme", "server", "client", "root_path")
    scope = {word: request.scope[word] for word in words if word in request.scope}
    scope |= {"method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers}
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await request.app(scope, receive, send)
    start = dict(sent[0]["headers"])
    if sent[0]["status"] == 404:
        return None
    if sent[0]["status"] != 200:
        raise IdempotencyInProgress("it was carried out; what it made cannot be read now")
    media_type = start.get(b"content-type", b"application/json").decode()
    return Answer(200, media_type, None, b"".join(message.get("body", b"") for message in sent[1:]))
