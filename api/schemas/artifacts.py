from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from chaos_store.tables import Artifact

from .resource import Resource


class ArtifactLinks(BaseModel):
    self: str
    content: str
    job: str


class ArtifactOut(Resource):
    id: str = Field(examples=["art_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["artifact"] = "artifact"
    job_id: str
    kind: str = Field(examples=["figure"])
    name: str = Field(examples=["attractor.svg"])
    media_type: str
    sha256: str
    size_bytes: int
    created_at: datetime
    links: ArtifactLinks

    @classmethod
    def of(cls, row: Artifact) -> Self:
        own = f"/v1/artifacts/{row.id}"
        links = {"self": own, "content": f"{own}/content", "job": f"/v1/jobs/{row.job_id}"}
        return cls.model_validate(cls.facts(row) | {"size_bytes": row.size, "links": links})
