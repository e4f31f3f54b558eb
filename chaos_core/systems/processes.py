"""Series that are not chaotic, the controls of every estimator, and observation noise to add to any series."""

import numpy as np
from scipy.signal import lfilter

from chaos_core.series import Series

__all__ = ["ar1", "ar2", "sine", "surrogate", "two_torus", "white_noise", "with_noise"]

GOLDEN = (1 + 5**0.5) / 2


def sine(steps: int, *, period: float = 40.3, phase: float = 0.0) -> Series:
    """A sine wave of any period, integer or not; dt = 1, lambda_max = 0.

    Args:
        steps: rows.
        period: steps per turn; the default never repeats a value within a usual series.
        phase: of row 0, radians.
    """
    t = np.arange(steps)
    return Series(np.sin(2 * np.pi * t / period + phase), 1.0, names=("x",))


def two_torus(steps: int, *, period: float = 40.3, ratio: float = GOLDEN, second: float = 0.7) -> Series:
    """The sum of two sine waves whose periods have no common multiple; dt = 1, lambda_max = 0.

    Args:
        steps: rows.
        period: of the first wave, steps.
        ratio: second period over the first; the golden mean is the hardest number to mistake for a fraction.
        second: amplitude of the second wave, that of the first being 1.
    """
    t = 2 * np.pi * np.arange(steps) / period
    return Series(np.sin(t) + second * np.sin(t / ratio + 0.4), 1.0, names=("x",))


def white_noise(steps: int, *, seed: int = 0) -> Series:
    """Independent normal numbers: no rule connects a row with the next."""
    return Series(np.random.default_rng(seed).standard_normal(steps), 1.0, names=("x",))


def ar1(steps: int, *, memory: float = 0.95, seed: int = 0) -> Series:
    """Red noise x_t = memory x_{t-1} + e_t with normal e_t, after a transient of 1000 rows."""
    e = np.random.default_rng(seed).standard_normal(steps + 1000)
    return Series(lfilter([1.0], [1.0, -memory], e)[1000:], 1.0, names=("x",))


def ar2(steps: int, *, period: float = 40.0, memory: float = 0.98, seed: int = 0) -> Series:
    """A noisy linear oscillator, which looks like a slow chaotic flow and is not.

    x_t = 2 r cos(2 pi / period) x_{t-1} - r^2 x_{t-2} + e_t with normal e_t.

    Args:
        steps: rows.
        period: of the oscillation, steps.
        memory: r, amplitude that is left after one step without noise.
        seed: of the noise; 1000 rows of transient are thrown away.
    """
    e = np.random.default_rng(seed).standard_normal(steps + 1000)
    x = lfilter([1.0], [1.0, -2 * memory * np.cos(2 * np.pi / period), memory**2], e)
    return Series(x[1000:], 1.0, names=("x",))


def surrogate(series: Series, *, rounds: int = 100, seed: int = 0) -> Series:
    """A linear stochastic twin of a scalar series: the same values and nearly the same spectrum, no other order.

    Args:
        series: of one channel without gaps.
        rounds: alternations between spectrum and values; a hundred bring the spectrum within some per cent.
        seed: of the first shuffle.

    Source: T. Schreiber, A. Schmitz (1996), Improved surrogate data for nonlinearity tests,
        doi:10.1103/PhysRevLett.77.635.
    """
    x = series.x[:, 0]
    values, amplitude = np.sort(x), np.abs(np.fft.rfft(x))
    y = np.random.default_rng(seed).permutation(x)
    for _ in range(rounds):
        y = np.fft.irfft(amplitude * np.exp(1j * np.angle(np.fft.rfft(y))), len(x))
        y = values[np.argsort(np.argsort(y))]
    return Series(y, series.dt, names=series.names)


def with_noise(series: Series, share: float, *, seed: int = 0) -> Series:
    """Adds independent normal observation noise of `share` times each channel's standard deviation."""
    noise = np.random.default_rng(seed).standard_normal(series.x.shape)
    x = series.x + share * np.nanstd(series.x, axis=0) * noise
    return Series(x, series.dt, names=series.names, stretch=series.stretch, missing="mask")
