from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, model_validator

from chaos_store.scopes import Scope
from chaos_store.tables import ApiKey

from .resource import Body, OwnLink, Resource, Text


def _to_come(moment: datetime | None) -> datetime | None:
    if moment is not None and moment <= datetime.now(UTC):
        raise ValueError("lies in the past; to end a key now, delete it")
    return moment


def _once(scopes: list[Scope]) -> list[Scope]:
    return [scope for scope in Scope if scope in scopes]


Scopes = Annotated[
    list[Scope],
    Field(
        min_length=1,
        max_length=len(Scope),
        description="`read`: GET and HEAD; `write`: all that makes or changes something; `admin`: keys, project, audit "
        "log; `operator`: projects and quotas. None contains another",
    ),
    AfterValidator(_once),
]
Expiry = Annotated[
    AwareDatetime | None, AfterValidator(_to_come), Field(description="RFC 3339, with a zone; null: never")
]


class ApiKeyCreate(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "dashboard", "scopes": ["read"], "expires_at": "2036-01-01T00:00:00Z"}]
        }
    )

    name: Text
    scopes: Scopes
    expires_at: Expiry = None


class ApiKeyChange(Body):
    """What is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "old dashboard"}, {"scopes": ["read"]}]})

    name: Text = Field(default_factory=str)
    scopes: Scopes = Field(default_factory=list)
    expires_at: Expiry = None

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("give name, scopes or expires_at")
        return self

    def words(self) -> dict[str, Any]:
        given = self.model_dump(mode="json", exclude_unset=True)
        if self.expires_at is not None:
            given["expires_at"] = self.expires_at.timestamp()
        return given


class ApiKeyOut(Resource):
    id: str = Field(examples=["key_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["api_key"] = "api_key"
    name: str
    scopes: list[Scope]
    status: Literal["active", "expired", "revoked"]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="to the minute or two")
    revoked_at: datetime | None
    links: OwnLink

    @classmethod
    def of(cls, row: ApiKey, seconds: float) -> Self:
        return cls.model_validate(cls.shown(row, seconds))

    @classmethod
    def shown(cls, row: ApiKey, seconds: float) -> dict[str, Any]:
        expired = row.expires_at is not None and row.expires_at <= seconds
        status = "revoked" if row.revoked_at is not None else "expired" if expired else "active"
        return cls.facts(row) | {"status": status, "links": {"self": f"/v1/api-keys/{row.id}"}}


class ApiKeyMade(ApiKeyOut):
    secret: str = Field(description="shown this once; only its hash is kept")

    @classmethod
    def with_secret(cls, row: ApiKey, secret: str) -> Self:
        return cls.model_validate(cls.shown(row, 0.0) | {"secret": secret})
