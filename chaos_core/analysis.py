"""What a series is: its period, its embedding, its largest Lyapunov exponent, and the interval that follows."""

import math
from typing import Any

import numpy as np

from chaos_core.analysed import Analysis, DivergenceCurve, Estimate, Verdict
from chaos_core.analysis_options import AUTOMATIC, AnalysisOptions
from chaos_core.lyapunov.dimension import kaplan_yorke
from chaos_core.lyapunov.divergence import Divergence
from chaos_core.lyapunov.fusion import Exponent, estimate_exponent
from chaos_core.lyapunov.preparation import Prepared, prepare
from chaos_core.lyapunov.verdict import Finding, judge, oscillations, settling_rate
from chaos_core.reconstruction import estimate_lag
from chaos_core.series import Series

__all__ = ["Analysis", "DivergenceCurve", "Estimate", "Verdict", "analyse"]

LAG_ROWS = 20_000
NORMAL_90 = 1.645
WANTED_ERROR = 0.05
LEAST_PERIODS = 50
SWEEP = (0.1, 0.2, 1 / 3, 0.5, 2 / 3, 1.0, 1.5)


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
