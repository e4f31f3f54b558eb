from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chaos_store.tables import ApiKey, Project

from .keys import ApiKeyMade
from .resource import Body, OwnLink, Resource, Text


class Quotas(BaseModel):
    """null: no limit"""

    bytes: int | None = Field(None, description="stored bytes that the project's rows refer to")
    jobs: int | None = Field(None, description="jobs that wait or run at a time")
    core_hours: float | None = Field(None, description="run time of its jobs in 30 days")

    @classmethod
    def of(cls, row: Project) -> Self:
        return cls(bytes=row.quota_bytes, jobs=row.quota_jobs, core_hours=row.quota_core_hours)


class QuotasGiven(Body):
    """What is left out stays as it is; null: no limit."""

    bytes: int | None = Field(None, ge=0, lt=2**63)
    jobs: int | None = Field(None, ge=0, lt=2**31)
    core_hours: float | None = Field(None, ge=0, allow_inf_nan=False)

    def words(self) -> dict[str, Any]:
        return {f"quota_{name}": value for name, value in self.model_dump(exclude_unset=True).items()}


Retention = Annotated[
    float | None,
    Field(ge=0, allow_inf_nan=False, description="seconds that finished jobs and what they made are kept; null: ever"),
]


class ProjectCreate(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "ocean", "quotas": {"bytes": 10_000_000_000, "jobs": 50}}]}
    )

    name: Text
    retention_s: Retention = None
    quotas: QuotasGiven = QuotasGiven()

    def words(self) -> dict[str, Any]:
        return {"retention_s": self.retention_s} | self.quotas.words()


class ProjectChange(Body):
    """What is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "ocean", "retention_s": 2_592_000}]})

    name: Text = Field(default_factory=str)
    retention_s: Retention = None
    quotas: QuotasGiven = Field(QuotasGiven(), description="wants a key with the scope `operator`")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("give name, retention_s or quotas")
        return self

    def words(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True, exclude={"quotas"}) | self.quotas.words()


class ProjectOut(Resource):
    id: str = Field(examples=["prj_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["project"] = "project"
    name: str
    retention_s: float | None
    quotas: Quotas
    created_at: datetime
    links: OwnLink

    @classmethod
    def of(cls, row: Project) -> Self:
        return cls.model_validate(cls.shown(row))

    @classmethod
    def shown(cls, row: Project) -> dict[str, Any]:
        return cls.facts(row) | {"quotas": Quotas.of(row), "links": {"self": f"/v1/projects/{row.id}"}}


class ProjectMade(ProjectOut):
    key: ApiKeyMade = Field(description="the first key of the project, with the scopes read, write and admin")

    @classmethod
    def with_key(cls, row: Project, key: ApiKey, secret: str) -> Self:
        return cls.model_validate(cls.shown(row) | {"key": ApiKeyMade.with_secret(key, secret)})
