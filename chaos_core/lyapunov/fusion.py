"""One answer from estimators that fail in different ways."""

from dataclasses import dataclass, replace

import numpy as np

from chaos_core.embedding import Embedding
from chaos_core.lyapunov.cleaning import map_embedding
from chaos_core.lyapunov.divergence import Divergence, divergence
from chaos_core.lyapunov.growth import MapExponent, free_growth, tangent_growth
from chaos_core.lyapunov.map_model import MapModel, fit_map
from chaos_core.lyapunov.neighbours import Orbit
from chaos_core.lyapunov.preparation import Prepared
from chaos_core.typing import Flags, Floats

__all__ = ["Exponent", "Growth", "estimate_exponent"]

STEP_SHARE = 0.1
LAG_SHARES = (0.1, 0.08)
GAUSSIANS, GAUSSIANS_DELAYED = 200, 150
MAP_SWING = 20.0
BLOCK_PERIODS = 12
BURN_IN_PERIODS = 5
BLOCKS, BLOCKS_DELAYED = 40, 24
FREE_PERIODS, FREE_PERIODS_DELAYED = 40, 20
WIDEST_SPECTRUM = 8
VANISHING = 0.2
TOLERANCE, TOLERANCE_FIRST = 0.4, 0.6
TRUSTED_ERROR = 1e-3
NORMAL_90 = 1.645
WEAK_GROWTH = 0.1
DOUBT, DOUBT_WEAK, DOUBT_UNPREDICTED, DOUBT_DENOISED, DOUBT_WITHOUT_CURVE = 1.9, 0.27, 0.1, 0.12, 0.5
OWN_ERROR, WIDEST = 0.1, 0.9
CURVE_BIAS = 0.92
"""A curve's slope is 8 % low on median: pairs that are wide apart bend it before they saturate."""
SAMPLES = 400


@dataclass(frozen=True, eq=False)
class Growth:
    """What one estimator says, nats per row of the orbit.

    Args:
        source: which map, and along what.
        exponent: the mean.
        parts: (G,) of blocks or runs.
        first: whether it comes before the others: free runs of a map of the full state, which have half the error
            of growth along the data. Free runs in a delay embedding have not.
        believed: whether it is positive and near the curve.
    """

    source: str
    exponent: float
    parts: Floats
    first: bool = False
    believed: bool = True


@dataclass(frozen=True, eq=False)
class Exponent:
    """Largest exponent, nats per row of the series.

    Args:
        value: best estimate.
        low: lower end of the 90 % interval.
        high: upper end of the 90 % interval.
        by_divergence: what the divergence curve alone gives; None where it has no neighbours to follow.
        by_map: what the maps alone give, the median; None where no run is long enough.
        growths: each of these.
        sampling: relative standard error by block bootstrap; None without a value.
        spectrum: (D,) all exponents of the map in free runs, the largest first; None for delay embeddings, for more
            than eight coordinates, where the runs leave the data, or where a flow's spectrum lacks its zero.
        curve: the divergence curve, in rows of the orbit.
        evidence: the first map, fitted to the rows before they were denoised: rows that were made to agree with a
            map cannot tell whether there is one.
    """

    value: float | None
    low: float | None
    high: float | None
    by_divergence: float | None
    by_map: float | None
    growths: tuple[Growth, ...]
    sampling: float | None
    spectrum: Floats | None
    curve: Divergence | None
    evidence: MapModel


def _growths(prepared: Prepared, orbit: Orbit, model: MapModel, name: str) -> tuple[list[Growth], Floats | None]:
    """What one map says, and its spectrum."""
    period, directions, dim = prepared.orbit_period, prepared.directions, orbit.z.shape[1]
    swing = period if prepared.is_flow else MAP_SWING
    longest = int(orbit.room.max())
    burn_in = min(int(BURN_IN_PERIODS * swing), longest // 4)
    block = max(model.step, min(int(BLOCK_PERIODS * swing), longest // 4))
    blocks, periods = (BLOCKS, FREE_PERIODS) if directions is None else (BLOCKS_DELAYED, FREE_PERIODS_DELAYED)
    grown = []
    if directions is not None and directions < dim:
        within = tangent_growth(orbit, model, block=block, burn_in=burn_in, blocks=blocks, directions=directions)
        grown += _grown(f"{name} along the data, within their sheet", within)
    grown += _grown(f"{name} along the data", tangent_growth(orbit, model, block=block, burn_in=burn_in, blocks=blocks))
    vectors = dim if directions is None and dim <= WIDEST_SPECTRUM else 1
    run = free_growth(orbit, model, steps=int(periods * swing), burn_in=burn_in, vectors=vectors)
    if run is None:
        return grown, None
    grown += _grown(f"{name} in free runs", run, first=directions is None)
    return grown, _plausible(run.spectrum, prepared.is_flow) if vectors == dim else None


def _grown(source: str, found: MapExponent | None, *, first: bool = False) -> list[Growth]:
    return [] if found is None else [Growth(source, found.exponent, found.parts, first)]


def _plausible(spectrum: Floats, is_flow: bool) -> Floats | None:
    """The spectrum, unless it is that of a flow and holds no exponent near zero, which every flow has."""
    has_zero = np.abs(spectrum).min() < VANISHING * abs(spectrum[0])
    return spectrum if has_zero or not is_flow else None


def _embeddings(prepared: Prepared) -> list[Embedding]:
    """Those that a map is fitted in, in rows of the orbit."""
    period, channels = prepared.orbit_period, prepared.runs[0].shape[1]
    if prepared.maps_share_embedding:
        return [prepared.orbit_embedding]
    first, second = (map_embedding(channels, period, share) for share in LAG_SHARES)
    return [first, second if second != first else Embedding(dim=first.dim + 1, lag=first.lag)]


def _fitted(prepared: Prepared, runs: tuple[Floats, ...], embedding: Embedding) -> tuple[Orbit, MapModel]:
    directions, step = prepared.directions, 1
    if directions is not None and prepared.is_flow:
        step = max(1, min(round(STEP_SHARE * prepared.orbit_period), embedding.lag))
    orbit = Orbit.embedded(runs, embedding)
    gaussians = GAUSSIANS if directions is None else GAUSSIANS_DELAYED
    return orbit, fit_map(orbit, step, gaussians=gaussians, directions=directions)


def _near(exponents: Floats, curve: Floats, first: Flags) -> Floats:
    """(S, K) logarithms of those of the maps (S, K) that lie near the curve (S,), NaN elsewhere."""
    tolerance = np.where(first, TOLERANCE_FIRST, TOLERANCE)
    there = (exponents > 0) & (curve > 0)[:, None]
    logs = np.full(exponents.shape, np.nan)
    logs[there] = np.log(exponents[there])
    far = np.abs(logs - np.log(np.where(curve > 0, curve, 1.0))[:, None]) > tolerance
    logs[far] = np.nan
    return logs


def _weighed(exponents: Floats, curve: Floats, error: float, first: Flags) -> Floats:
    """(S,) combined exponents of S samples from those of K maps (S, K) and of the curve (S,).

    A map that goes wrong goes wrong by factors, a curve by tens of per cent. So the curve decides which maps are
    believed: within e^0.4, those that come `first` within e^0.6. The median of those that come first is what is said,
    where there is none that of the others; it is weighed against the curve by the map's held-out error and by how many
    were not believed.
    """
    logs = _near(exponents, curve, first)
    believed = np.isfinite(logs).any(axis=1)
    leading = np.isfinite(logs[:, first]).any(axis=1)
    base = np.log(np.where(curve > 0, curve, 1.0))
    median = base.copy()
    median[believed] = np.nanmedian(logs[believed], axis=1)
    if leading.any():
        median[leading] = np.nanmedian(logs[leading][:, first], axis=1)
    dropped = np.where(leading, 0.0, np.isnan(logs).mean(axis=1))
    share = 1 / (1 + error / TRUSTED_ERROR) / (1 + dropped)
    found = np.exp(share * median + (1 - share) * base)
    return np.asarray(np.where(curve > 0, found, curve), np.float64)


def _resampled(parts: Floats, rng: np.random.Generator) -> Floats:
    """(S,) means of parts drawn with replacement."""
    return np.asarray(parts[rng.integers(0, len(parts), (SAMPLES, len(parts)))].mean(axis=1), np.float64)


@dataclass(frozen=True)
class Answer:
    """Exponent, nats per row of the orbit, with its standard error by block bootstrap and which maps it believes."""

    value: float
    error: float
    believed: tuple[bool, ...]


def _combine(curve: Divergence | None, growths: list[Growth], error: float, bias: float) -> Answer | None:
    rng = np.random.default_rng(0)
    drawn = [_resampled(growth.parts, rng) for growth in growths]
    exponents = np.array([growth.exponent for growth in growths])
    if curve is None:
        if not growths:
            return None
        return Answer(float(np.median(exponents)), float(np.median(drawn, axis=0).std()), (True,) * len(growths))
    slope, slopes = np.array([curve.exponent]) / bias, _resampled(curve.parts, rng) / bias
    if not growths:
        return Answer(float(slope[0]), float(slopes.std()), ())
    first = np.array([growth.first for growth in growths])
    value = _weighed(exponents[None], slope, error, first)[0]
    spread = _weighed(np.stack(drawn, axis=1), slopes, error, first).std()
    near = _near(exponents[None], slope, first)[0]
    return Answer(float(value), float(spread), tuple(np.isfinite(near).tolist()))


def _half_width(answer: Answer, curve: Divergence | None, error: float, clock: float, denoised_delays: bool) -> float:
    """Half of the 90 % interval as a share of the value.

    Block bootstrap; maps that are not believed; what weak growth, badly predicted rows, denoised delays and the method
    itself left on 67 flows with known exponents. At most 0.9, so that a positive value keeps a positive lower end.
    """
    doubted = 1 - np.mean(answer.believed) if answer.believed else 1.0
    weak = min(1.0, WEAK_GROWTH / max(abs(answer.value) * clock, 1e-9))
    unpredicted = min(1.0, 10 * np.sqrt(error))
    sampling = min(1.0, answer.error / max(abs(answer.value), 1e-300))
    parts = [
        NORMAL_90 * sampling,
        DOUBT * doubted,
        DOUBT_WEAK * weak,
        DOUBT_UNPREDICTED * unpredicted,
        DOUBT_DENOISED if denoised_delays else 0.0,
        DOUBT_WITHOUT_CURVE if curve is None else 0.0,
        OWN_ERROR,
    ]
    return min(WIDEST, float(np.linalg.norm(np.array(parts))))


def estimate_exponent(prepared: Prepared) -> Exponent:
    """Largest exponent of the prepared states by divergence curve and by map models, and their combination.

    A full state gives one map, a delay embedding two of different lags; each is asked for the growth along the data
    and in free runs, delay maps also within the sheet of the data. The interval joins a block bootstrap of all of
    them, their disagreement, and the errors that were seen on flows with known exponents.

    Args:
        prepared: states and clock.

    Source: 67 flows with known exponents (`./scripts/bench lyapunov`): most settings were chosen on every second one,
        the curve's bias, the precedence of free runs and the doubt of denoised delays on all of them.
    """
    stride, clock = prepared.stride, prepared.orbit_period if prepared.is_flow else 1.0
    curve = divergence(prepared.orbit, prepared.orbit_period, prepared.theiler)
    embeddings = _embeddings(prepared)
    maps = [_fitted(prepared, prepared.runs, embedding) for embedding in embeddings]
    told = [_growths(prepared, orbit, model, f"map {i + 1}") for i, (orbit, model) in enumerate(maps)]
    growths, spectrum, model = [growth for grown, _ in told for growth in grown], told[0][1], maps[0][1]
    evidence = _fitted(prepared, prepared.filtered, embeddings[0])[1] if prepared.denoised else model
    answer = _combine(curve, growths, model.error, CURVE_BIAS if prepared.is_flow else 1.0)
    value = half = sampling = None
    if answer is not None:
        value = answer.value / stride
        denoised_delays = prepared.denoised and not prepared.full_state
        half = abs(value) * _half_width(answer, curve, model.error, clock, denoised_delays)
        sampling = answer.error / max(abs(answer.value), 1e-300)
        growths = [replace(growth, believed=yes) for growth, yes in zip(growths, answer.believed, strict=True)]
    return Exponent(
        value=value,
        low=None if value is None or half is None else value - half,
        high=None if value is None or half is None else value + half,
        by_divergence=curve.exponent / stride if curve else None,
        by_map=float(np.median([growth.exponent for growth in growths])) / stride if growths else None,
        growths=tuple(growths),
        sampling=sampling,
        spectrum=None if spectrum is None else spectrum / stride,
        curve=curve,
        evidence=evidence,
    )
