"""PSC: how well the generated power spectra correlate with the true ones."""

from typing import Any

import numpy as np

from chaos_core.metrics.base import Metric
from chaos_core.metrics.presets import Correlation, preset_named
from chaos_core.metrics.score import STILL, Outcome, Score, score_with_floor, two_series
from chaos_core.metrics.spectral import gaussian, power_spectrum, still_after_cut, without_spectrum
from chaos_core.typing import Floats

__all__ = ["PSC", "power_spectrum_correlation"]

SILENT = 1e-15
"""An amplitude below this share of the largest is rounding; its logarithm would be anything down to minus infinity."""


def power_spectrum_correlation(true: Any, generated: Any, *, preset: str = "dsr-v1", floor: bool = True) -> Score:
    """Correlation of smoothed power spectra, averaged over channels: 1 is equal, 0 is no relation.

    PSC = mean over channels of |r|, r the Pearson correlation over frequencies of smooth(20 log10 |rfft|) of both
    series. Presets gtf and alrnn: of smooth(|rfft|^2), with its sign. A spectrum in decibels hangs mostly on the fast,
    weak frequencies, one of power on the few strong ones; neither says how strong: read it beside `d_h`.

    Args:
        true: (T, N) or (T,) observations, in any unit.
        generated: (T', N) or (T',). The longer series is cut to the length of the shorter one.
        preset: the settings; "dsr-v1" by default, which are those of dend.
        floor: False leaves the floor out, for comparisons by the thousand.

    Returns:
        Score, dimensionless, higher is better. `value` is None where a series holds a non-finite entry or a constant
        channel, where it is too short, or where the preset has no such metric. `detail["channels"]` holds the
        correlation of each channel. `floor` is the correlation of the truth's halves, and good runs reach it.

    Raises:
        UnknownKind: no preset of that name.
        Inconsistent, BadShape: the series do not fit together.

    Source: Brenner et al. (2022), Tractable dendritic RNNs for reconstructing nonlinear dynamical systems,
        arXiv:2207.02542; linear: the code of Hess et al. (2023), arXiv:2306.04406.
    Differs: the zero frequency of a spectrum in decibels is left out. The mean has been taken away, so its amplitude is
        rounding, some -260 dB, which the code of preset dend smooths into the lowest hundred frequencies: its value
        moves by up to 0.05 with the precision of the numbers, and is NaN where the rounding happens to be exactly 0.
    """
    chosen = preset_named(preset)
    truth, run = two_series(true, generated)
    rules = chosen.correlation

    def measure(one: Floats, other: Floats) -> Outcome:
        if rules is None:
            return Outcome.undefined(f"preset {chosen.name} has no correlation of spectra", preset=chosen.name)
        reason = without_spectrum(one, other) or still_after_cut(one, other)
        if reason is not None:
            return Outcome.undefined(reason, preset=chosen.name)
        found = _correlated(one, other, rules)
        return found._replace(detail={"preset": chosen.name, **found.detail})

    return score_with_floor(measure, truth, run, floor=floor)


def _correlated(true: Floats, generated: Floats, rules: Correlation) -> Outcome:
    rows = min(len(true), len(generated))
    p, q = (_spectrum(x[:rows], rules) for x in (true, generated))
    for spectrum, role in ((p, "true"), (q, "generated")):
        if not np.isfinite(spectrum).all():
            return Outcome.undefined(f"a channel of {role} varies in its last row only, so it has no power spectrum")
    p, q = p - p.mean(axis=0), q - q.mean(axis=0)
    size = np.sqrt(np.square(p).sum(axis=0) * np.square(q).sum(axis=0))
    if not (size > 0).all():
        return Outcome.undefined(f"{rows} rows give a spectrum without any shape")
    channels = np.clip((p * q).sum(axis=0) / size, -1.0, 1.0)
    if rules.absolute:
        channels = np.abs(channels)
    detail: dict[str, Any] = {
        "scale": rules.scale,
        "sigma": rules.sigma,
        "rows_used": rows,
        "channels": channels.tolist(),
    }
    return Outcome(float(channels.mean()), None, detail)


def _spectrum(x: Floats, rules: Correlation) -> Floats:
    """Smoothed spectrum (F, N). One in decibels needs an even number of rows; a channel constant in them gives NaN."""
    if rules.scale == "linear":
        return power_spectrum(x, sigma=rules.sigma, radius=rules.radius)[: rules.cutoff]
    even = len(x) - len(x) % 2
    scaled = x / np.abs(x).max(axis=0)
    scaled = (scaled - scaled.mean(axis=0)) / scaled.std(axis=0)
    amplitude = 2 * np.abs(np.fft.rfft(scaled[:even], axis=0))[1:]
    loudest = amplitude.max(axis=0)
    loudest = np.where(loudest > STILL * even, loudest, np.nan)
    decibel = 20 * np.log10(np.maximum(amplitude, SILENT * loudest))
    kernel = gaussian(rules.sigma, round(rules.radius * rules.sigma))
    reach = len(kernel) // 2
    smooth = np.apply_along_axis(np.convolve, 0, decibel, kernel)[reach:-reach]
    kept: Floats = smooth if rules.cutoff is None else smooth[: rules.cutoff - 1]
    return kept


PSC = Metric(measure=power_spectrum_correlation, needs="free_run", better="high", unit="none")
