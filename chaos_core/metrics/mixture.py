"""D_stsp in many channels: a Gaussian around each row makes a density, and two densities are compared."""

from typing import Any

import numpy as np

from chaos_core.metrics.base import Metric
from chaos_core.metrics.presets import Mixture, Preset, preset_named
from chaos_core.metrics.score import Outcome, Score, first_gap, score_with_floor, still_channel, two_series
from chaos_core.typing import Flags, Floats

__all__ = ["D_STSP_GMM", "d_stsp_gmm", "mixture_divergence"]

MOST_PAIRS = 2_000_000
"""Pairs of a point and a row that are in memory at once: three arrays of them take 48 MB."""


def d_stsp_gmm(
    true: Any, generated: Any, *, preset: str = "dsr-v1", floor: bool = True, seed: int | np.random.Generator = 0
) -> Score:
    """State-space divergence of two mixtures of Gaussians, for any number of channels, by a Monte Carlo estimate.

    D = mean over points s_i drawn from p of ln p(s_i) - ln q(s_i), where p(s) = mean over rows x_t of
    exp(-|s - x_t|^2 / (2 variance)) and q the same of the other series; which of them is p says the preset. 0 is
    equal; by the estimate's chance it may be slightly negative. Values of different variances cannot be compared, nor
    those of mixtures and of histograms. The order of the rows does not matter.

    Args:
        true: (T, N) or (T,) observations.
        generated: (T', N) or (T',), a free run in the same unit.
        preset: the settings; "dsr-v1" by default, whose variance is that of the truth in each channel, so that units
            do not matter, and which leaves no point out. The presets of the papers have a fixed variance, made for
            standardised data.
        floor: False leaves the floor out, for comparisons by the thousand.
        seed: of the random points, a whole number or a numpy Generator; fixed by default, so that a score can be
            repeated. Drawn in this order: uniform numbers u, whose row is floor(u T), then one normal number for
            each channel; where the preset draws from both series, those of the generated one first.

    Returns:
        Score in nats. `value` is None where a series holds a non-finite entry or has no rows, where a channel of the
        truth is constant, where the preset has no mixture, or where all points were left out.
        `detail["standard_error"]` is that of the Monte Carlo estimate, `detail["left_out"]` the points whose
        likelihood is 0 in the preset's arithmetic.

    Raises:
        UnknownKind: no preset of that name.
        Inconsistent, BadShape: the series do not fit together.

    Source: J. R. Hershey, P. A. Olsen (2007), Approximating the Kullback Leibler divergence between Gaussian mixture
        models, doi:10.1109/ICASSP.2007.366913, equation 4; as a measure of attractors: Koppe et al. (2019),
        doi:10.1371/journal.pcbi.1007263.
    Differs: likelihoods are computed as logarithms and in double precision; the series may have different lengths.
    """
    chosen = preset_named(preset)
    truth, run = two_series(true, generated)

    def measure(one: Floats, other: Floats) -> Outcome:
        return mixture_divergence(one, other, chosen, seed)

    return score_with_floor(measure, truth, run, floor=floor)


def mixture_divergence(true: Floats, generated: Floats, preset: Preset, seed: int | np.random.Generator) -> Outcome:
    """`d_stsp_gmm` of two checked series without the floor: (T, N) and (T', N) -> number or reason."""
    rules = preset.mixture
    if rules is None:
        return Outcome.undefined(f"preset {preset.name} has no mixture of Gaussians", preset=preset.name)
    reason = _unusable(true, generated)
    if reason is not None:
        return Outcome.undefined(reason, preset=preset.name)
    truth, run = true[: rules.most_rows], generated[: rules.most_rows]
    with np.errstate(all="ignore"):
        if rules.scaled:
            spread = true.std(axis=0)
            truth, run = truth / spread, run / spread
        gains, left_out = _gains(truth, run, rules, np.random.default_rng(seed))
        means = [float(gain.mean()) if gain.size else np.nan for gain in gains]
        errors = [float(gain.std() / np.sqrt(gain.size)) if gain.size else np.nan for gain in gains]
    detail: dict[str, Any] = {
        "preset": preset.name,
        "method": "mixture",
        "variance": rules.variance,
        "samples": rules.samples,
        "rows_used": [len(truth), len(run)],
        "left_out": left_out,
    }
    if any(gain.size == 0 for gain in gains):
        return Outcome(None, "the mixtures lie so far apart that no random point has a likelihood in both", detail)
    value = float(np.mean(means))
    if not np.isfinite(value):
        return Outcome(None, "the mixtures lie farther apart than numbers reach", detail)
    detail["standard_error"] = float(np.sqrt(np.square(errors).sum()) / len(errors))
    return Outcome(value, None, detail)


def _unusable(true: Floats, generated: Floats) -> str | None:
    if len(true) < 2 or len(generated) < 1:
        return f"{len(true)} true and {len(generated)} generated rows are too few for mixtures"
    return first_gap(true, "true") or first_gap(generated, "generated") or still_channel(true, "true")


def _gains(true: Floats, run: Floats, rules: Mixture, rng: np.random.Generator) -> tuple[list[Floats], int]:
    """ln p - ln q at the points of each direction, without those left out, and how many were."""
    pairs = {"generated": [(run, true)], "true": [(true, run)], "both": [(run, true), (true, run)]}
    gains, left_out = [], 0
    for own, other in pairs[rules.drawn_from]:
        rows = own[np.floor(rng.random(rules.samples) * len(own)).astype(np.int64)]
        points = rows + np.sqrt(rules.variance) * rng.standard_normal(rows.shape)
        p, p_seen = _log_likelihood(points, own, rules)
        q, q_seen = _log_likelihood(points, other, rules)
        seen = p_seen & q_seen
        gains.append((p - q)[seen])
        left_out += int(rules.samples - seen.sum())
    return gains, left_out


def _log_likelihood(points: Floats, centres: Floats, rules: Mixture) -> tuple[Floats, Flags]:
    """ln of the mixture (S,) but for a constant of both mixtures, and whether the likelihood is above 0 (S,).

    Squared distances are sums of squares less twice the product, counted from the centres' own mean: whatever the
    mean of the data, no more than rounding is lost.
    """
    middle = centres.mean(axis=0)
    centred = centres - middle
    squares = np.square(centred).sum(axis=1)
    chunk = max(1, MOST_PAIRS // len(centres))
    logs, peaks = np.empty(len(points)), np.empty(len(points))
    for first in range(0, len(points), chunk):
        moved = points[first : first + chunk] - middle
        exponent = moved @ centred.T
        exponent *= 2
        exponent -= squares
        exponent -= np.square(moved).sum(axis=1)[:, None]
        exponent /= 2 * rules.variance
        np.minimum(exponent, 0.0, out=exponent)
        peak = exponent.max(axis=1)
        exponent -= peak[:, None]
        logs[first : first + chunk] = peak + np.log(np.exp(exponent, out=exponent).mean(axis=1))
        peaks[first : first + chunk] = peak
    if rules.underflow is None:
        return logs, np.ones(len(points), np.bool_)
    whole = logs - centres.shape[1] / 2 * np.log(rules.variance)
    return logs, np.minimum(peaks, whole) >= rules.underflow


D_STSP_GMM = Metric(measure=d_stsp_gmm, needs="free_run", better="low", unit="nats")
