from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from chaos_store import granting, keys
from chaos_store.errors import KeyOutlives, LastAdminKey, NotFound, ScopeMissing, StorageFull
from chaos_store.tables import ApiKey

from .. import problems
from ..deps import Admin, JsonBody, Paged, Shared
from ..errors import BodyTooLarge, InvalidJson, UnsupportedMediaType
from ..headers import NO_STORE
from ..lookup import pair, pairs
from ..schemas.keys import ApiKeyChange, ApiKeyCreate, ApiKeyMade, ApiKeyOut
from ..schemas.resource import Page

BODY = (InvalidJson, BodyTooLarge, UnsupportedMediaType, StorageFull)

router = APIRouter(prefix="/api-keys", tags=["access"])


@router.post(
    "",
    status_code=201,
    operation_id="api_keys_create",
    summary="Make a key; its secret is shown this once",
    description="No key can grant a scope that it lacks, nor a life longer than its own.",
    dependencies=[JsonBody],
    responses=problems.declared(ScopeMissing, KeyOutlives, *BODY),
)
async def make_key(body: ApiKeyCreate, caller: Admin, context: Shared, response: Response) -> ApiKeyMade:
    expires_at = None if body.expires_at is None else body.expires_at.timestamp()
    words: dict[str, Any] = {"name": body.name, "scopes": [str(scope) for scope in body.scopes]}
    async with context.write() as session:
        key, secret = await session.run_sync(granting.grant, caller.key_id, **words, expires_at=expires_at)
        made = ApiKeyMade.with_secret(key, secret)
    response.headers["Location"] = made.links.self
    response.headers["Cache-Control"] = NO_STORE
    return made


@router.get("", operation_id="api_keys_list", summary="Keys of the project, newest first, revoked ones too")
async def list_keys(query: Paged, caller: Admin, context: Shared) -> Page[ApiKeyOut]:
    async with context.read() as session:
        return await pairs(session, keys.page(caller.project_id, **query.place()), query, ApiKeyOut.of)


@router.get("/{key_id}", operation_id="api_keys_get", summary="One key", responses=problems.declared(NotFound))
async def get_key(key_id: str, caller: Admin, context: Shared) -> ApiKeyOut:
    async with context.read() as session:
        return ApiKeyOut.of(*await pair(session, keys.get(caller.project_id, key_id), "api_key", key_id))


@router.patch(
    "/{key_id}",
    operation_id="api_keys_update",
    summary="Change name, scopes or expiry of a key",
    description="Other API processes follow within 10 s.",
    dependencies=[JsonBody],
    responses=problems.declared(NotFound, LastAdminKey, ScopeMissing, KeyOutlives, *BODY),
)
async def change_key(key_id: str, body: ApiKeyChange, caller: Admin, context: Shared) -> ApiKeyOut:
    def change(session: Session) -> ApiKey:
        return granting.change(session, caller.key_id, key_id, **body.words())

    async with context.write() as session:
        await session.run_sync(change)
        found = await pair(session, keys.get(caller.project_id, key_id), "api_key", key_id)
        changed = ApiKeyOut.of(*found)
    context.keys.forget(key_id)
    return changed


@router.delete(
    "/{key_id}",
    status_code=204,
    response_class=Response,
    operation_id="api_keys_delete",
    summary="Revoke a key; it stays in the list",
    description="Other API processes follow within 10 s.",
    responses=problems.declared(NotFound, LastAdminKey, ScopeMissing, StorageFull),
)
async def revoke_key(key_id: str, caller: Admin, context: Shared) -> None:
    async with context.write() as session:
        await session.run_sync(granting.withdraw, caller.key_id, key_id)
    context.keys.forget(key_id)
