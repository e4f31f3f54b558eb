from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from chaos_core.onnx_model import Precision
from chaos_store.tables import TrainedModel

from ..deps import Strict
from .resource import Body, Json, Resource, Text

UNSPECIFIED = "unspecified"
EXAMPLES: list[JsonValue] = [{"name": "lorenz, quiet", "licence": "CC-BY-4.0", "stage": "production"}]
FORECASTS: list[JsonValue] = [
    {"context": [[-4.1, -6.2, 17.9], [-4.3, -6.6, 17.6]], "horizon": 3, "time": 12.4},
    {"context": [[0.2, 0.1]], "horizon": 2, "inputs": [[1.0], [0.0]]},
]
RUNS: list[JsonValue] = [
    {"steps": 10000},
    {"steps": 500, "starts": [[[-4.3, -6.6, 17.6]]], "members": 20, "spread": 0.01, "seed": 7},
]
Stage = Literal["none", "staging", "production", "archived"]
Rows = list[list[float | None]]
Starts = Annotated[list[Rows], Field(max_length=1000)]


class ModelLinks(BaseModel):
    self: str
    content: str
    onnx: str
    card: str
    lineage: str
    trajectories: str
    forecast: str
    diagnostics: str
    figures: str
    job: str
    archive: str
    dataset: str


class ModelOut(Resource):
    id: str = Field(examples=["mdl_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["model"] = "model"
    name: str
    licence: str = Field(description=f"what the owner said by PATCH; `{UNSPECIFIED}` until then")
    stage: Stage = Field(description="what the owner said by PATCH; the service itself does nothing with it")
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
            "onnx": f"{own}/content?format=onnx",
            "card": f"{own}/card",
            "lineage": f"{own}/lineage",
            "trajectories": f"{own}/trajectories",
            "forecast": f"{own}/forecast",
            "diagnostics": f"{own}/diagnostics",
            "figures": f"{own}/figures",
            "job": f"/v1/jobs/{row.job_id}",
            "archive": f"/v1/jobs/{row.job_id}/archive.zip",
            "dataset": f"/v1/datasets/{row.dataset_id}",
        }
        return cls.model_validate(cls.facts(row) | {"licence": row.licence or UNSPECIFIED, "links": links})


class ModelChange(Body):
    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES})

    name: Text | None = Field(None, description="left out or null: stays")
    licence: Text | None = Field(None, description="such as an SPDX identifier; left out: stays, null: none any more")
    stage: Stage | None = Field(None, description="left out or null: stays")

    def words(self) -> Json:
        given = self.model_dump(exclude_unset=True)
        return {word: value for word, value in given.items() if value is not None or word == "licence"}


class FileQuery(Strict):
    format: Literal["safetensors", "onnx"] = Field(
        "safetensors", description="`onnx`: one step, made from the safetensors file"
    )
    precision: Precision | None = Field(
        None, description="numbers of the ONNX graph; those of the training where left out"
    )


class ForecastCreate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": FORECASTS})

    context: Rows = Field(description="the last rows in data units, oldest first, channels in the order of `names`")
    horizon: int = Field(ge=1, description="rows to give; at most `max_forecast_steps` of GET /v1/limits")
    inputs: Rows | None = Field(None, description="of a driven model: `horizon` rows of its external inputs")
    time: float = Field(0.0, allow_inf_nan=False, description="time of the last row of `context`")


class ForecastOut(BaseModel):
    object: Literal["forecast"] = "forecast"
    model_id: str
    names: list[str]
    dt: float | None = Field(description="sampling step; null: not known, and times count steps")
    rows_used: int = Field(description="rows at the end of `context` that make the state")
    times: list[float]
    rows: Rows = Field(
        description="row k is at `times[k]`, the first one step after the context; null: left all bounds"
    )


class TrajectoryCreate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": RUNS})

    steps: int = Field(ge=1, description="rows of each run; at most `max_run_steps` of GET /v1/limits")
    starts: Starts = Field(
        [],
        description="windows of rows in data units, oldest first, each the start of a run (its last rows count); left "
        "out: the stored start, the first state of the test piece",
    )
    members: int = Field(1, ge=1, le=1000, description="runs from around each start")
    spread: float = Field(
        0.0,
        ge=0,
        le=100,
        allow_inf_nan=False,
        description="deviation of the members' starts in every number of the latent state, in units of the cell, in "
        "which each channel has standard deviation 1",
    )
    seed: int = Field(
        0, ge=0, lt=2**63, description="of the members' starts; the runs themselves have no chance in them"
    )
    inputs: Rows | None = Field(
        None, description="of a driven model: `steps` rows of its external inputs, for all runs"
    )

    def options(self) -> Json:
        return self.model_dump(exclude={"starts", "inputs"}) | {"starts": len(self.starts)}
