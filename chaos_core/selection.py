"""Which state of a training is the best: judged by free runs, never by the loss."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.cells import Cell
from chaos_core.embedding import Embedding, delay_embed
from chaos_core.metrics import PRESETS
from chaos_core.metrics.spectral import SpectralTruth
from chaos_core.metrics.state_space import BinnedTruth
from chaos_core.observation import Observation
from chaos_core.orbits import NUMBERS_AT_ONCE, orbits
from chaos_core.typing import Floats, NumpyParams

__all__ = ["LONGEST_RUN", "SHORT_RUN", "Fate", "Judge", "Judgement", "coordinates", "fate_of", "measured", "settled"]

BOX_FACTOR = 10.0
STILL_SHARE = 0.01
SMALL_SHARE = 0.2
LEAST_SIGNAL = 0.1
LONGEST_RUN = 25_000
"""Of the runs that choose a state: of 50 000 steps, as with 200 000 rows, they took 12 % of 30 000 updates."""
SHORT_RUN = 4_000
QUIET_ROWS = 1_200
QUIET_SHARE = 0.5
DELAYS_COMPARED = 3
LEADING_ROWS = 10_000
NOISE_SEED = 20_211
WORST_D_STSP, WORST_D_H = 20.0, 1.0
"""Stand in for metrics that are undefined, say because no row lies in the box: worse than any that is defined."""


class Fate(StrEnum):
    """What a free run did."""

    LIVING = "living"
    EXPLODED = "exploded"
    COLLAPSED = "collapsed"


@dataclass(frozen=True)
class Judgement:
    """What free runs said about one state of the parameters.

    Args:
        fate: living only if all runs live.
        d_stsp, d_h: means over the runs, None unless living. Above the channels that the preset can bin, D_stsp is
            taken in the three leading principal components.
        score: what ranks, lower is better: D_stsp of the worst run + D_H + 20 times the share of states that are lost,
            see `Judge.lost`; None unless living. The worst run and not the mean, and many states: a model whose
            attractor leaks into a small orbit once in 100 000 steps looks good in most runs.
    """

    fate: Fate
    d_stsp: float | None = None
    d_h: float | None = None
    score: float | None = None


def fate_of(x: Floats, low: Floats, high: Floats, spread: Floats) -> Fate:
    """What a free run did, by the two rules of this program.

    Exploded: not finite, or farther from the middle of the data's box than ten times its half-width in a channel.
    Collapsed: it stands still or came to rest (over its last fifth the standard deviation of every channel is below
    1 % of the data's), or it shrank to a small orbit (below 20 % over all but its first fifth): a network whose
    gradients explode learns the mean of the data and a ripple around it.

    Args:
        x: (T, N) the run.
        low, high: (N,) the box of the data.
        spread: (N,) standard deviations of the data, without their measuring noise.
    """
    columns = np.ascontiguousarray(x.T)
    with np.errstate(all="ignore"):
        lowest, highest = columns.min(axis=1), columns.max(axis=1)
        middle, reach = (low + high) / 2, BOX_FACTOR * (high - low) / 2
        inside = (highest - middle <= reach) & (middle - lowest <= reach)
        if not inside.all():
            return Fate.EXPLODED
        fifth = max(2, len(x) // 5)
        still = (columns[:, -fifth:].std(axis=1) < STILL_SHARE * spread).all()
        small = (columns[:, fifth:].std(axis=1) < SMALL_SHARE * spread).all()
    return Fate.COLLAPSED if still or small else Fate.LIVING


def settled(x: Floats, discard_share: float) -> Floats:
    """A run (..., T, N) without its first share, the transient."""
    return x[..., int(discard_share * x.shape[-2]) :, :]


def measured(x: Floats, noise: tuple[float, ...], preset: str) -> Floats:
    """A run (..., T, N) as it would have been measured, where the preset compares like with like.

    Against data with 5 % measuring noise (20 000 rows of Lorenz-63) the true system itself, free of noise, scores
    D_stsp 1.06 and more; with the same noise added to it 0.35. Presets that reproduce published numbers add nothing.

    Args:
        x: the run, in the unit of `noise`.
        noise: standard deviation for each channel; empty: none known.
        preset: its `matches_noise` decides.
    """
    blur = _blur(x.shape, noise, preset)
    blurred: Floats = x if blur is None else x + blur
    return blurred


def _blur(shape: tuple[int, ...], noise: tuple[float, ...], preset: str) -> Floats | None:
    """The noise that is added; of more runs than these, the first have the same."""
    if not any(noise) or not PRESETS[preset].matches_noise:
        return None
    drawn: Floats = np.random.default_rng(NOISE_SEED).standard_normal(shape) * np.asarray(noise)
    return drawn


def coordinates(x: Floats, embedding: Embedding) -> Floats:
    """The columns in which D_stsp compares a run (T, N): its channels, or the first three delay coordinates."""
    return x if embedding.dim == 1 else delay_embed(x, embedding)[:, :DELAYS_COMPARED]


@dataclass(frozen=True)
class _Compared:
    """What some of the runs of a state said."""

    fate: Fate
    geometry: list[float] = field(default_factory=list)
    hellinger: list[float] = field(default_factory=list)

    def joined(self, other: "_Compared") -> "_Compared":
        fate = self.fate if other.fate is Fate.LIVING else other.fate
        return _Compared(fate, self.geometry + other.geometry, self.hellinger + other.hellinger)

    def judgement(self) -> Judgement:
        if self.fate is not Fate.LIVING:
            return Judgement(self.fate)
        d_stsp, d_h = float(np.mean(self.geometry)), float(np.mean(self.hellinger))
        return Judgement(self.fate, d_stsp, d_h, float(np.max(self.geometry) + np.mean(self.hellinger)))


@dataclass(frozen=True, eq=False)
class Judge:
    """Judges parameters by free runs from several starts against data that the runs did not start with.

    Args:
        cell, observation, embedding: the equations, and what their state is made of.
        starts: (K, N * dim) scaled, embedded data states, spread over the validation piece, in any order.
        first: how many of them are tried on every state; the others only on one that seems to be the best so far.
        many: (K', N * dim) further data states, spread over the training piece, for short runs that only must live.
        truth: (R, N) scaled rows of data without a break.
        noise: measuring noise of each channel in scaled units; empty: none known.
        steps: length of a run; as long as that of the evaluation up to `LONGEST_RUN`, since there are models that
            follow the attractor for 20 000 steps and then leave it.
        discard_share: first share of each run that is dropped.
        preset: settings of the metrics.
        inputs: (K, steps, inputs) scaled external inputs of the runs from `starts`; None for an autonomous cell.
        many_inputs: (K', `SHORT_RUN`, inputs) the same of the short runs.
    """

    cell: Cell
    observation: Observation
    embedding: Embedding
    starts: Floats
    first: int
    many: Floats
    truth: Floats
    noise: tuple[float, ...]
    steps: int
    discard_share: float
    preset: str
    inputs: Floats | None = None
    many_inputs: Floats | None = None

    def judge(self, params: NumpyParams, beat: float | None = None) -> Judgement:
        """Runs the cell from the first starts and compares; it is dead if one of the runs dies.

        A state that is better than `beat` must prove it from the other starts too, and its score is then that of
        all: a model that leaves the attractor once in 100 000 steps is often not caught by a few runs.
        """
        compared = self._compared(params, slice(0, self.first))
        found = compared.judgement()
        if not _beats(found, beat) or len(self.starts) <= self.first:
            return found
        found = compared.joined(self._compared(params, slice(self.first, len(self.starts)))).judgement()
        if found.score is None or not _beats(found, beat):
            return found
        return replace(found, score=found.score + WORST_D_STSP * self.lost(params))

    def lost(self, params: NumpyParams) -> float:
        """Share of the many starts from which the model moves less than half as much as the data, or escapes, after
        `SHORT_RUN` steps; beyond the share of pieces of the data that themselves move so little.

        Lorenz-63 with 5 % noise: of three good-looking models one lost 4 % of the states in 3000 steps and 24 % in
        30 000, to a cycle around a fixed point, and the others 1 to 2 % at once.
        """
        if not len(self.many):
            return 0.0
        runs = self._runs(params, self.many, SHORT_RUN, self.many_inputs, QUIET_ROWS)
        with np.errstate(all="ignore"):
            moves = runs.std(axis=1) >= QUIET_SHARE * self._signal
        return max(0.0, float(1 - moves.any(axis=1).mean()) - self._quiet)

    def floor(self) -> float:
        """D_stsp between the two halves of the truth: what a perfect model would roughly get. 0 where undefined."""
        middle = len(self.truth) // 2
        first, second = (self._coordinates(half) for half in (self.truth[:middle], self.truth[middle:]))
        return BinnedTruth(first, PRESETS[self.preset]).divergence(second).value or 0.0

    def _compared(self, params: NumpyParams, which: slice) -> _Compared:
        """Runs from these of the starts; spectra are compared of the first ones alone."""
        u = None if self.inputs is None else self.inputs[which]
        runs = self._runs(params, self.starts[which], self.steps, u)
        low, high = self._box
        for run in runs:
            fate = fate_of(run, low, high, self._signal)
            if fate is not Fate.LIVING:
                return _Compared(fate)
        seen = settled(runs, self.discard_share)
        noise = self._first_noise if which.stop <= self.first else self._noise_of(which.stop)
        if noise is not None:
            seen = seen + noise[which]
        with_spectra = seen[: max(0, self.first - which.start)]
        spectra = [self._spectrum.distance(run).value for run in with_spectra]
        hellinger = [WORST_D_H if value is None else value for value in spectra]
        return _Compared(Fate.LIVING, [self._geometry(run) for run in seen], hellinger)

    def _runs(
        self, params: NumpyParams, starts: Floats, steps: int, u: Floats | None = None, last: int | None = None
    ) -> Floats:
        """(K, steps, N) in scaled units; of each run the last rows alone where their number is given."""
        p, channels = as_arrays(params), self.truth.shape[1]
        rows = min(steps, last or steps)
        x = np.empty((len(starts), rows, channels))
        at_once = max(1, NUMBERS_AT_ONCE // (steps * self.cell.state_size))
        with np.errstate(all="ignore"):
            z0 = as_numpy(self.observation.infer(p, as_array(starts), self.cell.state_size))
            for first in range(0, len(starts), at_once):
                group = slice(first, first + at_once)
                z = orbits(self.cell, params, z0[group], steps, None if u is None else u[group])[:, -rows:]
                x[group] = as_numpy(self.observation.predict(p, as_array(z), starts.shape[1]))[..., :channels]
        return x

    def _geometry(self, run: Floats) -> float:
        value = self._binned.divergence(self._coordinates(run)).value
        return WORST_D_STSP if value is None else value

    def _coordinates(self, x: Floats) -> Floats:
        seen = coordinates(x, self.embedding)
        return seen if self._axes is None else seen @ self._axes

    @cached_property
    def _axes(self) -> Floats | None:
        """The leading principal axes of the truth where there are more coordinates than the preset bins."""
        true = coordinates(self.truth, self.embedding)
        if true.shape[1] <= len(PRESETS[self.preset].binning.bins):
            return None
        _, _, axes = np.linalg.svd(true[:LEADING_ROWS] - true.mean(axis=0), full_matrices=False)
        leading: Floats = axes[:DELAYS_COMPARED].T
        return leading

    @cached_property
    def _first_noise(self) -> Floats | None:
        return self._noise_of(self.first)

    def _noise_of(self, count: int) -> Floats | None:
        """(count, rows, N) measuring noise of the runs from the first starts."""
        return _blur((count, self._rows, self.truth.shape[1]), self.noise, self.preset)

    @property
    def _rows(self) -> int:
        """Of a run that are compared."""
        return self.steps - int(self.discard_share * self.steps)

    @cached_property
    def _spectrum(self) -> SpectralTruth:
        return SpectralTruth(self.truth[-self._rows :], PRESETS[self.preset])

    @cached_property
    def _binned(self) -> BinnedTruth:
        return BinnedTruth(self._coordinates(self.truth), PRESETS[self.preset])

    @cached_property
    def _box(self) -> tuple[Floats, Floats]:
        return self.truth.min(axis=0), self.truth.max(axis=0)

    @cached_property
    def _signal(self) -> Floats:
        """Standard deviation of each channel of the truth without its measuring noise."""
        whole = self.truth.std(axis=0)
        noise = np.asarray(self.noise) if self.noise else np.zeros_like(whole)
        signal: Floats = np.sqrt(np.maximum(whole**2 - noise**2, (LEAST_SIGNAL * whole) ** 2))
        return signal

    @cached_property
    def _quiet(self) -> float:
        """Share of the pieces of the truth that move less than half as much as the whole."""
        pieces = self.truth[: len(self.truth) // QUIET_ROWS * QUIET_ROWS].reshape(-1, QUIET_ROWS, self.truth.shape[1])
        quiet = (pieces.std(axis=1) < QUIET_SHARE * self.truth.std(axis=0)).all(axis=1)
        return float(quiet.mean()) if len(quiet) else 0.0


def _beats(found: Judgement, score: float | None) -> bool:
    return found.score is not None and (score is None or found.score < score)
