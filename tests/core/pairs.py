"""Twelve pairs of series that both we and the peers' own code score: (true, generated) from seeded formulas alone.

Only additions, multiplications and numpy's seeded generators, so that every machine builds the same numbers to about
1e-13: the flow is integrated over few steps at a time, from starts that do not depend on what came before.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Pair = tuple[Floats, Floats]


def waves(rows: int, channels: int, seed: int) -> Floats:
    """Sums of three waves of incommensurable periods with a bend, in each channel of its own."""
    rng = np.random.default_rng(seed)
    t = np.arange(rows)[:, None]
    out = np.zeros((rows, channels))
    for _ in range(3):
        period, phase, size = (
            rng.uniform(15, 90, channels),
            rng.uniform(0, 6, channels),
            rng.uniform(0.4, 1.2, channels),
        )
        out += size * np.sin(2 * np.pi * t / period + phase)
    return out + 0.3 * out**2 * np.roll(out, 1, axis=1) / (1 + out**2)


def lorenz(rows: int, seed: int, dt: float = 0.02) -> Floats:
    """Lorenz-63 in pieces of 100 rows (Euler steps of dt / 4), each from a seeded start near the attractor."""
    pieces = -(-rows // 100)
    rng = np.random.default_rng(seed)
    x, y, z = rng.normal([[0.0], [0.0], [24.0]], [[8.0], [9.0], [8.0]], (3, pieces))
    kept = []
    for step in range(4 * 120):
        if step >= 80 and step % 4 == 0:
            kept.append(np.stack([x, y, z], axis=1))
        x, y, z = (
            x + dt / 4 * 10 * (y - x),
            y + dt / 4 * (x * (28 - z) - y),
            z + dt / 4 * (x * y - 8 / 3 * z),
        )
    found: Floats = np.concatenate(np.stack(kept, axis=1))[:rows]
    return found


def standard(x: Floats) -> Floats:
    """Mean 0 and variance 1 in each channel."""
    scaled: Floats = (x - x.mean(axis=0)) / x.std(axis=0)
    return scaled


def noise(x: Floats, share: float, seed: int) -> Floats:
    """The series with normal noise of `share` times its spread."""
    noisy: Floats = x + share * x.std(axis=0) * np.random.default_rng(seed).standard_normal(x.shape)
    return noisy


def _mean_not_zero() -> Pair:
    mean = np.array([0.7, -0.4, 1.1])
    return standard(lorenz(6000, 1)) + mean, standard(lorenz(6000, 2)) + mean


def _constant_run() -> Pair:
    return standard(lorenz(6000, 1)), np.full((6000, 3), 0.25)


def _nan_run() -> Pair:
    generated = standard(lorenz(6000, 2))
    generated[4000:] = np.nan
    return standard(lorenz(6000, 1)), generated


def _out_of_box() -> Pair:
    return standard(lorenz(6000, 1)), standard(lorenz(6000, 2)) + 100.0


def _shuffled() -> Pair:
    true = standard(lorenz(6000, 1))
    return true, np.random.default_rng(5).permutation(true)


def _equal() -> Pair:
    true = standard(lorenz(6000, 1))
    return true, true.copy()


def _shifted() -> Pair:
    true = standard(lorenz(6000, 1))
    return true, true + np.array([0.5, 0.0, -0.3])


def _noisy() -> Pair:
    true = standard(lorenz(6000, 1))
    return true, noise(true, 0.2, 7)


def _short() -> Pair:
    return standard(waves(40, 2, 11)), standard(waves(40, 2, 12))


def _one_channel() -> Pair:
    return standard(waves(5101, 1, 13)), noise(standard(waves(5101, 1, 14)), 0.1, 15)


def _five_channels() -> Pair:
    return standard(waves(5200, 5, 16)), noise(standard(waves(5200, 5, 16)), 0.3, 17)


def _eight_channels() -> Pair:
    return standard(waves(6000, 8, 18)), noise(standard(waves(6000, 8, 19)), 0.1, 20)


PAIRS: dict[str, Callable[[], Pair]] = {
    "mean_not_zero": _mean_not_zero,
    "constant_run": _constant_run,
    "nan_run": _nan_run,
    "out_of_box": _out_of_box,
    "shuffled": _shuffled,
    "equal": _equal,
    "shifted": _shifted,
    "noisy": _noisy,
    "short": _short,
    "one_channel": _one_channel,
    "five_channels": _five_channels,
    "eight_channels": _eight_channels,
}
