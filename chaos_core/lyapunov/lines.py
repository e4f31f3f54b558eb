"""Line spectra: does a sum of few exact oscillations account for the whole series?

A periodic series is a sum of harmonics of one frequency, whatever its period (an integer number of steps or not); a
quasi-periodic one a sum over combinations of two. Chaos and noise leave much of their power beside any such sum.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from chaos_core.typing import Floats

__all__ = ["LineSpectrum", "harmonic_fit", "two_frequency_fit"]

Frequencies = tuple[float, ...]
Complexes = npt.NDArray[np.complex128]

ROWS = 4096
MOST_HARMONICS = 60
ORDER = 5
EXACT = 1e-9
LEAST_CYCLES = 3
SUBHARMONICS = (1, 2, 3, 4, 5, 6, 7, 8)
WORTH_A_FIT = 0.6
WORTH_MOVING = 0.8
HOPELESS = 0.3


@dataclass(frozen=True, eq=False)
class LineSpectrum:
    """The best sum of oscillations.

    Args:
        frequencies: one or two base frequencies, cycles per row.
        rest: (T, N) what the sum leaves.
        residual: share of the variance in `rest`.
    """

    frequencies: Frequencies
    rest: Floats
    residual: float


def _waves(rows: int, frequencies: Frequencies, order: int) -> Complexes:
    """(T, L) waves exp(2 pi i f t) at the multiples of one frequency, or combinations of two, up to `order`."""
    t = np.arange(rows) - 0.5 * rows
    powers = []
    for frequency in frequencies:
        turns = np.repeat(np.exp(2j * np.pi * frequency * t)[:, None], order + 1, axis=1)
        turns[:, 0] = 1.0
        powers.append(np.cumprod(turns, axis=1))
    if len(frequencies) == 1:
        return powers[0][:, 1:]
    pairs = [(i, j) for i in range(order + 1) for j in range(-order, order + 1) if abs(i) + abs(j) <= order]
    kept = np.array([(i, j) for i, j in pairs if i > 0 or j > 0])
    second = np.where(kept[:, 1] < 0, powers[1][:, abs(kept[:, 1])].conj(), powers[1][:, abs(kept[:, 1])])
    waves: Complexes = powers[0][:, kept[:, 0]] * second
    return waves


def _rest(x: Floats, frequencies: Frequencies, order: int) -> Floats:
    """What least squares leaves of x (T, N) beside the combinations of the frequencies up to the order."""
    waves = _waves(len(x), frequencies, order)
    basis = np.concatenate([np.ones((len(x), 1)), waves.real, waves.imag], axis=1)
    gram = basis.T @ basis + 1e-9 * len(x) * np.eye(basis.shape[1])
    return np.asarray(x - basis @ np.linalg.solve(gram, basis.T @ x), np.float64)


def _share(rest: Floats, x: Floats) -> float:
    return float(rest.var(axis=0).sum() / max(x.var(axis=0).sum(), 1e-300))


def _power(x: Floats, length: int) -> Floats:
    window = np.hanning(len(x))[:, None]
    return np.asarray((np.abs(np.fft.rfft((x - x.mean(axis=0)) * window, length, axis=0)) ** 2).sum(axis=1))


def _strongest(x: Floats) -> float:
    power = _power(x, 4 * len(x))
    power[:4] = 0.0
    return float(power.argmax()) / (4 * len(x))


def _refined(x: Floats, frequencies: Frequencies, position: int, order: int, reach: float) -> Frequencies:
    """Moves one frequency, by at most `reach` bins of 1 / T, to where the rest is smallest."""

    def moved(offset: float) -> Frequencies:
        return tuple(f + offset * (i == position) for i, f in enumerate(frequencies))

    bound = reach / len(x)
    found = scipy.optimize.minimize_scalar(
        lambda offset: _share(_rest(x, moved(float(offset)), order), x),
        bounds=(-bound, bound),
        method="bounded",
        options={"xatol": 1e-4 * bound, "maxiter": 30},
    )
    return moved(float(found.x))


def _concentration(x: Floats) -> float:
    """Share of the power in the forty strongest bands of five bins: a quick look before any fit."""
    power = _power(x, len(x))
    total, held = float(power.sum()), 0.0
    for _ in range(40):
        peak = int(power.argmax())
        band = slice(max(0, peak - 2), peak + 3)
        held += float(power[band].sum())
        power[band] = 0.0
    return held / max(total, 1e-300)


def harmonic_fit(x: Floats) -> LineSpectrum | None:
    """The best sum of harmonics of one frequency: the strongest line, or a half to an eighth of it.

    Args:
        x: (T, N) rows without gaps, some 10 to 40 per swing; the first 4096 are used.

    Returns:
        None where the power is spread too widely for any such sum, or fewer than three cycles are there.

    Source: B. G. Quinn, E. J. Hannan (2001), The Estimation and Tracking of Frequency, Cambridge, chapter 2.
    """
    x = x[:ROWS]
    if _concentration(x) < WORTH_A_FIT:
        return None
    (strongest,) = _refined(x, (max(_strongest(x), 1.0 / len(x)),), 0, 1, 0.5)
    order = min(MOST_HARMONICS, len(x) // 20)
    best, least = strongest, np.inf
    for divisor in SUBHARMONICS:
        base = strongest / divisor
        if base * len(x) < LEAST_CYCLES or least < EXACT:
            break
        share = _share(_rest(x, (base,), order), x)
        if share < 0.5 * least:
            best, least = base, share
    if not np.isfinite(least):
        return None
    if least > HOPELESS:
        return LineSpectrum((best,), _rest(x, (best,), order), least)
    refined = _refined(x, (best,), 0, order, 0.2 * best / strongest)
    rest, finer = _rest(x, (best,), order), _rest(x, refined, order)
    if _share(finer, x) < WORTH_MOVING * _share(rest, x):
        return LineSpectrum(refined, finer, _share(finer, x))
    return LineSpectrum((best,), rest, _share(rest, x))


def two_frequency_fit(x: Floats) -> LineSpectrum | None:
    """The best sum over i f1 + j f2, |i| + |j| <= 5: f1 the strongest line, f2 the strongest beside its harmonics.

    Args:
        x: (T, N) rows without gaps, some 10 to 40 per swing; the first 4096 are used.

    Returns:
        None where the power is spread too widely for any such sum, or fewer than three cycles are there.
    """
    x = x[:ROWS]
    if _concentration(x) < WORTH_A_FIT:
        return None
    (first,) = _refined(x, (max(_strongest(x), 1.0 / len(x)),), 0, 1, 0.5)
    second = _strongest(_rest(x, (first,), min(MOST_HARMONICS, len(x) // 20)))
    both: Frequencies = (first, max(second, 1.0 / len(x)))
    for order, reach in ((1, 0.5), (1, 0.1), (ORDER, 0.05)):
        for position in (1, 0):
            both = _refined(x, both, position, order, reach)
    if min(both) * len(x) < LEAST_CYCLES:
        return None
    rest = _rest(x, both, ORDER)
    return LineSpectrum(both, rest, _share(rest, x))
