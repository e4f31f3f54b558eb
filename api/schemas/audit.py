from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from chaos_store.tables import AuditEvent

from .resource import Resource


class AuditEventOut(Resource):
    id: str = Field(examples=["aud_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["audit_event"] = "audit_event"
    project_id: str | None = Field(description="null where the key was not known")
    key_id: str | None
    request_id: str
    address: str | None = Field(description="of the client, or of the proxy where none is trusted")
    method: str
    route: str = Field(examples=["/v1/jobs/{job_id}/cancel"])
    status: int
    code: str | None = Field(description="of the refusal")
    resource_id: str | None
    created_at: datetime

    @classmethod
    def of(cls, row: AuditEvent) -> Self:
        return cls.model_validate(cls.facts(row))
