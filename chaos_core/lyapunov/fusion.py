"""One answer from estimators that fail in different ways."""

from dataclasses import dataclass, replace

import numpy as np

from chaos_core.embedding import Embedding
from chaos_core.lyapunov.cleaning import map_embedding
from chaos_core.lyapunov.divergence import Divergence, divergence
from chaos_core.lyapunov.growth import free_growth, tangent_growth
from chaos_core.lyapunov.map_model import ROUGH_ROWS, TRAIN_ROWS, MapModel, fit_map
from chaos_core.lyapunov.measure import hellinger, planes
from chaos_core.lyapunov.neighbours import Orbit
from chaos_core.lyapunov.preparation import Prepared
from chaos_core.typing import Flags, Floats

__all__ = ["Exponent", "Growth", "estimate_exponent"]

STEP_SHARE = 0.1
WINDOWS = ((4, 0.12), (8, 0.06))
"""(copies of a single channel, lag in periods): two fifths of a period of the past in coarse and in fine copies, whose
maps go wrong on different flows. A third map between them (six copies, a tenth) changed nothing on 67 flows."""
GAUSSIANS, GAUSSIANS_DELAYED = 200, 300
MAP_SWING = 20.0
BLOCK_PERIODS = 12
BURN_IN_PERIODS = 5
BLOCKS, BLOCKS_DELAYED = 40, 24
FREE_PERIODS, FREE_PERIODS_DELAYED = 40, 20
WIDEST_SPECTRUM = 8
VANISHING = 0.2
TOLERANCE, TOLERANCE_FREE = 0.4, 0.6
STEEPNESS = 4.0
"""An answer counts by the distance between its map's runs and the data to the power -4: below 0.07 its error is 3 %
on median, at 0.1 it is 8 %, at 0.15 it is 17 %, beyond 0.2 it is 35 %."""
ALONG = 0.3
"""What growth along the data counts beside that in free runs of the same map, where single Jacobians average out."""
LOST = 0.4
"""The distance of a map whose runs leave the data."""
CURVE_DISTANCE, CURVE_DISTANCE_DELAYED = 0.25, 0.15
"""The distance at which a map would be as good as the divergence curve: in all planes, and in those of a history."""
NORMAL_90 = 1.645
WEAK_GROWTH = 0.1
DOUBT, DOUBT_WEAK, DOUBT_SPREAD, DOUBT_DISTANCE, DOUBT_DENOISED, DOUBT_WITHOUT_CURVE = 1.7, 0.25, 0.6, 0.5, 0.1, 0.5
OWN_ERROR, WIDEST = 0.05, 0.9
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
        distance: Hellinger distance between free runs of the map and the data.
        free: whether the growth is that in free runs.
        weight: its share in the answer, 0 where it is not positive or far from the curve.
    """

    source: str
    exponent: float
    parts: Floats
    distance: float
    free: bool
    weight: float = 0.0

    @property
    def believed(self) -> bool:
        """Whether it has a share in the answer."""
        return self.weight > 0


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
    period, delayed, dim = prepared.orbit_period, prepared.directions is not None, orbit.z.shape[1]
    swing = period if prepared.is_flow else MAP_SWING
    longest = int(orbit.room.max())
    burn_in = min(int(BURN_IN_PERIODS * swing), longest // 4)
    block = max(model.step, min(int(BLOCK_PERIODS * swing), longest // 4))
    blocks, periods = (BLOCKS_DELAYED, FREE_PERIODS_DELAYED) if delayed else (BLOCKS, FREE_PERIODS)
    vectors = dim if not delayed and dim <= WIDEST_SPECTRUM else 1
    along = tangent_growth(orbit, model, block=block, burn_in=burn_in, blocks=blocks)
    run = free_growth(orbit, model, steps=int(periods * swing), burn_in=burn_in, vectors=vectors)
    distance = LOST if run is None else hellinger(orbit.z, run.states, planes(dim, delayed=delayed))
    grown, spectrum = [], None
    if along is not None:
        grown.append(Growth(f"{name} along the data", along.exponent, along.parts, distance, free=False))
    if run is not None:
        grown.append(Growth(f"{name} in free runs", run.exponent, run.parts, distance, free=True))
        spectrum = _plausible(run.spectrum, prepared.is_flow) if vectors == dim else None
    return grown, spectrum


def _plausible(spectrum: Floats, is_flow: bool) -> Floats | None:
    """The spectrum, unless it is that of a flow and holds no exponent near zero, which every flow has."""
    has_zero = np.abs(spectrum).min() < VANISHING * abs(spectrum[0])
    return spectrum if has_zero or not is_flow else None


def _embeddings(prepared: Prepared) -> list[Embedding]:
    """Those that a map is fitted in, in rows of the orbit."""
    if prepared.maps_share_embedding:
        return [prepared.orbit_embedding]
    channels = prepared.runs[0].shape[1]
    return [map_embedding(channels, prepared.orbit_period, *window) for window in WINDOWS]


def _fitted(
    prepared: Prepared, runs: tuple[Floats, ...], embedding: Embedding, rows: int = TRAIN_ROWS
) -> tuple[Orbit, MapModel]:
    directions, step = prepared.directions, 1
    if directions is not None and prepared.is_flow:
        step = max(1, min(round(STEP_SHARE * prepared.orbit_period), embedding.lag))
    orbit = Orbit.embedded(runs, embedding)
    gaussians = GAUSSIANS if directions is None else GAUSSIANS_DELAYED
    return orbit, fit_map(orbit, step, gaussians=gaussians, directions=directions, rows=rows)


def _near(exponents: Floats, curve: Floats, free: Flags) -> Floats:
    """(S, K) logarithms of those of the maps (S, K) that lie near the curve (S,), NaN elsewhere."""
    tolerance = np.where(free, TOLERANCE_FREE, TOLERANCE)
    there = (exponents > 0) & (curve > 0)[:, None]
    logs = np.full(exponents.shape, np.nan)
    logs[there] = np.log(exponents[there])
    far = np.abs(logs - np.log(np.where(curve > 0, curve, 1.0))[:, None]) > tolerance
    logs[far] = np.nan
    return logs


@dataclass(frozen=True)
class Voices:
    """Who speaks beside the curve.

    Args:
        distances: (K,) those of their maps' runs from the data.
        free: (K,) whether it is growth in such runs.
        curve: the distance at which a map would be as good as the curve.
    """

    distances: Floats
    free: Flags
    curve: float

    @property
    def weights(self) -> Floats:
        """As if they were all believed."""
        return np.where(self.free, 1.0, ALONG) * np.maximum(self.distances, 1e-3) ** -STEEPNESS

    def weighed(self, exponents: Floats, curve: Floats) -> tuple[Floats, Floats]:
        """(S,) combined exponents of S samples from those of K maps (S, K) and of the curve (S,); weights (S, K + 1).

        A map that goes wrong goes wrong by factors, a curve by tens of per cent. So the curve decides which maps are
        believed: within e^0.4, free runs within e^0.6. What they say is averaged with the curve, in logarithms, by how
        well each map's own runs fill the attractor as the data do.
        """
        logs = _near(exponents, curve, self.free)
        believed = np.isfinite(logs)
        weights = np.c_[np.where(believed, self.weights, 0.0), np.full(len(curve), self.curve**-STEEPNESS)]
        base = np.log(np.where(curve > 0, curve, 1.0))
        found = np.exp((weights * np.c_[np.where(believed, logs, 0.0), base]).sum(axis=1) / weights.sum(axis=1))
        return np.where(curve > 0, found, curve), weights


def _resampled(parts: Floats, rng: np.random.Generator) -> Floats:
    """(S,) means of parts drawn with replacement."""
    return np.asarray(parts[rng.integers(0, len(parts), (SAMPLES, len(parts)))].mean(axis=1), np.float64)


@dataclass(frozen=True)
class Answer:
    """Exponent, nats per row of the orbit.

    Args:
        value: the exponent.
        error: its standard error by block bootstrap.
        spread: standard deviation of the logarithms of what was believed, the curve included.
        distance: that of one map which would count as much as all that was believed.
        weights: (K,) shares of the maps.
    """

    value: float
    error: float
    spread: float
    distance: float
    weights: tuple[float, ...]


def _combine(curve: Divergence | None, growths: list[Growth], *, is_flow: bool, delayed: bool) -> Answer | None:
    rng = np.random.default_rng(0)
    drawn = [_resampled(growth.parts, rng) for growth in growths]
    exponents, bias = np.array([growth.exponent for growth in growths]), CURVE_BIAS if is_flow else 1.0
    distances, free = np.array([growth.distance for growth in growths]), np.array([growth.free for growth in growths])
    voices = Voices(distances, free, CURVE_DISTANCE_DELAYED if delayed else CURVE_DISTANCE)
    if curve is None:
        if not growths:
            return None
        shares = voices.weights / voices.weights.sum()
        value, error = float(shares @ exponents), float((shares @ np.array(drawn)).std())
        return Answer(value, error, 0.0, float(voices.distances.min()), tuple(shares.tolist()))
    slope, slopes = np.array([curve.exponent]) / bias, _resampled(curve.parts, rng) / bias
    if not growths:
        return Answer(float(slope[0]), float(slopes.std()), 0.0, voices.curve, ())
    (value,), (weights,) = voices.weighed(exponents[None], slope)
    error = voices.weighed(np.stack(drawn, axis=1), slopes)[0].std()
    shares, total = weights / weights.sum(), float(weights.sum())
    heard = np.r_[exponents, slope][shares > 0]
    spread = 0.0
    if slope[0] > 0:
        spread = float(np.sqrt(shares[shares > 0] @ (np.log(heard) - np.log(value)) ** 2))
    return Answer(float(value), float(error), spread, total ** (-1 / STEEPNESS), tuple(shares[:-1].tolist()))


def _half_width(answer: Answer, curve: Divergence | None, clock: float, *, denoised: bool) -> float:
    """Half of the 90 % interval as a share of the value.

    Block bootstrap; maps that are not believed; how far those that are lie apart, and how unlike the data their runs
    are; what weak growth, denoising and the method itself left on 67 flows with known exponents. At most 0.9, so
    that a positive value keeps a positive lower end.
    """
    doubted = float(np.mean([weight == 0 for weight in answer.weights])) if answer.weights else 1.0
    weak = min(1.0, WEAK_GROWTH / max(abs(answer.value) * clock, 1e-9))
    sampling = min(1.0, answer.error / max(abs(answer.value), 1e-300))
    parts = [
        NORMAL_90 * sampling,
        DOUBT * doubted,
        DOUBT_WEAK * weak,
        DOUBT_SPREAD * answer.spread,
        DOUBT_DISTANCE * answer.distance,
        DOUBT_DENOISED if denoised else 0.0,
        DOUBT_WITHOUT_CURVE if curve is None else 0.0,
        OWN_ERROR,
    ]
    return min(WIDEST, float(np.linalg.norm(np.array(parts))))


def estimate_exponent(prepared: Prepared) -> Exponent:
    """Largest exponent of the prepared states by divergence curve and by map models, and their combination.

    A full state gives one map, a delay embedding two of different lags; each is asked for the growth along the data
    and in free runs. The interval joins a block bootstrap of all of them, their disagreement, and the errors that
    were seen on flows with known exponents.

    Args:
        prepared: states and clock.

    Source: 67 flows with known exponents (`./scripts/bench lyapunov`): settings were chosen on every second one, the
        curve's bias, its distance and the parts of the interval on all of them.
    """
    stride, clock = prepared.stride, prepared.orbit_period if prepared.is_flow else 1.0
    curve = divergence(prepared.orbit, prepared.orbit_period, prepared.theiler, neighbours=prepared.neighbours)
    embeddings = _embeddings(prepared)
    maps = [_fitted(prepared, prepared.runs, embedding) for embedding in embeddings]
    told = [_growths(prepared, orbit, model, f"map {i + 1}") for i, (orbit, model) in enumerate(maps)]
    growths, spectrum, model = [growth for grown, _ in told for growth in grown], told[0][1], maps[0][1]
    evidence = _fitted(prepared, prepared.filtered, embeddings[0], ROUGH_ROWS)[1] if prepared.denoised else model
    answer = _combine(curve, growths, is_flow=prepared.is_flow, delayed=not prepared.full_state)
    value = half = sampling = None
    if answer is not None:
        value = answer.value / stride
        half = abs(value) * _half_width(answer, curve, clock, denoised=prepared.denoised)
        sampling = answer.error / max(abs(answer.value), 1e-300)
        growths = [replace(growth, weight=share) for growth, share in zip(growths, answer.weights, strict=True)]
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
