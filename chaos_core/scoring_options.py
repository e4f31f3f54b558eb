"""What may be asked of a comparison of two trajectories; light, since the API checks orders with it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeFloat, model_validator

from chaos_core.embedding import Embedding
from chaos_core.errors import Inconsistent
from chaos_core.metrics import METRICS
from chaos_core.metrics.presets import PresetName

__all__ = ["GeneratedAs", "MetricName", "Scoring", "check_dt"]

GeneratedAs = Literal["free_run", "forecast_path", "forecast_from_every_row"]
SAME_DT = 1e-6


def _known_metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"there is no metric '{name}'; known: {', '.join(METRICS)}")
    return name


MetricName = Annotated[str, AfterValidator(_known_metric)]


class Scoring(BaseModel):
    """How two trajectories are compared; data units everywhere.

    Args:
        preset: settings of the metrics, see `chaos_core.metrics.PRESETS`.
        metrics: which; all where left out.
        generated_as: what the generated rows are. "free_run": a run by itself, which has a length of its own.
            "forecast_path": row t is the forecast of true row t, in one forecast that goes on; then the metrics of free
            runs are told too. "forecast_from_every_row": row t was forecast from true row t - `prediction_steps`.
        prediction_steps: n of PE(n).
        embedding: where it has several dimensions, D_stsp and the dimension compare the first three delay coordinates.
        noise: standard deviation of the measuring noise of each channel of the truth. With a preset that compares like
            with like, it is added to the generated run before D_stsp, D_H and the dimension; empty: none.
        discard_share: first share of a free run that is dropped as transient.
        lambda_max_per_step: the truth's largest exponent, nats per row, for the valid prediction time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: PresetName = "dsr-v1"
    metrics: tuple[MetricName, ...] = Field(tuple(METRICS), min_length=1)
    generated_as: GeneratedAs = "free_run"
    prediction_steps: int = Field(20, ge=1, le=10_000)
    embedding: Embedding = Embedding()
    noise: tuple[Annotated[NonNegativeFloat, Field(allow_inf_nan=False)], ...] = ()
    discard_share: float = Field(0.0, ge=0, le=0.9)
    lambda_max_per_step: Annotated[FiniteFloat, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _whole_forecast(self) -> "Scoring":
        if self.generated_as != "free_run" and self.discard_share:
            raise ValueError("discard_share drops rows of a free run; a forecast belongs to its rows")
        return self


def check_dt(true: float | None, generated: float | None) -> None:
    """Raises Inconsistent where both sampling steps are known and differ."""
    if true is not None and generated is not None and abs(true - generated) > SAME_DT * true:
        detail = f"the true series has dt = {true:g} and the generated one {generated:g}; spectra would not compare"
        raise Inconsistent(detail, dt_true=true, dt_generated=generated)
