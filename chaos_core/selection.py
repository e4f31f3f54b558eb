"""Which state of a training is the best: judged by free runs, never by the loss."""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.cells import Cell
from chaos_core.embedding import Embedding, delay_embed
from chaos_core.metrics import PRESETS, d_h
from chaos_core.metrics.state_space import BinnedTruth
from chaos_core.observation import Observation
from chaos_core.orbits import orbits
from chaos_core.typing import Floats, NumpyParams

__all__ = ["LONGEST_RUN", "SHORT_RUN", "Fate", "Judge", "Judgement", "coordinates", "fate_of", "measured", "settled"]

BOX_FACTOR = 10.0
STILL_SHARE = 0.01
SMALL_SHARE = 0.2
LEAST_SIGNAL = 0.1
LONGEST_RUN = 250_000
SHORT_RUN = 4_000
QUIET_ROWS = 1_200
MOST_NUMBERS = 8_000_000
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
    with np.errstate(all="ignore"):
        far = np.abs(x - (low + high) / 2) > BOX_FACTOR * (high - low) / 2
        if not np.isfinite(x).all() or far.any():
            return Fate.EXPLODED
        fifth = max(2, len(x) // 5)
        still = (x[-fifth:].std(axis=0) < STILL_SHARE * spread).all()
        small = (x[fifth:].std(axis=0) < SMALL_SHARE * spread).all()
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
    if not any(noise) or not PRESETS[preset].matches_noise:
        return x
    drawn = np.random.default_rng(NOISE_SEED).standard_normal(x.shape)
    blurred: Floats = x + drawn * np.asarray(noise)
    return blurred


def coordinates(x: Floats, embedding: Embedding) -> Floats:
    """The columns in which D_stsp compares a run (T, N): its channels, or the first three delay coordinates."""
    return x if embedding.dim == 1 else delay_embed(x, embedding)[:, :DELAYS_COMPARED]


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
        steps: length of a run; as long as that of the evaluation, since there are models that follow the attractor
            for 20 000 steps and then leave it.
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
        runs = self._tried(params, slice(0, self.first))
        found = self._judged(runs)
        if not _beats(found, beat) or len(self.starts) <= self.first:
            return found
        found = self._judged(np.concatenate([runs, self._tried(params, slice(self.first, None))]))
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
        at_once = max(1, MOST_NUMBERS // (SHORT_RUN * self.cell.state_size))
        groups = [slice(first, first + at_once) for first in range(0, len(self.many), at_once)]
        u = self.many_inputs
        with np.errstate(all="ignore"):
            runs = [
                self._runs(params, self.many[group], SHORT_RUN, None if u is None else u[group], QUIET_ROWS)
                for group in groups
            ]
            spread = np.concatenate([run.std(axis=1) for run in runs])
            moves = spread >= QUIET_SHARE * self._signal
        return max(0.0, float(1 - moves.any(axis=1).mean()) - self._quiet)

    def floor(self) -> float:
        """D_stsp between the two halves of the truth: what a perfect model would roughly get. 0 where undefined."""
        middle = len(self.truth) // 2
        first, second = (self._coordinates(half) for half in (self.truth[:middle], self.truth[middle:]))
        return BinnedTruth(first, PRESETS[self.preset]).divergence(second).value or 0.0

    def _tried(self, params: NumpyParams, which: slice) -> Floats:
        return self._runs(params, self.starts[which], self.steps, None if self.inputs is None else self.inputs[which])

    def _judged(self, runs: Floats) -> Judgement:
        low, high = self._box
        for run in runs:
            fate = fate_of(run, low, high, self._signal)
            if fate is not Fate.LIVING:
                return Judgement(fate)
        seen = measured(settled(runs, self.discard_share), self.noise, self.preset)
        geometry = [self._geometry(run) for run in seen]
        piece = self.truth[-seen.shape[1] :]
        spectra = [d_h(piece, run, preset=self.preset, floor=False).value for run in seen[: self.first]]
        hellinger = [WORST_D_H if value is None else value for value in spectra]
        score = float(np.max(geometry) + np.mean(hellinger))
        return Judgement(Fate.LIVING, float(np.mean(geometry)), float(np.mean(hellinger)), score)

    def _runs(
        self, params: NumpyParams, starts: Floats, steps: int, u: Floats | None = None, last: int | None = None
    ) -> Floats:
        """(K, steps, N) in scaled units; of each run the last rows alone where their number is given."""
        p = as_arrays(params)
        with np.errstate(all="ignore"):
            z0 = as_numpy(self.observation.infer(p, as_array(starts), self.cell.state_size))
            z = orbits(self.cell, params, z0, steps, u)[:, -(last or steps) :]
            x = as_numpy(self.observation.predict(p, as_array(z), starts.shape[1]))
        return x[..., : self.truth.shape[1]]

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
