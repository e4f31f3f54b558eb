"""Observation noise: how much there is, and how much smoothing takes most of it away."""

import numpy as np
import scipy

from chaos_core.embedding import unit_variance
from chaos_core.typing import Floats

__all__ = ["best_window", "noise_levels", "passed_share", "smooth"]


ORDER = 3
WORTH_IT = 0.8


def noise_levels(x: Floats) -> Floats:
    """Standard deviation of white observation noise in each channel, as a share of that of the channel.

    The spectrum of a smooth motion falls off exponentially, that of noise is flat: the level is the median power
    above 0.35 cycles per step. An upper bound where the motion itself is not smooth at that scale; `best_window`
    tells. Meaningful for flows with at least some 12 rows per period only.

    Args:
        x: (T, N) observations without gaps.

    Returns:
        (N,) shares.

    Source: D. E. Sigeti (1995), doi:10.1103/PhysRevE.52.2443 (exponential decay of chaotic flows' spectra).
    """
    frequency, power = scipy.signal.welch(unit_variance(x), nperseg=min(512, len(x)), axis=0)
    return np.asarray(np.sqrt(0.5 * np.median(power[frequency > 0.35], axis=0)), np.float64)


def smooth(x: Floats, window: int) -> Floats:
    """Savitzky-Golay filter of third order over `window` rows (odd); 1 leaves the data as they are.

    Source: A. Savitzky, M. J. E. Golay (1964), doi:10.1021/ac60214a047.
    """
    if window <= ORDER or window > len(x):
        return x
    return np.asarray(scipy.signal.savgol_filter(x, window, ORDER, axis=0), np.float64)


def passed_share(window: int) -> float:
    """Share of the variance of white noise that `smooth` lets through: the sum of the squared weights."""
    return 1.0 if window <= ORDER else float((scipy.signal.savgol_coeffs(window, ORDER) ** 2).sum())


def best_window(x: Floats, levels: Floats, longest: int) -> int:
    """The filter length with the smallest expected error: residual^2 - noise^2 (1 - 2 c), c the central weight.

    Args:
        x: (T, N) observations without gaps.
        levels: (N,) noise of each channel as `noise_levels` gives it.
        longest: longest filter to try, rows.

    Returns:
        Odd length; 1 where no filter takes a fifth of the error away, or where the shortest filter leaves less than
        white noise of that level would: then the power at high frequencies belongs to the motion.

    Source: C. L. Mallows (1973), doi:10.1080/00401706.1973.10489103.
    """
    scaled, noise = unit_variance(x), float((levels**2).mean())
    best, least = 1, WORTH_IT * noise
    for window in range(ORDER + 2, min(longest, len(x) // 4) + 1, 2):
        centre = float(scipy.signal.savgol_coeffs(window, ORDER)[window // 2])
        residual = float(((scaled - smooth(scaled, window)) ** 2).mean())
        if residual < 0.8 * noise * (1 - centre):
            return 1
        expected = residual - noise * (1 - 2 * centre)
        if expected < least:
            best, least = window, expected
    return best
