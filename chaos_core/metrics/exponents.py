"""The exponents of a trained cell against those of its data."""

import math
from typing import Any

import numpy as np

from chaos_core.errors import BadShape
from chaos_core.metrics.base import Metric
from chaos_core.metrics.score import Detail, Score
from chaos_core.typing import Floats

__all__ = ["LAMBDA_RATIO", "lambda_ratio"]


def lambda_ratio(
    exponents: Any,
    *,
    lambda_max_per_step: float | None,
    low: float | None = None,
    high: float | None = None,
    error: float | None = None,
    data_spectrum: Any = None,
    reason: str | None = None,
) -> Score:
    """The largest exponent of a trained cell over the data's: 1 is right, 2 is twice as chaotic, below 0 not at all.

    ratio = lambda_1(cell) / lambda_max(data), both in nats per row of the data.

    Args:
        exponents: (M,) of the cell's free run, any order, nats per step of one row: `Spectrum.exponents`. None where
            there are none; then `reason` says why.
        lambda_max_per_step: the data's largest exponent, by the analysis or published.
        low, high: its interval, as in the analysis (90 %).
        error: standard error of the cell's largest exponent.
        data_spectrum: (D,) the data's exponents, where they are known; the first ones are compared one by one.
        reason: why the cell has no exponents, or why they mean nothing: a run that left all bounds or came to rest.

    Returns:
        Score, dimensionless. `detail` holds both exponents, the cell's spectrum (None for minus infinity), the interval
        of the ratio that comes with the data's, `within` (whether the cell's exponent lies in the data's interval), and
        `differences` from the data's spectrum. `floor` is None: how well the ratio can be known says the interval.
        `value` is None where the cell has no exponents or the data's exponent is not positive.

    Raises:
        BadShape: exponents are not a vector of numbers below infinity.

    Source: the comparison of a generated attractor's exponents with the true ones: J. Pathak et al. (2017), Using
        machine learning to replicate chaotic attractors and calculate Lyapunov exponents, doi:10.1063/1.5010300.
    """
    spectrum = _descending(exponents)
    detail: Detail = {
        "lambda_max_per_step": lambda_max_per_step,
        "low": low,
        "high": high,
        "spectrum": None if spectrum is None else _listed(spectrum),
        "error": error,
    }
    if spectrum is not None:
        detail["lambda_cell_per_step"] = _listed(spectrum[:1])[0]
        known = _descending(data_spectrum)
        if known is not None:
            count = min(len(known), len(spectrum))
            detail["data_spectrum"] = _listed(known)
            detail["differences"] = _listed(spectrum[:count] - known[:count])
    why = reason or _why_none(spectrum, lambda_max_per_step)
    if why is not None or spectrum is None or lambda_max_per_step is None:
        return Score(value=None, floor=None, reason=why, detail=detail)
    largest = float(spectrum[0])
    if low is not None and high is not None and 0 < low <= high:
        ends = sorted((largest / low, largest / high))
        detail |= {"ratio_low": ends[0], "ratio_high": ends[1], "within": bool(low <= largest <= high)}
    return Score(value=largest / lambda_max_per_step, floor=None, detail=detail)


def _descending(exponents: Any) -> Floats | None:
    if exponents is None:
        return None
    found = np.asarray(exponents, np.float64)
    if found.ndim != 1 or not found.size or not (found < math.inf).all():
        raise BadShape("exponents must be a vector of numbers below infinity", shape=list(found.shape))
    return -np.sort(-found)


def _listed(exponents: Floats) -> list[Any]:
    return [float(value) if math.isfinite(value) else None for value in exponents]


def _why_none(spectrum: Floats | None, lambda_max: float | None) -> str | None:
    if spectrum is None:
        return "the cell has no exponents"
    if not math.isfinite(spectrum[0]):
        return "the cell flattens every direction, so its largest exponent is minus infinity"
    if lambda_max is None or not 0 < lambda_max < math.inf:
        return "the data have no positive exponent to compare with"
    return None


LAMBDA_RATIO = Metric(
    measure=lambda_ratio, needs="exponents", better="one", unit="none", requires=("lambda_max_per_step",)
)
