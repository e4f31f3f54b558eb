"""Observation noise: how much there is, and how much smoothing takes most of it away."""

import numpy as np
import numpy.typing as npt
from scipy.signal import savgol_coeffs, savgol_filter, welch

__all__ = ["best_window", "noise_share", "smooth"]

Floats = npt.NDArray[np.float64]

ORDER = 3


def noise_share(x: Floats) -> float:
    """Standard deviation of white observation noise, as a share of that of the data.

    The spectrum of a smooth motion falls off exponentially, that of noise is flat: the level is the lower quartile
    of the power above 0.3 cycles per step. Meaningful for flows with at least some 12 rows per period only.

    Args:
        x: (T, N) observations without gaps; the result is the root mean square over channels of unit variance.

    Source: D. E. Sigeti (1995), doi:10.1103/PhysRevE.52.2443 (exponential decay of chaotic flows' spectra).
    """
    scaled = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-300)
    frequency, power = welch(scaled, nperseg=min(512, len(x)), axis=0)
    floor = np.quantile(power[frequency > 0.3], 0.25, axis=0)
    return float(np.sqrt(0.5 * floor.mean()))


def smooth(x: Floats, window: int) -> Floats:
    """Savitzky-Golay filter of third order over `window` rows (odd); 1 leaves the data as they are.

    Source: A. Savitzky, M. J. E. Golay (1964), doi:10.1021/ac60214a047.
    """
    if window <= ORDER or window > len(x):
        return x
    return np.asarray(savgol_filter(x, window, ORDER, axis=0), np.float64)


def best_window(x: Floats, noise: float, longest: int) -> int:
    """The filter length with the smallest expected error: residual^2 - noise^2 (1 - 2 c), c the central weight.

    Args:
        x: (T, N) observations without gaps.
        noise: its level as `noise_share` gives it.
        longest: longest filter to try, rows.

    Returns:
        Odd length; 1 where no filter is better than none.

    Source: C. L. Mallows (1973), doi:10.1080/00401706.1973.10489103.
    """
    scaled = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-300)
    best, least = 1, noise**2
    for window in range(ORDER + 2, min(longest, len(x) // 4) + 1, 2):
        centre = float(savgol_coeffs(window, ORDER)[window // 2])
        residual = float(((scaled - smooth(scaled, window)) ** 2).mean())
        expected = residual - noise**2 * (1 - 2 * centre)
        if expected < least:
            best, least = window, expected
    return best
