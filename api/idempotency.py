"""`Idempotency-Key` on every POST: the first request with a key is done, each repeat gets its answer."""

import asyncio
import functools
import inspect
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from copy import copy
from typing import Any, get_args

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from chaos_core.errors import ChaosError
from chaos_store import idempotency
from chaos_store.errors import IdempotencyAnswerLost, IdempotencyInProgress, IdempotencyKeyReused, StorageFull
from chaos_store.idempotency import Answer, Claim
from chaos_store.tables import IdempotencyKey

from . import problems
from .context import Caller, Context
from .deps import Known
from .errors import BodyTooLarge, DatabaseUnavailable
from .fingerprint import fingerprint
from .rebuilding import Places, rebuilt

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
REFUSALS = (
    IdempotencyKeyReused, IdempotencyInProgress, IdempotencyAnswerLost, BodyTooLarge, DatabaseUnavailable, StorageFull,
)  # fmt: skip
FIRST_PAUSE_S = 0.03
LONGEST_PAUSE_S = 0.5
RENEWALS = 4
"""In the time of one lock."""

KEY = re.compile(r"[!-~]{1,255}")
PARAMETER: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "made up by the client, such as a UUID: the same request with the same key is carried out once, and "
    "repeats get the same answer with `Idempotency-Replayed: true`",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "example": "7d5a2f0e-5b0c-4c39-9a58-0f1c4a7b8a11",
}
Endpoint = Callable[..., Awaitable[Any]]


def repeatable(routers: Iterable[APIRouter], prefix: str) -> list[APIRouter]:
    """The same routers, to be included under the prefix, whose POSTs may be repeated under a key."""
    given = list(routers)
    places = Places.of((route for router in given for route in router.routes), prefix)
    return [APIRouter(routes=[_guarded(route, places) for route in router.routes]) for router in given]


def _guarded(route: Any, places: Places) -> Any:
    if not isinstance(route, APIRoute) or "POST" not in (route.methods or ()):
        return route
    guarded, extra = copy(route), route.openapi_extra or {}
    guarded.endpoint = _guard(route, places)
    guarded.responses = problems.joined(route.responses, problems.declared(*REFUSALS))
    guarded.openapi_extra = extra | {"parameters": [*extra.get("parameters", []), PARAMETER]}
    return guarded


def _guard(route: APIRoute, places: Places) -> Endpoint:
    """FastAPI calls it when all is checked that can be checked beforehand: what was refused until then left nothing."""
    endpoint: Endpoint = route.endpoint
    signature = inspect.signature(endpoint)
    kinds = {name: (get_args(one.annotation) or (one.annotation,))[0] for name, one in signature.parameters.items()}
    known = {kind: name for name, kind in kinds.items() if kind in (Request, Caller)}
    added = {kind: name for kind, name in ((Request, "keyed_request"), (Caller, "keyed_caller")) if kind not in known}
    names = known | added

    @functools.wraps(endpoint)
    async def guarded(**words: Any) -> Any:
        request: Request = words[names[Request]]
        caller: Caller = words[names[Caller]]
        for name in added.values():
            del words[name]
        key = request.headers.get(HEADER)
        if key is None:
            return await endpoint(**words)
        claim = Claim(caller.project_id, _checked(key), await fingerprint(request))
        return await _once(request, claim, route, places) or await _act(request, claim, endpoint, words)

    types = {Request: Request, Caller: Known}
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=types[kind]) for kind, name in added.items()
    ]
    guarded.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), *parameters]
    )
    return guarded


def _checked(key: str) -> str:
    if KEY.fullmatch(key):
        return key
    place = {
        "loc": ("header", HEADER),
        "msg": "1 to 255 visible ASCII characters, no blanks",
        "type": "string_pattern_mismatch",
    }
    raise RequestValidationError([place | {"input": key}])


async def _act(request: Request, claim: Claim, endpoint: Endpoint, words: dict[str, Any]) -> Any:
    """The lock is renewed while the handler runs; the answer is kept by `Answers` when it is complete."""
    request.state.claim = claim
    async with _renewing(request.app.state.context, claim):
        with idempotency.acting(claim):
            return await endpoint(**words)


async def _once(request: Request, claim: Claim, route: APIRoute, places: Places) -> Response | None:
    """The answer to a repeat, or None where the request is the first and its key now its own."""
    context: Context = request.app.state.context
    while (known := await _settled(context, claim)) is not None:
        if known.status is not None:
            return replay(Answer(known.status, known.media_type, known.location, known.body or b""))
        answer = await rebuilt(request, known.made or [], route, places)
        async with context.write() as session:
            if await session.run_sync(idempotency.restore, claim, answer):
                return replay(answer)
    return None


async def _settled(context: Context, claim: Claim) -> IdempotencyKey | None:
    """Waits, holding no connection, until the first request with the key has ended; None where this one has it."""
    settings = context.settings
    until, pause = time.monotonic() + settings.idempotency_wait_s, FIRST_PAUSE_S
    while True:
        async with context.read() as session:
            found = (await session.execute(idempotency.find(claim.project_id, claim.key))).first()
        if found is None or found.free:
            async with context.write() as session:
                if await session.run_sync(
                    idempotency.take, claim, lock_s=settings.idempotency_lock_s, keep_s=settings.idempotency_keep_s
                ):
                    return None
            continue
        row: IdempotencyKey = found[0]
        if row.fingerprint != claim.fingerprint:
            raise IdempotencyKeyReused("the key was sent with another method, path, query or body")
        if row.status is not None or not found.locked:
            return row
        if time.monotonic() >= until or context.stopping.is_set():
            raise IdempotencyInProgress(f"it has not ended within {settings.idempotency_wait_s:g} s")
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)


def replay(answer: Answer) -> Response:
    headers = {REPLAYED: "true"} | ({"Location": answer.location} if answer.location else {})
    return Response(answer.body, answer.status, headers, answer.media_type)


@asynccontextmanager
async def _renewing(context: Context, claim: Claim) -> AsyncIterator[None]:
    ended = asyncio.Event()
    task = asyncio.create_task(_renew(context, claim, ended))
    try:
        yield
    finally:
        ended.set()
        await task


async def _renew(context: Context, claim: Claim, ended: asyncio.Event) -> None:
    lock_s = context.settings.idempotency_lock_s
    while not ended.is_set():
        try:
            async with asyncio.timeout(lock_s / RENEWALS):
                await ended.wait()
        except TimeoutError:
            await _renewed(context, claim, lock_s)


async def _renewed(context: Context, claim: Claim, lock_s: float) -> None:
    """Where it cannot be, the lock may be lost; then nothing of this request is committed."""
    try:
        async with context.write() as session:
            await session.run_sync(idempotency.renew, claim, lock_s=lock_s)
    except ChaosError as error:
        problems.log.warning("the lock of an Idempotency-Key was not renewed: %s", error)
