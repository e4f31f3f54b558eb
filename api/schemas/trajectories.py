from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from chaos_store.tables import Trajectory

from .resource import Json, Resource


class TrajectoryLinks(BaseModel):
    self: str
    content: str
    model: str
    job: str


class TrajectoryOut(Resource):
    id: str = Field(examples=["trj_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["trajectory"] = "trajectory"
    model_id: str
    job_id: str
    artifact_id: str
    steps: int
    channels: int
    runs: int = Field(description="free runs in it; above 1 the arrays have a first axis of runs")
    options: Json = Field(description="what was asked for; empty for the run that the job stored")
    created_at: datetime
    links: TrajectoryLinks

    @classmethod
    def of(cls, row: Trajectory) -> Self:
        own = f"/v1/trajectories/{row.id}"
        links = {
            "self": own,
            "content": f"{own}/content",
            "model": f"/v1/models/{row.model_id}",
            "job": f"/v1/jobs/{row.job_id}",
        }
        return cls.model_validate(cls.facts(row) | {"links": links})
