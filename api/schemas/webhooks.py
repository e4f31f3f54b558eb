import json
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, field_validator, model_validator

from chaos_store.announcements import EventType
from chaos_store.tables import Attempt, Delivery, Webhook

from .resource import Body, Json, Resource, Text

Status = Literal["pending", "sending", "succeeded", "failed"]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
EventTypes = Annotated[
    list[EventType] | None,
    Field(min_length=1, description="which events are sent; null: all, also types that are still to come"),
]
EXAMPLE: dict[str, JsonValue] = {
    "url": "https://example.com/hooks/chaos",
    "event_types": ["job.succeeded", "job.failed"],
    "description": "tells the lab's chat",
}
MAX_GRACE_S = 7 * 86_400.0


class WebhookWords(Body):
    @field_validator("event_types", check_fields=False)
    @classmethod
    def _once_each(cls, given: list[EventType] | None) -> list[EventType] | None:
        return None if given is None else list(dict.fromkeys(given))


class WebhookCreate(WebhookWords):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    url: Url = Field(description="https, of a public host; redirects are not followed")
    event_types: EventTypes = None
    description: Text | None = None
    enabled: bool = True


class WebhookUpdate(WebhookWords):
    """What is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": True}, {"event_types": ["dataset.ready"]}]})

    url: Url = ""
    event_types: EventTypes = None
    description: Text | None = None
    enabled: bool = Field(True, description="true forgets why it was disabled; false ends what waits to be sent")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("give url, event_types, description or enabled")
        return self


class SecretRotate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"grace_s": 86400}, {"grace_s": 0}]})

    grace_s: float | None = Field(
        None,
        ge=0,
        le=MAX_GRACE_S,
        description="the old secret signs too for so long; 0: no more; left out: `webhook_secret_grace_s` of "
        "GET /v1/limits",
    )


class WebhookLinks(BaseModel):
    self: str
    deliveries: str
    test: str
    rotate_secret: str


class WebhookOut(Resource):
    id: str = Field(examples=["whk_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["webhook"] = "webhook"
    url: str
    event_types: list[str] | None
    description: str | None
    enabled: bool
    disabled_reason: str | None = Field(
        description="`gone`: the receiver answered 410; `failing`: nothing has reached it for days; null: your own wish"
    )
    disabled_at: datetime | None
    failing_since: datetime | None = Field(description="the first failure since the last success")
    previous_secret_until: datetime | None = Field(description="until then the replaced secret signs too")
    created_at: datetime
    links: WebhookLinks

    @classmethod
    def of(cls, row: Webhook) -> Self:
        own = f"/v1/webhooks/{row.id}"
        links = {"self": own, "deliveries": f"{own}/deliveries", "test": f"{own}/test"}
        return cls.model_validate(
            cls.facts(row)
            | {"previous_secret_until": row.previous_until}
            | {"links": links | {"rotate_secret": f"{own}/rotate-secret"}}
        )


class WebhookWithSecret(WebhookOut):
    secret: str = Field(repr=False, description="shown now and never again", examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZ"])


class AttemptOut(Resource):
    number: int
    started_at: datetime
    duration_s: float | None = Field(description="null while it is under way, or where its sender was lost")
    status_code: int | None
    reason: str | None = Field(
        description="why it failed: `status`, `redirect`, `gone`, `timeout`, `connection_failed`, `tls_failed`, "
        "`answer_broken`, `name_not_found`, `address_refused`, `url_refused`, `sender_lost`, `sender_stopped`, "
        "`sender_error`"
    )
    detail: str | None
    answer: str | None = Field(description="its first 1024 bytes; what cannot be printed is replaced")

    @classmethod
    def of(cls, row: Attempt) -> Self:
        return cls.model_validate(cls.facts(row))


class DeliveryLinks(BaseModel):
    self: str
    webhook: str
    retry: str


class DeliveryOut(Resource):
    id: str = Field(examples=["whd_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["webhook_delivery"] = "webhook_delivery"
    webhook_id: str
    event_id: str = Field(
        description="the header `webhook-id`: the same in every attempt, and at every webhook that gets the event",
        examples=["evt_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"],
    )
    type: str = Field(examples=["job.succeeded"])
    status: Status
    reason: str | None = Field(description="of the last attempt, or `webhook_disabled`; null where none failed")
    attempt_count: int
    next_attempt_at: datetime | None = Field(description="null where none is planned, or one is under way")
    created_at: datetime
    finished_at: datetime | None
    links: DeliveryLinks

    @classmethod
    def words(cls, row: Delivery) -> Json:
        own = f"/v1/webhook-deliveries/{row.id}"
        links = {"self": own, "webhook": f"/v1/webhooks/{row.webhook_id}", "retry": f"{own}/retry"}
        planned = row.due_at if row.status == "pending" else None
        return cls.facts(row) | {"attempt_count": row.attempts, "next_attempt_at": planned, "links": links}

    @classmethod
    def of(cls, row: Delivery) -> Self:
        return cls.model_validate(cls.words(row))


class DeliveryLog(DeliveryOut):
    payload: Json = Field(
        description="what is sent",
        examples=[{"type": "webhook.test", "timestamp": "2026-11-22T14:00:00.000Z", "data": {}}],
    )
    attempts: list[AttemptOut]

    @classmethod
    def with_attempts(cls, row: Delivery, attempts: list[Attempt]) -> Self:
        told = {"payload": json.loads(row.payload), "attempts": [AttemptOut.of(found) for found in attempts]}
        return cls.model_validate(cls.words(row) | told)
