"""What a series is: its period, its embedding, its largest Lyapunov exponent, and the interval that follows."""

import math
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from chaos_core.analysis_options import AUTOMATIC, AnalysisOptions
from chaos_core.embedding import Embedding
from chaos_core.lyapunov.dimension import kaplan_yorke
from chaos_core.lyapunov.divergence import Divergence
from chaos_core.lyapunov.fusion import Exponent, estimate_exponent
from chaos_core.lyapunov.preparation import Prepared, prepare
from chaos_core.lyapunov.verdict import Finding, Verdict, judge, oscillations, settling_rate
from chaos_core.reconstruction import estimate_lag
from chaos_core.series import Series

__all__ = ["Analysis", "DivergenceCurve", "Estimate", "Verdict", "analyse"]

LAG_ROWS = 20_000
NORMAL_90 = 1.645
WANTED_ERROR = 0.05
LEAST_PERIODS = 50
SWEEP = (0.1, 0.2, 1 / 3, 0.5, 2 / 3, 1.0, 1.5)


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


def _curve(found: Divergence, stride: int) -> DivergenceCurve:
    return DivergenceCurve(
        k=tuple(stride * k for k in range(len(found.curve))),
        s=tuple(round(float(value), 6) for value in found.curve),
        fit_start=found.start * stride,
        fit_stop=found.stop * stride,
        saturation=found.saturation,
    )


def _interval(finding: Finding, found: Exponent, rows: int) -> tuple[float | None, float | None, float | None]:
    """(value, low, high) per row as the verdict asks for them."""
    if finding.verdict in (Verdict.PERIODIC, Verdict.QUASI_PERIODIC):
        reach = max(abs(found.by_divergence or 0.0), 1.0 / rows)
        return 0.0, -reach, reach
    if finding.verdict is Verdict.CHAOTIC:
        return found.value, found.low, found.high
    value = found.by_map if finding.verdict is Verdict.STOCHASTIC else found.value
    ends = [end for end in (found.low, found.high, found.by_map, found.by_divergence) if end is not None]
    return value, min(0.0, *ends), max(0.0, *ends)


def _settled(rates: tuple[float, float, float]) -> Finding:
    said = f"The motion dies out at {-rates[0]:.3g} nats a row: the series settles on a fixed point."
    return Finding(Verdict.FIXED_POINT, (said,))


def _facts(series: Series, prepared: Prepared, options: AnalysisOptions) -> dict[str, Any]:
    lag, source = estimate_lag(prepared.clean[:LAG_ROWS], prepared.period)
    spread = np.nanstd(series.x, axis=0)
    return {
        "fallback_tau": lag,
        "fallback_source": source,
        "embedding": prepared.embedding,
        "flow_or_map": "flow" if prepared.is_flow else "map",
        "period_steps": prepared.period,
        "theiler_steps": prepared.theiler_steps,
        "noise": tuple((prepared.levels * spread).tolist()),
        "noise_share": prepared.noise,
        "smoothing_steps": prepared.window,
        "rows_used": prepared.rows,
        "map_error_ratio": None,
        "lambda_map_per_step": None,
        "lambda_divergence_per_step": None,
        "curve": None,
        "length": series.length,
        "channels": series.channels,
        "dt": series.dt,
        "names": series.names,
        "missing": int(series.mask.sum()),
        "input_names": series.input_names,
        "options": options,
    }


def _found(prepared: Prepared, found: Exponent) -> dict[str, Any]:
    return {
        "map_error_ratio": found.evidence.error_ratio,
        "lambda_map_per_step": found.by_map,
        "lambda_divergence_per_step": found.by_divergence,
        "estimates": tuple(
            Estimate(
                source=one.source,
                lambda_per_step=one.exponent / prepared.stride,
                believed=one.believed,
                distance=one.distance,
                weight=one.weight,
            )
            for one in found.growths
        ),
        "curve": _curve(found.curve, prepared.stride) if found.curve is not None else None,
    }


def _rounded(time: float | None) -> int | None:
    return None if time is None else max(1, round(time))


def _result(
    finding: Finding, exponent: tuple[float | None, float | None, float | None], facts: dict[str, Any]
) -> Analysis:
    value, low, high = exponent
    chaotic = finding.verdict is Verdict.CHAOTIC
    time = math.log(2) / value if chaotic and value else None
    return Analysis(
        verdict=finding.verdict,
        reasons=finding.reasons,
        lambda_max_per_step=value,
        lambda_low_per_step=low,
        lambda_high_per_step=high,
        lambda_max=value / facts["dt"] if value is not None and facts["dt"] is not None else None,
        predictability_time_steps=time,
        tau=_rounded(time),
        tau_low=_rounded(math.log(2) / high) if chaotic and high else None,
        tau_high=_rounded(math.log(2) / low) if chaotic and low else None,
        tau_sweep=() if time is None else tuple(sorted({max(1, round(share * time)) for share in SWEEP})),
        **facts,
    )


def analyse(series: Series, options: AnalysisOptions = AUTOMATIC) -> Analysis:
    """Finds what kind of dynamics a series shows, its largest Lyapunov exponent and the forcing interval.

    tau = max(1, round(ln 2 / lambda_max_per_step)), the time in which a small difference doubles, for chaotic
    series only. Scale and offset of the channels do not matter; the result is the same each time.

    Args:
        series: (T, N), at least 200 rows in one complete run; 20 and more periods give a trustworthy exponent.
        options: what is known of it beforehand; by default everything is found from the data.

    Returns:
        Verdict with reasons, exponent with interval, tau where the series is chaotic, and the facts they rest on. A
        weak estimate is a value with reasons, not an error.

    Raises:
        TooShort: no complete run has 200 rows, or none has 200 beside those that the embedding asked for takes; field
            `rows_needed`.
        Inconsistent: the options ask for a period or window longer than half of the longest run, or for an embedding
            of too many coordinates; fields `option`, `value`, `limit`.

    Source: J. Mikhaeil, Z. Monfared, D. Durstewitz (2022), On the difficulty of learning chaotic dynamics with RNNs,
        doi:10.48550/arXiv.2110.07238 (the interval); see chaos_core.lyapunov for the estimators.
    """
    prepared = prepare(series, options)
    facts = _facts(series, prepared, options)
    rates = settling_rate(prepared.raw)
    if rates is not None:
        settled = _settled(rates)
        return _result(settled, (rates[0], rates[1], min(rates[2], 0.0)), facts)
    finding = oscillations(prepared)
    found = estimate_exponent(prepared)
    if finding is None:
        finding = judge(prepared, found)
    finding = Finding(finding.verdict, (*finding.reasons, *prepared.notes))
    facts |= _found(prepared, found)
    if finding.verdict is Verdict.CHAOTIC and found.sampling is not None:
        clock = prepared.period if prepared.is_flow else 1.0
        rows = prepared.rows * (NORMAL_90 * found.sampling / WANTED_ERROR) ** 2
        facts["rows_needed"] = math.ceil(max(LEAST_PERIODS * clock, rows))
    if finding.verdict is Verdict.CHAOTIC and found.spectrum is not None:
        facts["spectrum_per_step"] = tuple(found.spectrum.tolist())
        facts["kaplan_yorke"] = kaplan_yorke(found.spectrum)
    return _result(finding, _interval(finding, found, prepared.rows), facts)
