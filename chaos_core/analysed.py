"""What an analysis says of a series; the way there is in `chaos_core.analysis`, which this does not load."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from chaos_core.analysis_options import AUTOMATIC, AnalysisOptions
from chaos_core.embedding import Embedding

__all__ = ["Analysis", "DivergenceCurve", "Estimate", "Verdict"]


class Verdict(StrEnum):
    """The kinds of dynamics that an analysis can name; `undecided` where the evidence is weak or contradictory."""

    CHAOTIC = "chaotic"
    PERIODIC = "periodic"
    QUASI_PERIODIC = "quasi_periodic"
    FIXED_POINT = "fixed_point"
    STOCHASTIC = "stochastic"
    UNDECIDED = "undecided"


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


class Estimate(BaseModel):
    """What one way of estimating the largest exponent says.

    Args:
        source: which map, and whether along the data or in free runs.
        lambda_per_step: nats per row.
        believed: whether it is positive and near the divergence curve, whose slope on flows is first divided by 0.92:
            within a factor 1.5, free runs 1.8.
        distance: Hellinger distance between free runs of the map and the data, 0 (the same attractor) to 1; 0.4 where
            the runs leave the data. None in analyses of version 1.
        weight: its share in lambda_max_per_step; the rest is the divergence curve's. None in analyses of version 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    lambda_per_step: float
    believed: bool
    distance: float | None = None
    weight: float | None = None


class Analysis(BaseModel):
    """Facts about one series. JSON-able: `model_dump(mode="json")` and `model_validate` are inverse.

    Exponents are in nats. `tau` and `predictability_time_steps` = ln 2 / lambda_max_per_step stand only where the
    verdict is chaotic; `fallback_tau` (first minimum of the mutual information or 1/e decay of the autocorrelation,
    see `fallback_source`) always stands.

    Args:
        verdict: kind of dynamics.
        reasons: why, in plain sentences that carry the numbers.
        lambda_max_per_step: largest exponent, nats per row. Chaotic and undecided: both estimators combined. Periodic
            and quasi-periodic: 0. Fixed point: the rate at which the motion dies out. Stochastic: that of the fitted
            map, which says nothing about the noise.
        lambda_low_per_step, lambda_high_per_step: 90 % interval.
        lambda_max: the same in nats per time unit; None without dt.
        lambda_divergence_per_step, lambda_map_per_step: what each estimator says alone, the maps by their median.
        estimates: each of the maps' answers.
        predictability_time_steps: ln 2 / lambda_max_per_step, rows.
        tau: the predictability time rounded, at least 1: the longest sensible forcing interval.
        tau_low, tau_high: the same for the ends of the interval of the exponent.
        tau_sweep: intervals worth trying where one training is not enough: from a tenth of tau to tau and a half.
        spectrum_per_step: all exponents of the fitted map in free runs, nats per row, the largest first; None where
            the channels are not the whole state, or the map does not keep to the attractor.
        kaplan_yorke: the dimension that follows from them.
        rows_needed: rows with which the sampling error alone would be a twentieth of the exponent (90 %), at least
            50 periods; None where the data are not chaotic.
        fallback_tau: a decorrelation time to use where there is no tau, rows.
        embedding: delay embedding; dim 1 where the channels are the state.
        flow_or_map: map where a period has fewer than 6 rows.
        period_steps: dominant period, rows.
        theiler_steps: rows around a point that are its own past and future.
        noise: (N,) standard deviation of the observation noise of each channel, in the data's units; 0 where there
            is none or where it cannot be told from the motion (maps, coarsely sampled flows).
        noise_share: the same as a share of the channels' spread, root mean square over channels.
        smoothing_steps: rows of the filter used before the estimate, 1 for none.
        map_error_ratio: held-out error of the nonlinear map over that of the linear one.
        curve: divergence curve with its scaling region.
        rows_used: rows in the complete runs that were used.
        missing: entries that were not measured.
        input_names: the external inputs, which the exponents do not look at.
        options: what was asked for.
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
    estimates: tuple[Estimate, ...] = ()
    predictability_time_steps: float | None
    tau: PositiveInt | None
    tau_low: PositiveInt | None = None
    tau_high: PositiveInt | None = None
    tau_sweep: tuple[PositiveInt, ...] = ()
    spectrum_per_step: tuple[float, ...] | None = None
    kaplan_yorke: float | None = None
    rows_needed: PositiveInt | None = None
    fallback_tau: PositiveInt
    fallback_source: Literal["mutual_information", "autocorrelation"]
    embedding: Embedding
    flow_or_map: Literal["flow", "map"]
    period_steps: float
    theiler_steps: PositiveInt
    noise: tuple[float, ...]
    noise_share: float
    smoothing_steps: PositiveInt
    map_error_ratio: float | None
    curve: DivergenceCurve | None
    rows_used: PositiveInt
    length: PositiveInt
    channels: PositiveInt
    dt: float | None
    names: tuple[str, ...]
    missing: NonNegativeInt = 0
    input_names: tuple[str, ...] = ()
    options: AnalysisOptions = AUTOMATIC
