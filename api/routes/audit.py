from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from chaos_store import audit
from chaos_store.scopes import Scope

from ..deps import Admin, PageQuery, Shared
from ..lookup import page
from ..schemas.audit import AuditEventOut
from ..schemas.resource import Page, Text

router = APIRouter(prefix="/audit-events", tags=["access"])


class AuditQuery(PageQuery):
    key_id: Text | None = None
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] | None = None
    status: int | None = Field(None, ge=100, le=599)
    code: Text | None = Field(None, description="of a refusal, e.g. `scope_missing`")
    request_id: Text | None = None
    resource_id: Text | None = None


@router.get(
    "",
    operation_id="audit_events_list",
    summary="Changes and refusals, newest first",
    description="Written within seconds of the request; kept for `audit_days`. An operator also sees the refusals of "
    "requests without a key that is known.",
)
async def list_events(query: Annotated[AuditQuery, Query()], caller: Admin, context: Shared) -> Page[AuditEventOut]:
    wanted = {name: getattr(query, name) for name in AuditQuery.model_fields.keys() - PageQuery.model_fields.keys()}
    nobody = caller.has(Scope.operator)
    statement = audit.page(caller.project_id, place=query.place(), with_nobody=nobody, **wanted)
    async with context.read() as session:
        return await page(session, statement, query, AuditEventOut.of)
