"""Waves and linear noise, the controls that are not chaotic; one row is one time unit."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from chaos_core.series import Series
from chaos_core.systems.base import Meter, Nature, Rows, Seed, System
from chaos_core.typing import Floats

__all__ = ["AR1", "AR2", "Sine", "TwoTorus", "WhiteNoise", "ar1", "ar2", "sine", "two_torus", "white_noise"]

GOLDEN = (1 + 5**0.5) / 2


class Sine(System, frozen=True):
    """A sine wave of any period, integer or not: x_t = sin(2 pi t / period + phase).

    Source: none needed; its exponents are 0 exactly.
    """

    equation: ClassVar[str] = "x_t = sin(2 pi t / period + phase)"
    citation: ClassVar[str] = "elementary"
    nature: ClassVar[Nature] = "periodic"
    lambda_max: ClassVar[float | None] = 0.0
    lambda_source: ClassVar[str] = "exact for a cycle"

    kind: Literal["sine"] = "sine"
    period: float = Field(40.3, gt=0, description="Rows per turn; the default never repeats a value in a usual series.")
    phase: float = Field(0.0, description="Phase of row 0, radians.")

    @property
    def names(self) -> tuple[str, ...]:
        """x."""
        return ("x",)

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""
        meter.charge(steps)
        wave: Floats = np.sin(2 * np.pi * np.arange(steps) / self.period + self.phase)
        return wave


class TwoTorus(System, frozen=True):
    """Two sine waves: x_t = sin(2 pi t / period) + second sin(2 pi t / (ratio period) + 0.4).

    Source: none needed; with a ratio that is no fraction the orbit fills a torus, and its exponents are 0 exactly.
    """

    equation: ClassVar[str] = "x_t = sin(2 pi t / period) + second sin(2 pi t / (ratio period) + 0.4)"
    citation: ClassVar[str] = "elementary"
    nature: ClassVar[Nature] = "quasi_periodic"
    lambda_max: ClassVar[float | None] = 0.0
    lambda_source: ClassVar[str] = "exact for a torus"

    kind: Literal["two_torus"] = "two_torus"
    period: float = Field(40.3, gt=0, description="Rows per turn of the first wave.")
    ratio: float = Field(
        GOLDEN,
        gt=0,
        description="Second period over the first; the golden mean is the hardest number to mistake for a fraction.",
    )
    second: float = Field(0.7, description="Amplitude of the second wave, that of the first being 1.")

    @property
    def names(self) -> tuple[str, ...]:
        """x."""
        return ("x",)

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""
        meter.charge(steps)
        t = 2 * np.pi * np.arange(steps) / self.period
        wave: Floats = np.sin(t) + self.second * np.sin(t / self.ratio + 0.4)
        return wave


class WhiteNoise(System, frozen=True):
    """Independent normal numbers: no rule connects a row with the next.

    Source: none needed.
    """

    equation: ClassVar[str] = "x_t = e_t, independent normal numbers"
    citation: ClassVar[str] = "elementary"
    nature: ClassVar[Nature] = "stochastic"
    lambda_max: ClassVar[float | None] = None
    lambda_source: ClassVar[str] = "noise has no exponent"

    kind: Literal["white_noise"] = "white_noise"
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """x."""
        return ("x",)

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""
        meter.charge(steps)
        return np.random.default_rng(self.seed).standard_normal(steps)


class AR1(System, frozen=True):
    """Red noise: x_t = memory x_{t-1} + e_t with normal e_t; its correlation at lag k is memory^k.

    Source: G. U. Yule (1927), doi:10.1098/rsta.1927.0007.
    """

    equation: ClassVar[str] = "x_t = memory x_{t-1} + e_t"
    citation: ClassVar[str] = "Yule (1927), On a method of investigating periodicities, doi:10.1098/rsta.1927.0007"
    nature: ClassVar[Nature] = "stochastic"
    lambda_max: ClassVar[float | None] = None
    lambda_source: ClassVar[str] = "noise has no exponent"

    kind: Literal["ar1"] = "ar1"
    memory: float = Field(0.95, gt=-1, lt=1, description="Share of a row that is left in the next.")
    transient: Rows = 1000
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """x."""
        return ("x",)

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""
        return _filtered([1.0, -self.memory], self.transient, steps, self.seed, meter)


class AR2(System, frozen=True):
    """A noisy linear oscillator, which looks like a slow chaotic flow and is none.

    x_t = 2 memory cos(2 pi / period) x_{t-1} - memory^2 x_{t-2} + e_t with normal e_t.

    Source: G. U. Yule (1927), doi:10.1098/rsta.1927.0007.
    """

    equation: ClassVar[str] = "x_t = 2 memory cos(2 pi / period) x_{t-1} - memory^2 x_{t-2} + e_t"
    citation: ClassVar[str] = "Yule (1927), On a method of investigating periodicities, doi:10.1098/rsta.1927.0007"
    nature: ClassVar[Nature] = "stochastic"
    lambda_max: ClassVar[float | None] = None
    lambda_source: ClassVar[str] = "noise has no exponent"

    kind: Literal["ar2"] = "ar2"
    period: float = Field(40.0, gt=0, description="Rows per turn of the oscillation.")
    memory: float = Field(0.98, ge=0, lt=1, description="Amplitude that is left after one step without noise.")
    transient: Rows = 1000
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """x."""
        return ("x",)

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""
        turn = -2 * self.memory * np.cos(2 * np.pi / self.period)
        return _filtered([1.0, turn, self.memory**2], self.transient, steps, self.seed, meter)


def _filtered(denominator: list[float], transient: int, steps: int, seed: int, meter: Meter) -> Floats:
    # The service lists the systems without generating one, and must start without scipy.
    from scipy.signal import lfilter

    meter.charge(transient + steps)
    e = np.random.default_rng(seed).standard_normal(steps + transient)
    x: Floats = lfilter([1.0], denominator, e)[transient:]
    return x


def sine(steps: int, **settings: Any) -> Series:
    """`Sine(...).generate(steps)`; settings are its fields."""
    return Sine(**settings).generate(steps)


def two_torus(steps: int, **settings: Any) -> Series:
    """`TwoTorus(...).generate(steps)`; settings are its fields."""
    return TwoTorus(**settings).generate(steps)


def white_noise(steps: int, **settings: Any) -> Series:
    """`WhiteNoise(...).generate(steps)`; settings are its fields."""
    return WhiteNoise(**settings).generate(steps)


def ar1(steps: int, **settings: Any) -> Series:
    """`AR1(...).generate(steps)`; settings are its fields."""
    return AR1(**settings).generate(steps)


def ar2(steps: int, **settings: Any) -> Series:
    """`AR2(...).generate(steps)`; settings are its fields."""
    return AR2(**settings).generate(steps)
