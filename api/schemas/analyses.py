from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from chaos_core.analysis_options import AnalysisOptions
from chaos_store.states import State
from chaos_store.tables import AnalysisRow, Job

from .problem import StoredProblem
from .resource import Body, Json, Resource, Text

EXAMPLES: list[JsonValue] = [
    {"dataset_id": "ds_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"},
    {
        "dataset_id": "ds_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e",
        "options": {"embedding": {"dim": 3, "lag": 8}, "dynamics": "flow", "denoise": "off"},
    },
]


class AnalysisCreate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES})

    dataset_id: Text
    options: AnalysisOptions = Field(
        default_factory=AnalysisOptions,
        description="what you know of the series; what is left out, or `auto`, is found from the data",
    )
    fresh: bool = Field(False, description="analyse again, also where the same series was analysed with these options")


class AnalysisLinks(BaseModel):
    self: str
    dataset: str
    job: str
    figure: str | None = Field(description="the divergence curve as a PNG, once the job that made it has succeeded")


class AnalysisOut(Resource):
    id: str = Field(examples=["an_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["analysis"] = "analysis"
    dataset_id: str
    job_id: str
    status: State
    options: Json = Field(description="what was asked for; what is not there was left to the data")
    result: Json | None = Field(
        description="`verdict`, exponents in nats (`lambda_max_per_step` with its bounds, `lambda_max` per time unit), "
        "`predictability_time_steps` = ln 2 / lambda_max, `tau` (null where not chaotic), `fallback_tau`, `embedding`, "
        "`reasons` and the divergence curve"
    )
    error: StoredProblem | None
    created_at: datetime
    links: AnalysisLinks

    @classmethod
    def of(cls, row: AnalysisRow, job: Job) -> Self:
        own = {"self": f"/v1/analyses/{row.id}", "dataset": f"/v1/datasets/{row.dataset_id}"}
        done = row.result is not None
        figure = f"{own['self']}/figure" if done and job.status == State.succeeded else None
        return cls.model_validate(
            cls.facts(row)
            | {"status": State.succeeded if done else job.status}
            | {"error": StoredProblem.of(job.error) if job.error and not done else None}
            | {"links": own | {"job": f"/v1/jobs/{row.job_id}", "figure": figure}}
        )
