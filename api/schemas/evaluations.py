from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from chaos_core.metrics import METRICS
from chaos_core.metrics.presets import PresetName
from chaos_core.scoring_options import GeneratedAs, MetricName
from chaos_core.spec import Split
from chaos_store.states import State
from chaos_store.tables import Evaluation, Job

from .jobs import LabelName, ScoreOut
from .problem import StoredProblem
from .resource import Body, Json, Resource, Text

EXAMPLES: list[JsonValue] = [
    {
        "true": {"dataset_id": "ds_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e", "piece": "test"},
        "generated": {"trajectory_id": "trj_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"},
        "preset": "dsr-v1",
        "discard_share": 0.2,
    },
    {
        "true": {"dataset_id": "ds_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"},
        "generated": {"dataset_id": "ds_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3f"},
        "preset": "gtf",
        "metrics": ["d_stsp", "d_h"],
    },
]
PIECE = "`whole`, or the piece of a split by time; of a free run's truth the longest stretch without a gap counts"
Piece = Literal["whole", "train", "validation", "test"]


class DelayCoordinates(Body):
    dim: int = Field(1, ge=1, le=64, description="copies of each channel; 1: the channels as they are")
    lag: int = Field(1, ge=1, le=100_000, description="rows between two copies")


class TrueSide(Body):
    dataset_id: Text
    piece: Piece = Field("whole", description=PIECE)
    split: Split = Field(
        default_factory=Split, description="shares of the pieces; those stored with the dataset if left out"
    )


class GeneratedSide(Body):
    """One of the two."""

    dataset_id: Text | None = Field(None, description="anyone's run, sent as a dataset")
    trajectory_id: Text | None = Field(None, description="a trained model's free runs")
    piece: Piece = Field("whole", description="of a dataset")
    split: Split = Field(default_factory=Split)
    run: int | Literal["all"] | None = Field(
        None, description="of a trajectory with several runs: one, counted from 0, or the mean of `all`"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.dataset_id is None) == (self.trajectory_id is None):
            raise ValueError("give either dataset_id or trajectory_id")
        if self.dataset_id is not None and self.run is not None:
            raise ValueError("run chooses from a trajectory; a dataset has none")
        if self.trajectory_id is not None and self.model_fields_set & {"piece", "split"}:
            raise ValueError("piece and split cut a dataset; a trajectory is taken whole")
        if isinstance(self.run, int) and self.run < 0:
            raise ValueError("runs are counted from 0")
        return self


class EvaluationCreate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES})

    true: TrueSide
    generated: GeneratedSide
    preset: PresetName = Field("dsr-v1", description="settings of the metrics")
    metrics: list[MetricName] = Field(
        list(METRICS), min_length=1, max_length=len(METRICS), description="all where left out"
    )
    generated_as: GeneratedAs = Field(
        "free_run",
        description="`free_run`: a run by itself, of any length; `forecast_path`: row t is the forecast of true row t "
        "in one forecast that goes on; `forecast_from_every_row`: row t was forecast `prediction_steps` earlier",
    )
    prediction_steps: int = Field(20, ge=1, le=10_000, description="n of PE(n)")
    embedding: DelayCoordinates | None = Field(
        None, description="geometry is compared in its first three coordinates; left out: the model's, or none"
    )
    noise: list[Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = Field(
        None,
        max_length=10_000,
        description="deviation of the truth's measuring noise by channel, added to the run where the preset compares "
        "like with like; left out: what the model's analysis found, or none",
    )
    discard_share: float = Field(0.0, ge=0, le=0.9, description="first share of a free run that is dropped")
    lambda_max_per_step: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="the truth's largest exponent, nats a row, for `valid_prediction_time`; left out: of the newest "
        "analysis",
    )
    labels: dict[LabelName, Text] = Field({}, max_length=32, description="of the job")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.generated_as != "free_run" and self.discard_share:
            raise ValueError("discard_share drops rows of a free run; a forecast belongs to its rows")
        if len(set(self.metrics)) < len(self.metrics):
            raise ValueError("a metric is named twice")
        return self


class EvaluationLinks(BaseModel):
    self: str
    job: str
    true: str
    generated: str


class EvaluationOut(Resource):
    id: str = Field(examples=["evl_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["evaluation"] = "evaluation"
    job_id: str
    status: State
    dataset_id: str = Field(description="of the true series")
    generated_dataset_id: str | None
    trajectory_id: str | None
    options: Json = Field(
        description="`true`, `generated`, `scoring`: what was asked for, with every default filled in"
    )
    scores: dict[str, ScoreOut | None] | None = Field(
        description="by metric, each with its floor or with the `reason` why it has no value; null until done"
    )
    error: StoredProblem | None
    created_at: datetime
    finished_at: datetime | None
    links: EvaluationLinks

    @classmethod
    def of(cls, row: Evaluation, job: Job) -> Self:
        other = (
            f"/v1/trajectories/{row.trajectory_id}" if row.trajectory_id else f"/v1/datasets/{row.generated_dataset_id}"
        )
        links = {
            "self": f"/v1/evaluations/{row.id}",
            "job": f"/v1/jobs/{row.job_id}",
            "true": f"/v1/datasets/{row.dataset_id}",
            "generated": other,
        }
        return cls.model_validate(
            cls.facts(row)
            | {"status": job.status, "scores": job.scores, "finished_at": job.finished_at}
            | {"error": StoredProblem.of(job.error) if job.error else None, "links": links}
        )
