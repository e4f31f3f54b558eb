"""The training loop: update, judge by free runs, keep the best, say honestly how it ended."""

import math
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from chaos_core import checkpoint
from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.checkpoint import Best, State
from chaos_core.code_version import code_version
from chaos_core.engine import Batch, make_engine
from chaos_core.errors import CheckpointUnreadable, Collapsed, Diverged, Exploded, Inconsistent
from chaos_core.fitted import Fitted
from chaos_core.forcing.base import Forcing, Slopes
from chaos_core.gaps import bridged
from chaos_core.initialise import draw, layout
from chaos_core.judging import judge_of
from chaos_core.selection import Fate, Judgement
from chaos_core.series import Scaling, Series
from chaos_core.slopes import data_slopes
from chaos_core.spec import Plan, Schedule
from chaos_core.start import Start, model_facts
from chaos_core.typing import Floats, Ints, Params
from chaos_core.windows import Rows, embedded_rows

__all__ = ["Step", "Trainer", "Validated", "learning_rate"]

REPORTS = 1000
QUIET_S = 0.25
CALL_S = 0.05
"""What a call into native code should take: long enough to cost nothing, short enough to be broken off."""
MASK_ENTRIES = 4_000_000
"""Of all masks of a call together, 16 to 32 MB."""
LEAST_GAIN = 0.05
"""A state that is better by less is not worth the many runs that confirm one."""
GOOD_SCORE, GOOD_FLOORS = 0.85, 2.5
LATE_FROM = 0.75


@dataclass(frozen=True)
class Step:
    """Some updates were done; `loss` and `gradient_norm` (before clipping) are those of the last of them."""

    update: int
    loss: float
    gradient_norm: float
    learning_rate: float
    interval: int | None


@dataclass(frozen=True)
class Validated:
    """Free runs judged the present state: metrics are None unless it lives; `best` if it is the best so far."""

    update: int
    d_stsp: float | None
    d_h: float | None
    living: bool
    best: bool


class Trainer:
    """One training, as an iterator of events. A pure function of (series, plan, seed, start): no clock, no global
    random numbers, no output; between two events its state can be taken as bytes and gone on with elsewhere.

    `for event in trainer` yields a Step at least `REPORTS` times over the run (and four times a second in slow ones)
    and a Validated at each validation, and ends after the last update.

    Args:
        series: all of it; split here by `plan.split`. Only the test piece's first state is used from the test piece,
            as start of the stored trajectory.
        plan: what to do.
        seed: of start values and batches.
        state: from `checkpoint()` of a trainer with the same series, plan, seed and start; None begins.
        start: the parent that `plan.start` names; None draws start values. The first attempt begins with its
            parameters, which are judged before the first update, and with a fresh optimiser; new attempts
            (`Training.restarts`) draw start values as ever. The scaling is the parent's unless the plan says "data".

    Raises:
        TooShort, ConstantChannel, Inconsistent: the series, the plan and the start do not fit together.
        CheckpointUnreadable: `state` is damaged or belongs to another training.
        Diverged: while iterating, once loss, gradient or parameters are not finite.
        Exploded, Collapsed: at the end, where no judged state lived; after what the last free runs did.
    """

    def __init__(
        self, series: Series, plan: Plan, seed: int = 0, state: bytes | None = None, start: Start | None = None
    ) -> None:
        if (series.names, series.input_names) != (plan.names, plan.input_names):
            wanted = f"the plan is for channels {plan.names} and inputs {plan.input_names}"
            raise Inconsistent(f"{wanted}, the series has {series.names} and {series.input_names}")
        if plan.start != (None if start is None else start.parent.origin):
            raise Inconsistent("the plan was made for another start: give `plan` and the training the same one")
        self.plan, self.seed, self.update = plan, seed, 0
        self.attempt = self._clipped = 0
        self._judged = 0 if start is None else -1
        self._at_once = 1
        self._died: int | None = None
        self._series = series.digest()
        train = series.split(**plan.split.model_dump())[0]
        self._scaling, self._input_scaling = _scalings(train, plan, start)
        whole, longest_gap = bridged(series)
        test, *known = reversed(whole.split(**plan.split.model_dump()))
        held_out, rows = (self._rows(part) for part in known)
        first = whole.rows(0, train.length)
        self._windows = self._rows(train, first, max(1, longest_gap)) if series.mask.any() else rows
        self._starts = self._windows.starts(plan.training.sequence_length + 1)
        self._latest = next(part.x[0] for part in (self._rows(test), held_out, rows) if len(part.x))
        self._rng = np.random.default_rng(seed)
        self._shapes = layout(plan.cell, plan.observation, plan.observed)
        self._extent = float(rows.x.min()), float(rows.x.max())
        self._forcing = plan.forcing
        params = draw(self._shapes, self._rng, self._extent) if start is None else start.params
        self._engine = make_engine(plan, self._windows, params, partial(data_slopes, rows, plan.embedding))
        self._judge = judge_of(plan, self._scaling, rows, held_out, test.length)
        self._best: Best | None = None
        self._fate: Fate | None = None
        if state is not None:
            self._restore(checkpoint.from_bytes(state))

    def _rows(self, part: Series, bridged: Series | None = None, longest_gap: int = 0) -> Rows:
        return embedded_rows(
            part,
            self._scaling,
            self.plan.embedding,
            bridged=bridged,
            longest_gap=longest_gap,
            input_scaling=self._input_scaling,
        )

    @property
    def kernel(self) -> str:
        """What computes the recurrence: native, gpu, segments or reference."""
        return self._engine.kernel.value

    @property
    def device(self) -> str:
        """Where: cpu or cuda."""
        return self._engine.device

    def __iter__(self) -> Iterator[Step | Validated]:
        training = self.plan.training
        stride, spoken = self._stride, time.monotonic()
        judged_at = {round(training.updates * (i + 1) / training.validations) for i in range(training.validations)}
        judged_at |= set() if self.plan.start is None else {0}
        while True:
            if self._done in judged_at and self._judged < self.update:
                yield self._validate()
            if self._done == training.updates:
                if self._is_enough():
                    break
                self._start_again()
            step = self._advance(self._until_a_word(judged_at))
            quiet = time.monotonic() - spoken > QUIET_S
            if self._done in judged_at or self._done % stride == 0 or self._done == 1 or quiet:
                yield step
                spoken = time.monotonic()
        if self._best is None:
            raise self._dead()

    @property
    def _stride(self) -> int:
        return math.ceil(self.plan.training.updates / REPORTS)

    def _until_a_word(self, judged_at: Collection[int]) -> int:
        """Updates until the next event: the first update alone, so that a reader sees at once that it runs."""
        if self._done == 0:
            return 1
        judged = min([at for at in judged_at if at > self._done], default=self.plan.training.updates)
        return min(judged, (self._done // self._stride + 1) * self._stride) - self._done

    @property
    def _done(self) -> int:
        """Updates of the present attempt."""
        return self.update - self.attempt * self.plan.training.updates

    @property
    def total(self) -> int:
        """Updates of all attempts that were begun; grows when one more is needed."""
        return (self.attempt + 1) * self.plan.training.updates

    def _advance(self, most: int) -> Step:
        """At least one update and at most `most`; as many as fit into a call of a twentieth of a second."""
        adapts = type(self._forcing).after_batch is not Forcing.after_batch
        entries = self.plan.training.sequence_length * self.plan.cell.state_size
        count = 1 if adapts else max(1, min(most, self._engine.at_once, self._at_once, MASK_ENTRIES // entries))
        batches, began = [self._batch(self._done + i) for i in range(count)], time.monotonic()
        outcomes = self._engine.updates(batches)
        self._at_once = round(count * max(0.5, min(2.0, CALL_S / max(time.monotonic() - began, 1e-6)))) or 1
        clip_norm = self.plan.training.clip_norm
        for loss, norm in outcomes:
            self.update += 1
            self._clipped += bool(clip_norm) and norm > (clip_norm or 0.0)
            for what, value in (("loss", loss), ("gradient", norm)):
                if not math.isfinite(value):
                    raise Diverged(f"the {what} is {value} at update {self.update}", update=self.update)
        last, (loss, norm) = batches[-1], outcomes[-1]
        self._forcing = self._forcing.after_batch(self._done, self._slopes(last.starts))
        return Step(self.update, loss, norm, last.learning_rate, self._forcing.interval(last.progress))

    def _batch(self, update: int) -> Batch:
        training, progress = self.plan.training, update / self.plan.training.updates
        rate = learning_rate(self.plan, update)
        steps, width = training.sequence_length, self.plan.cell.state_size
        alpha = self._forcing.mask(steps, width, self.plan.observed, progress, self._rng)
        starts = self._starts[self._rng.integers(0, len(self._starts), training.batch_size)]
        return Batch(starts, alpha, rate, progress, self._rng, self._engine.draw(self._rng))

    def _slopes(self, starts: Ints) -> Slopes:
        """The cell's Jacobians along a batch, for schemes that adapt to them."""
        cell = self.plan.cell

        def named() -> Params:
            return as_arrays(self._named(self._engine.arrays()[0]))

        def jacobians() -> Floats:
            rows, p = starts[:, None] + np.arange(self.plan.training.sequence_length), named()
            d = self.plan.observation.infer(p, as_array(np.nan_to_num(self._windows.seen[rows])), cell.state_size)
            s = cell.drive(p, as_array(self._windows.u[rows + 1])) if cell.inputs else None
            return as_numpy(cell.jacobian(p, d, s))

        def bound() -> float:
            found = cell.slope_bound(self._named(self._engine.arrays()[0]))
            return float("nan") if found is None else found

        return Slopes(jacobians=jacobians, bound=bound)

    def _validate(self) -> Validated:
        flat = self._engine.arrays()[0]
        if not np.isfinite(flat).all():
            raise Diverged(f"parameters are not finite at update {self.update}", update=self.update)
        found = self._judge.judge(self._named(flat), self._score_to_beat)
        self._fate, self._judged = found.fate, self.update
        since = self.update if self._died is None else self._died
        self._died = None if found.fate is Fate.LIVING else since
        better = self._is_better(found)
        if better and found.score is not None and found.d_stsp is not None and found.d_h is not None:
            self._best = Best(flat, self.update, found.d_stsp, found.d_h, found.score)
        return Validated(self.update, found.d_stsp, found.d_h, found.fate is Fate.LIVING, better)

    def _is_enough(self) -> bool:
        """Whether to stop after this attempt: see `Training.restarts`."""
        if self.attempt >= self.plan.training.restarts:
            return True
        return self._best is not None and self._best.score <= max(GOOD_SCORE, GOOD_FLOORS * self._judge.floor())

    def _start_again(self) -> None:
        self.attempt += 1
        self._forcing = self.plan.forcing
        params = draw(self._shapes, self._rng, self._extent)
        flat = np.concatenate([params[name].ravel() for name in self._shapes])
        self._engine.restore(flat, np.zeros_like(flat), np.zeros_like(flat), 0)

    @property
    def _score_to_beat(self) -> float | None:
        return None if self._best is None else (1 - LEAST_GAIN) * self._best.score

    def _is_better(self, found: Judgement) -> bool:
        return found.score is not None and (self._score_to_beat is None or found.score < self._score_to_beat)

    def _dead(self) -> Exploded | Collapsed:
        where = (
            f"none of the {self.plan.training.validations} judged states lives; the last one at update {self.update}"
        )
        when = {"update": self.update, "since": self._died}
        if self._fate is Fate.COLLAPSED:
            return Collapsed(f"{where} comes to rest, or shrinks to a small orbit, in a free run", **when)
        return Exploded(f"{where} leaves ten times the box of the data in a free run", **when)

    def checkpoint(self) -> bytes:
        """The whole state between two events; `Trainer(series, plan, seed, state)` goes on from it, on a CPU to the
        last bit."""
        flat, first, second = self._engine.arrays()
        generator = self._rng.bit_generator.state
        fate = None if self._fate is None else self._fate.value
        head = (self.plan.digest(), self._series, self.seed, self.update, self.attempt, self._judged)
        forcing = None if self._forcing == self.plan.forcing else self._forcing.model_dump(mode="json")
        model = model_facts(self.plan, self._scaling, self._input_scaling)
        tail = (dict(generator), self._best, fate, forcing, self._clipped, self._died)
        return checkpoint.to_bytes(State(*head, flat, first, second, *tail, model=model))

    def _restore(self, state: State) -> None:
        wanted = (self.plan.digest(), self._series, self.seed, self._engine.arrays()[0].shape)
        if (state.plan, state.series, state.seed, state.flat.shape) != wanted:
            raise CheckpointUnreadable("the checkpoint belongs to another plan, series or seed")
        self.update, self.attempt, self._judged = state.update, state.attempt, state.judged
        self._engine.restore(state.flat, state.first_moment, state.second_moment, self._done)
        self._rng.bit_generator.state = state.generator
        self._best, self._clipped, self._died = state.best, state.clipped, state.died
        if state.forcing is not None:
            self._forcing = type(self.plan.forcing).model_validate(state.forcing)
        self._fate = None if state.fate is None else Fate(state.fate)

    def fitted(self) -> Fitted:
        """The best living state so far; also after a Diverged.

        Raises:
            Exploded, Collapsed: none of the judged states lived.
        """
        best = self._best
        if best is None:
            raise self._dead()
        params = self._named(best.flat)
        d = self.plan.observation.infer(as_arrays(params), as_array(self._latest[None]), self.plan.cell.state_size)
        return Fitted(
            cell=self.plan.cell,
            observation=self.plan.observation,
            params=params,
            scaling=self._scaling,
            embedding=self.plan.embedding,
            dt=self.plan.dt,
            names=self.plan.names,
            latent_start=as_numpy(d)[0].copy(),
            observation_noise=self.plan.noise,
            input_names=self.plan.input_names if self.plan.cell.inputs else (),
            input_scaling=self._input_scaling,
            lambda_per_step=self.plan.lambda_per_step,
            provenance=self._provenance(best),
        )

    def _provenance(self, best: Best) -> dict[str, Any]:
        start = self.plan.start
        return ({} if start is None else {"start": start.model_dump(mode="json")}) | {
            "seed": self.seed,
            "update": best.update,
            "updates": self.plan.training.updates,
            "attempts": self.attempt + 1,
            "validation": {"d_stsp": best.d_stsp, "d_h": best.d_h},
            "plan_hash": self.plan.digest(),
            "series_sha256": self._series,
            "clipped_share": self._clipped / max(1, self.update) if self.plan.training.clip_norm else None,
            "bound": self.plan.cell.bound(self._named(best.flat)),
            "kernel": self.kernel,
            "device": self.device,
            "code": code_version(),
        }

    def _named(self, flat: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        edges = np.cumsum([param.size for param in self._shapes.values()])[:-1]
        parts = np.split(flat, edges)
        return {
            name: part.reshape(param.shape) for (name, param), part in zip(self._shapes.items(), parts, strict=True)
        }


def _scalings(train: Series, plan: Plan, start: Start | None) -> tuple[Scaling, Scaling | None]:
    """Of the channels and of the external inputs: those of the training piece, or the parent's."""
    own = Scaling.of(train), Scaling.of_rows(train.inputs) if plan.cell.inputs else None
    return own if start is None or start.parent.scaling == "data" else (start.scaling, start.input_scaling)


def learning_rate(plan: Plan, update: int) -> float:
    """The rate after `update` updates: from `learning_rate` at the first to `learning_rate_end` at the last.

    exponential: a (b / a)^s, cosine: b + (a - b) (1 + cos pi s) / 2, constant: a, with s = update / (updates - 1);
    late: a up to s = 3/4, from there exponential.
    """
    training = plan.training
    first, last = training.learning_rate, training.learning_rate_end
    share = update / max(1, training.updates - 1)
    if training.schedule is Schedule.CONSTANT:
        return first
    if training.schedule is Schedule.COSINE:
        return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
    if training.schedule is Schedule.LATE:
        share = max(0.0, share - LATE_FROM) / (1 - LATE_FROM)
    return first * math.exp(share * math.log(last / first))
