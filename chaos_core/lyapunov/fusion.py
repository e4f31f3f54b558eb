"""One answer from estimators that fail in different ways."""

from dataclasses import dataclass

import numpy as np

from chaos_core.embedding import Embedding
from chaos_core.lyapunov.cleaning import FINE_PERIOD, map_embedding
from chaos_core.lyapunov.divergence import Divergence, divergence
from chaos_core.lyapunov.map_model import MapExponent, MapModel, fit_map, free_growth, tangent_growth
from chaos_core.lyapunov.neighbours import Orbit
from chaos_core.lyapunov.preparation import Prepared
from chaos_core.reconstruction import theiler_window
from chaos_core.typing import Floats

__all__ = ["Exponent", "Growth", "estimate_exponent"]

STEP_SHARE = 0.1
LAG_SHARES = (0.1, 0.08)
GAUSSIANS, GAUSSIANS_DELAYED = 200, 150
MAP_SWING = 20.0
BLOCK_PERIODS = 12
BURN_IN_PERIODS = 5
FREE_PERIODS = 40
FREE_PERIODS_DELAYED = 20
TOLERANCE = 0.4
TRUSTED_ERROR = 1e-3
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
    """

    source: str
    exponent: float
    parts: Floats


@dataclass(frozen=True, eq=False)
class Exponent:
    """Largest exponent, nats per row of the series.

    Args:
        value: best estimate.
        low: lower end of the 90 % interval.
        high: upper end of the 90 % interval.
        by_divergence: what the divergence curve alone gives; None where it has no neighbours to follow.
        by_map: what the map alone gives, along the data; None where no run is long enough.
        growths: all that the maps give.
        curve: the divergence curve, in rows of the orbit.
        model: the first map.
        evidence: the same kind of map, fitted to the rows before they were denoised: rows that were made to agree
            with a map cannot tell whether there is one.
    """

    value: float | None
    low: float | None
    high: float | None
    by_divergence: float | None
    by_map: float | None
    growths: tuple[Growth, ...]
    curve: Divergence | None
    model: MapModel
    evidence: MapModel


def _grown(name: str, found: MapExponent | None) -> list[Growth]:
    return [] if found is None else [Growth(name, found.exponent, found.parts)]


def _growths(prepared: Prepared, orbit: Orbit, model: MapModel, name: str) -> list[Growth]:
    period, directions = prepared.orbit_period, prepared.directions
    swing = period if prepared.is_flow else MAP_SWING
    longest = int(orbit.room.max())
    burn_in = min(int(BURN_IN_PERIODS * swing), longest // 4)
    block = max(model.step, min(int(BLOCK_PERIODS * swing), longest // 4))
    blocks = 40 if directions is None else 24
    found = _grown(f"{name} along the data", tangent_growth(orbit, model, block=block, burn_in=burn_in, blocks=blocks))
    if directions is not None and directions < orbit.z.shape[1]:
        within = tangent_growth(orbit, model, block=block, burn_in=burn_in, blocks=blocks, directions=directions)
        found = _grown(f"{name} along the data, within their sheet", within) + found
    periods = FREE_PERIODS if directions is None else FREE_PERIODS_DELAYED
    return found + _grown(
        f"{name} in free runs", free_growth(orbit, model, steps=int(periods * swing), burn_in=burn_in)
    )


def _embeddings(prepared: Prepared) -> list[Embedding]:
    """Those that a map is fitted in, in rows of the orbit."""
    period, channels = prepared.orbit_period, prepared.runs[0].shape[1]
    if prepared.full_state or period < FINE_PERIOD:
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


def _weighed(exponents: Floats, curve: Floats, error: float) -> Floats:
    """(S,) combined exponents of S samples from those of K maps (S, K) and of the curve (S,).

    Those of the maps that lie within e^0.4 of the curve count by their median; it is weighed against the curve by the
    map's held-out error and by how many were dropped. A map that goes wrong goes wrong by factors, a curve by tens of
    per cent, so the curve decides which maps are believed, and the maps what is said.
    """
    curve = curve / CURVE_BIAS
    logs = np.full(exponents.shape, np.nan)
    there = (exponents > 0) & (curve > 0)[:, None]
    logs[there] = np.log(exponents[there])
    base = np.log(np.where(curve > 0, curve, 1.0))
    logs[np.abs(logs - base[:, None]) > TOLERANCE] = np.nan
    kept = np.isfinite(logs).sum(axis=1)
    believed = base.copy()
    believed[kept > 0] = np.nanmedian(logs[kept > 0], axis=1)
    dropped = 1 - kept / exponents.shape[1]
    share = 1 / (1 + error / TRUSTED_ERROR) / (1 + dropped)
    found = np.exp(share * believed + (1 - share) * base)
    return np.asarray(np.where(curve > 0, found, curve), np.float64)


def _resampled(parts: Floats, rng: np.random.Generator) -> Floats:
    """(S,) means of parts drawn with replacement."""
    return np.asarray(parts[rng.integers(0, len(parts), (SAMPLES, len(parts)))].mean(axis=1), np.float64)


def _combine(curve: Divergence | None, growths: tuple[Growth, ...], error: float) -> tuple[float, float] | None:
    """(value, standard error of a block bootstrap), nats per row of the orbit."""
    rng = np.random.default_rng(0)
    if curve is None and not growths:
        return None
    drawn = [_resampled(growth.parts, rng) for growth in growths]
    exponents = np.array([growth.exponent for growth in growths])
    if curve is None:
        return float(np.median(exponents)), float(np.median(drawn, axis=0).std())
    if not growths:
        return curve.exponent / CURVE_BIAS, float(_resampled(curve.parts, rng).std())
    value = _weighed(exponents[None], np.array([curve.exponent]), error)[0]
    samples = _weighed(np.stack(drawn, axis=1), _resampled(curve.parts, rng), error)
    return float(value), float(samples.std())


def estimate_exponent(prepared: Prepared) -> Exponent:
    """Largest exponent of the prepared states by divergence curve and by map models, and their combination.

    A full state gives one map, a delay embedding two of different lags; each is asked for the growth along the data
    and in free runs, delay maps also within the sheet of the data. The interval holds a block bootstrap of all of
    them, what they disagree, and TODO.

    Args:
        prepared: states and clock.

    Source: settings were chosen on every second one of 67 flows with known exponents (`./scripts/bench lyapunov`).
    """
    curve = divergence(prepared.orbit, prepared.orbit_period, theiler_window(prepared.orbit_period))
    embeddings, stride = _embeddings(prepared), prepared.stride
    maps = [_fitted(prepared, prepared.runs, embedding) for embedding in embeddings]
    growths = tuple(
        growth for i, (orbit, model) in enumerate(maps) for growth in _growths(prepared, orbit, model, f"map {i + 1}")
    )
    model = maps[0][1]
    evidence = _fitted(prepared, prepared.filtered, embeddings[0])[1] if prepared.denoised else model
    by_divergence = curve.exponent / stride if curve else None
    by_map = growths[0].exponent / stride if growths else None
    answer = _combine(curve, growths, model.error)
    if answer is None:
        return Exponent(None, None, None, by_divergence, by_map, growths, curve, model, evidence)
    value, half = answer[0] / stride, answer[1] / stride
    return Exponent(value, value - half, value + half, by_divergence, by_map, growths, curve, model, evidence)
