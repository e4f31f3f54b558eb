from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from chaos_store.tables import TrainedModel

from .resource import Json, Resource


class ModelLinks(BaseModel):
    self: str
    content: str
    trajectories: str
    job: str
    dataset: str


class ModelOut(Resource):
    id: str = Field(examples=["mdl_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["model"] = "model"
    name: str
    job_id: str
    dataset_id: str
    config: Json = Field(
        description="cell, settings, observation, scaling, dt, latent start and dtype; the same JSON as metadata key "
        "`chaos` of the safetensors file"
    )
    sha256: str = Field(description="of the safetensors file")
    artifact_id: str
    parameter_count: int
    plan_hash: str | None
    created_at: datetime
    links: ModelLinks

    @classmethod
    def of(cls, row: TrainedModel) -> Self:
        own = f"/v1/models/{row.id}"
        links = {
            "self": own,
            "content": f"{own}/content",
            "trajectories": f"{own}/trajectories",
            "job": f"/v1/jobs/{row.job_id}",
            "dataset": f"/v1/datasets/{row.dataset_id}",
        }
        return cls.model_validate(cls.facts(row) | {"links": links})
