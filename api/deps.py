"""What a handler may ask for, as annotated types."""

import math
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Depends, Query, Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import BaseModel, ConfigDict, Field

from chaos_store import keys, logs
from chaos_store.errors import ScopeMissing
from chaos_store.paging import Place
from chaos_store.scopes import Scope

from . import rates
from .context import Caller, Context
from .errors import Unauthorized, UnsupportedMediaType
from .schemas.resource import Moment

MAX_PAGE = 200
SAFE = {"GET", "HEAD"}


async def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Shared = Annotated[Context, Depends(context_of)]


class ApiKey(SecurityBase):
    """Who asks, and whether the key may: reading wants `read`, anything else `write`, and some routes say otherwise."""

    scheme_name = "ApiKey"
    model = HTTPBearer(description="the API key: `Authorization: Bearer KEY`")

    def __init__(self, *scopes: Scope) -> None:
        self.scopes = scopes

    async def __call__(self, request: Request) -> Caller:
        scheme, secret = get_authorization_scheme_param(request.headers.get("authorization"))
        caller = await _identified(request, await context_of(request), secret if scheme.lower() == "bearer" else "")
        logs.bind(key_id=caller.key_id, project_id=caller.project_id)
        by_method = Scope.read if request.method in SAFE else Scope.write
        for scope in self.scopes or (by_method,):
            if scope not in caller.scopes:
                raise ScopeMissing(f"{request.method} {request.url.path} wants a key with it.", scope=str(scope))
        return caller


async def _identified(request: Request, context: Context, secret: str) -> Caller:
    """Counted once a request, however many ask. `asker` is whose key it was, also of one that is refused."""
    if not secret:
        raise Unauthorized("the request carries no key")
    known: Caller | None = getattr(request.state, "caller", None)
    if known is not None:
        return known
    caller = context.keys.get(secret) or await _look_up(request, context, secret)
    request.state.asker = caller
    context.ledger.use(caller.project_id, caller.key_id)
    windows = await context.rates.take(caller.project_id, caller.key_id)
    request.state.rates = rates.headers(windows)
    rates.refuse(windows)
    request.state.caller = caller
    return caller


async def _look_up(request: Request, context: Context, secret: str) -> Caller:
    async with context.read() as session:
        found = (await session.execute(keys.known(secret))).first()
    if found is None:
        raise Unauthorized("the key is not known")
    key, seconds = found
    caller = Caller(key.project_id, key.id, frozenset(key.scopes))
    if key.revoked_at is not None:
        request.state.asker = caller
        raise Unauthorized("the key was revoked")
    lasts_s = math.inf if key.expires_at is None else key.expires_at - seconds
    if lasts_s <= 0:
        request.state.asker = caller
        expired_at = datetime.fromtimestamp(key.expires_at or 0.0, UTC).isoformat(timespec="seconds")
        raise Unauthorized(f"the key expired at {expired_at}", expired_at=expired_at)
    context.keys.put(secret, caller, lasts_s)
    return caller


Known = Annotated[Caller, Security(ApiKey())]
Admin = Annotated[Caller, Security(ApiKey(Scope.admin), scopes=[Scope.admin.value])]
OPERATOR = Security(ApiKey(Scope.operator), scopes=[Scope.operator.value])


async def require_json(request: Request) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "application/json":
        raise UnsupportedMediaType(f"the body is '{given or 'without a type'}'", expected="application/json")


async def require_json_if_any(request: Request) -> None:
    if int(request.headers.get("content-length") or 0) or "transfer-encoding" in request.headers:
        await require_json(request)


JsonBody = Depends(require_json)
JsonIfAny = Depends(require_json_if_any)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PageQuery(Strict):
    limit: int = Field(50, ge=1, le=MAX_PAGE)
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before")
    order: Literal["asc", "desc"] = Field("desc", description="`desc`: newest first")
    created_after: Moment | None = Field(None, description="RFC 3339, e.g. 2026-11-22T14:00:00Z")
    created_before: Moment | None = None

    def place(self) -> Place:
        return Place(
            cursor=self.cursor,
            limit=self.limit,
            order=self.order,
            created_after=self.created_after,
            created_before=self.created_before,
        )


class WaitQuery(Strict):
    wait: float = Field(
        0.0,
        ge=0,
        description="seconds to wait until the work has ended (at most `max_wait_s` of GET /v1/limits are waited); the "
        "answer is the state when it has ended or the time is over",
    )


Paged = Annotated[PageQuery, Query()]
Waiting = Annotated[WaitQuery, Query()]
