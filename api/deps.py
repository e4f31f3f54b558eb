"""What a handler may ask for, as annotated types."""

from typing import Annotated, Literal

from fastapi import Depends, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from chaos_store import keys, logs
from chaos_store.paging import Place

from .context import Caller, Context
from .errors import Unauthorized, UnsupportedMediaType

MAX_PAGE = 200

bearer = HTTPBearer(auto_error=False, scheme_name="ApiKey", description="the API key: `Authorization: Bearer KEY`")


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Shared = Annotated[Context, Depends(context_of)]


async def authenticate(
    context: Shared, given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Caller:
    if given is None:
        raise Unauthorized("the request carries no key")
    known = context.keys.get(given.credentials)
    if known is not None:
        return _noted(known)
    async with context.read() as session:
        key = await session.scalar(keys.find(given.credentials))
    if key is None:
        raise Unauthorized("the key is not known, or was revoked")
    caller = Caller(key.project_id, key.id)
    context.keys.put(given.credentials, caller)
    return _noted(caller)


def _noted(caller: Caller) -> Caller:
    logs.bind(key_id=caller.key_id, project_id=caller.project_id)
    return caller


Known = Annotated[Caller, Depends(authenticate)]


def require_json(request: Request) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "application/json":
        raise UnsupportedMediaType(f"the body is '{given or 'without a type'}'", expected="application/json")


def require_json_if_any(request: Request) -> None:
    if int(request.headers.get("content-length") or 0) or "transfer-encoding" in request.headers:
        require_json(request)


JsonBody = Depends(require_json)
JsonIfAny = Depends(require_json_if_any)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PageQuery(Strict):
    limit: int = Field(50, ge=1, le=MAX_PAGE)
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before")
    order: Literal["asc", "desc"] = Field("desc", description="`desc`: newest first")
    created_after: AwareDatetime | None = Field(None, description="RFC 3339, e.g. 2026-11-22T14:00:00Z")
    created_before: AwareDatetime | None = None

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
