"""What a series is: its period, its embedding, its largest Lyapunov exponent, and the interval that follows."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveInt

from chaos_core.embedding import Embedding
from chaos_core.lyapunov.verdict import Verdict

__all__ = ["Analysis", "DivergenceCurve", "Verdict"]


class DivergenceCurve(BaseModel):
    """Mean log distance of neighbours k steps after they were found, and the part of it that grows exponentially.

    Args:
        k: steps since the neighbours were found.
        s: S(k), mean natural log of the distance (data scaled to unit variance per channel).
        fit_start: first k of the scaling region; None where there is none.
        fit_stop: last k of the scaling region; None where there is none.
        saturation: the level that S(k) tends to, measured on pairs of points drawn at random.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: tuple[int, ...]
    s: tuple[float, ...]
    fit_start: int | None
    fit_stop: int | None
    saturation: float


class Analysis(BaseModel):
    """Facts about one series. JSON-able: `model_dump(mode="json")` and `model_validate` are inverse.

    Exponents are in nats. `tau` and `predictability_time_steps` = ln 2 / lambda_max_per_step stand only where the
    verdict is chaotic; `fallback_tau` (first minimum of the mutual information or 1/e decay of the autocorrelation,
    see `fallback_source`) always stands.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    reasons: tuple[str, ...]
    lambda_max_per_step: float | None
    lambda_low_per_step: float | None
    lambda_high_per_step: float | None
    lambda_max: float | None
    lambda_divergence_per_step: float | None
    lambda_map_per_step: float | None
    predictability_time_steps: float | None
    tau: PositiveInt | None
    fallback_tau: PositiveInt
    fallback_source: Literal["mutual_information", "autocorrelation"]
    embedding: Embedding
    flow_or_map: Literal["flow", "map"]
    period_steps: float
    theiler_steps: PositiveInt
    noise_share: float
    smoothing_steps: PositiveInt
    map_error_ratio: float | None
    curve: DivergenceCurve | None
    rows_used: PositiveInt
    length: PositiveInt
    channels: PositiveInt
    dt: float | None
    names: tuple[str, ...]
