"""What kind of dynamics a series shows, and why.

Asked in this order: does it settle? is it a sum of few exact oscillations? does a nonlinear map predict better than a
linear one? do small differences grow, by the map and by the divergence curve? Divergence curves alone cannot tell
noise from chaos, so they are never asked alone.
"""

from dataclasses import dataclass

import numpy as np

from chaos_core.analysed import Verdict
from chaos_core.embedding import unit_variance
from chaos_core.lyapunov.fusion import Exponent
from chaos_core.lyapunov.lines import LineSpectrum, harmonic_fit, two_frequency_fit
from chaos_core.lyapunov.preparation import Prepared
from chaos_core.typing import Floats

__all__ = ["Finding", "Verdict", "judge", "oscillations", "settling_rate"]


LINE_ROWS_PER_PERIOD = 20
CLEAN_RESIDUAL = 5e-4
NOISY_RESIDUAL = 0.15
WHITE = 0.1
WORTH_A_SECOND = 0.8
LEAST_PERIODS = 10.0
LINEAR_RATIO = 0.97
EXACT_ERROR = 1e-4
LEAST_GROWTH = 0.08
FAINT = 0.25


@dataclass(frozen=True)
class Finding:
    """A verdict with the sentences that led to it."""

    verdict: Verdict
    reasons: tuple[str, ...]


def settling_rate(x: Floats) -> tuple[float, float, float] | None:
    """(mean, least, greatest) exponent per row at which a motion dies out; None where it does not.

    A series settles if its spread shrinks from each fifth to the next and ends below a twentieth of the first.

    Args:
        x: (T, N) observations without gaps.
    """
    pieces = np.array_split(unit_variance(x), 5)
    spread = np.array([piece.std(axis=0).max() for piece in pieces])
    alive = np.maximum(spread, 1e-9 * spread[0])
    falling = np.diff(alive) < 0
    if not (falling | (alive[1:] <= 1e-6 * spread[0])).all() or alive[-1] > 0.05 * alive[0]:
        return None
    rates = np.diff(np.log(alive)) / (len(x) / 5)
    rates = rates[alive[1:] > 1e-6 * spread[0]] if (alive[1:] > 1e-6 * spread[0]).any() else rates[:1]
    return float(rates.mean()), float(rates.min()), float(rates.max())


def _is_white(rest: Floats) -> bool:
    """Whether no row of (T, N) tells anything about the next twenty."""
    centred = rest - rest.mean(axis=0)
    power = (centred**2).sum()
    lags = range(1, min(21, len(rest) // 4))
    correlations = [abs((centred[lag:] * centred[:-lag]).sum()) / power for lag in lags]
    return bool(max(correlations, default=1.0) < max(WHITE, 4 / np.sqrt(len(rest))))


def _explains(lines: LineSpectrum | None) -> bool:
    if lines is None:
        return False
    if lines.residual < CLEAN_RESIDUAL:
        return True
    return lines.residual < NOISY_RESIDUAL and _is_white(lines.rest)


def oscillations(prepared: Prepared) -> Finding | None:
    """Periodic or quasi-periodic, where a sum over one or two frequencies leaves nothing but white noise.

    Args:
        prepared: for the clock and the longest run as it was sent (smoothing would colour the noise).
    """
    stride = max(1, int(prepared.period / LINE_ROWS_PER_PERIOD))
    x = unit_variance(prepared.raw[::stride])
    one = harmonic_fit(x)
    if one is None:
        return None
    if _explains(one):
        period = stride / one.frequencies[0]
        said = f"Harmonics of one period of {period:.6g} rows account for all but {one.residual:.2g} of the variance."
        rest = "What they leave is white noise." if one.residual >= CLEAN_RESIDUAL else "Nothing is left over."
        return Finding(Verdict.PERIODIC, (said, rest))
    two = two_frequency_fit(x) if one.residual < WORTH_A_SECOND else None
    if two is None or not _explains(two):
        return None
    periods = " and ".join(f"{stride / frequency:.5g}" for frequency in two.frequencies)
    said = f"Two oscillations of {periods} rows and their combinations account for all but {two.residual:.2g} of the "
    return Finding(Verdict.QUASI_PERIODIC, (said + "variance; one period alone leaves " + f"{one.residual:.2g}.",))


def _evidence(prepared: Prepared, found: Exponent) -> list[str]:
    ratio = found.evidence.error_ratio
    reasons = [f"The held-out error of a nonlinear map is {ratio:.3g} times that of the best linear map."]
    unit = "period" if prepared.is_flow else "step"
    clock = prepared.period if prepared.is_flow else 1.0
    if found.by_map is not None:
        reasons.append(
            f"The fitted maps stretch small differences by {found.by_map * clock:.3g} nats a {unit} (median)."
        )
    if found.by_divergence is not None and found.curve is not None:
        gained = f"over which they grow by {found.curve.rise:.2g} nats"
        reasons.append(f"Neighbours part at {found.by_divergence * clock:.3g} nats a {unit}, {gained}.")
    return reasons


def _growth(found: Exponent) -> float:
    """Nats per row by which maps stretch differences: the combined value where one of them is believed.

    Where none is and the curve rises many times faster than they stretch, it rises by noise and they prove nothing.
    """
    if found.value is not None and any(growth.believed for growth in found.growths):
        return found.value
    by_map = found.by_map or 0.0
    return by_map if by_map > FAINT * (found.by_divergence or 0.0) else 0.0


def judge(prepared: Prepared, found: Exponent) -> Finding:
    """Chaotic, stochastic or undecided, from the map's held-out error and both estimates.

    Chaotic: a nonlinear map predicts at least 3 % better than the linear one, the maps stretch differences by more
    than 0.08 nats a period (the combined exponent where one of them agrees with the divergence curve, else their
    median, where it is at least a quarter of the curve's slope), and the interval of the combined exponent lies above
    zero. Stochastic: the nonlinear map is no better.

    Args:
        prepared: states and clock.
        found: both estimates.

    Source: no false positive on 66 control series (sine, torus, white noise, AR, surrogates, clean and noisy).
    """
    reasons = _evidence(prepared, found)
    periods = prepared.rows / prepared.period
    if prepared.is_flow and periods < LEAST_PERIODS:
        needed = int(np.ceil(2 * LEAST_PERIODS * prepared.period))
        short = f"The series holds {periods:.2g} periods of {prepared.period:.4g} rows; {needed} rows would do."
        return Finding(Verdict.UNDECIDED, (short, *reasons))
    if found.evidence.error_ratio >= LINEAR_RATIO:
        if found.evidence.linear_error < EXACT_ERROR:
            exact = "A linear map predicts the series almost exactly: several oscillations, none of them chaotic."
            return Finding(Verdict.QUASI_PERIODIC, (exact, *reasons))
        return Finding(Verdict.STOCHASTIC, (*reasons, "No nonlinear rule connects the rows: linear noise."))
    if _growth(found) * prepared.period <= LEAST_GROWTH:
        return Finding(Verdict.UNDECIDED, (*reasons, "A nonlinear rule is there, but it does not stretch differences."))
    if found.low is None or found.low <= 0:
        return Finding(Verdict.UNDECIDED, (*reasons, "The interval of the exponent reaches down to zero."))
    return Finding(Verdict.CHAOTIC, (*reasons, "Both a nonlinear rule and exponential divergence are there."))
