"""From what the client asks (Spec) and what the data are (Analysis) to what will be done (Plan)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from chaos_core import cells, forcing, losses, observation
from chaos_core.analysed import Analysis
from chaos_core.auto import chosen
from chaos_core.cells import AnyCellSpec, Cell
from chaos_core.embedding import Embedding
from chaos_core.errors import Inconsistent, SpecTooLarge, TooShort
from chaos_core.forcing import AnyForcingSpec, Forcing
from chaos_core.initialise import layout
from chaos_core.losses import Loss
from chaos_core.observation import Observation
from chaos_core.pace import seconds_per_update, updates_within
from chaos_core.refusal import native_refusal
from chaos_core.spec import Device, Evaluation, Interval, Optimiser, Plan, Precision, Schedule, Spec, Split, Training
from chaos_core.start import Parent, agreed

__all__ = ["plan"]

MANY_PARAMETERS = 5_000
MOST_PARAMETERS = 5_000_000
MOST_STATES = 200_000_000
DECAY = ((15_000, 0.3), (30_000, 0.03), (100_000, 0.01))
"""(updates, last learning rate over first): a short run whose rate decays far stops learning before it is good."""
FEW_LOOKS, MANY_LOOKS, ROWS_OF_MANY_LOOKS = 16, 32, 35_000
"""Looks at a training; rows of the training piece up to which there are many: they take 4 to 9 % of 30 000 updates."""
BUDGET_BATCH = 16
"""Windows of an update where time is short: more updates do more than smoother ones."""
SURE = 1.0
"""Largest width of the exponent's interval, over the exponent, at which the data's map is trusted with its slopes."""

_CELL_SPEC: TypeAdapter[BaseModel] = TypeAdapter(AnyCellSpec)
_FORCING_SPEC: TypeAdapter[BaseModel] = TypeAdapter(AnyForcingSpec)


def plan(spec: Spec, analysis: Analysis, parent: Parent | None = None) -> Plan:
    """Fills in every "auto" of a spec; what the client chose stays as it is.

    The forcing interval is the heart of it. For chaotic data tau is that part of ln 2 / lambda_max with which the cell
    trains best (`Cell.suggested_tau`), reached from 2 over the first 60 % of the updates; for other data, where that
    time does not exist, the fallback of the analysis.

    Args:
        spec: the client's words.
        analysis: of the same series.
        parent: of a training that starts from another one, `Start.parent`; its cell, observation and embedding are
            kept, and there is no new start unless the client asks for some.

    Returns:
        The plan. It depends on the machine in one point only, the default number of updates: without native code a
        step takes 10 to 100 times as long, and fewer are planned.

    Raises:
        Inconsistent: two settings, or a setting and the data, contradict each other.
        SpecTooLarge: too many parameters, or windows that need too much memory.
        TooShort: the training piece is shorter than one window.

    Source: the interval: Mikhaeil, Monfared, Durstewitz (2022), arXiv:2110.07238, eq. 11.
    Differs: a part of their ln 2 / lambda_max, annealed: with short budgets the full time from the start fails.
    """
    try:
        return _planned(spec if parent is None else agreed(spec, parent, analysis.channels), analysis, parent)
    except ValidationError as refusal:
        first = refusal.errors(include_url=False)[0]
        where = ".".join([refusal.title, *(str(part) for part in first["loc"])])
        raise Inconsistent(f"{where}: {first['msg'].removeprefix('Value error, ')}", setting=where) from refusal


def _planned(spec: Spec, analysis: Analysis, parent: Parent | None) -> Plan:
    notes: list[str] = [] if parent is None else _about(parent, analysis)
    split = Split() if spec.split == "auto" else spec.split
    embedding = _embedding(spec, analysis, notes)
    observed = analysis.channels * embedding.dim
    cell = _cell(spec, observed, embedded=embedding.dim > 1, inputs=len(analysis.input_names))
    read_out = observation.fill(spec.observation, latent=cell.latent, observed=observed)
    rows = math.floor(analysis.length * split.train) - embedding.rows_lost
    suggested = _suggested_tau(cell, analysis)
    scheme = _forcing(spec, suggested, cell)
    terms = _losses(spec, analysis, cell, state_observed=embedding.dim == 1 and cell.latent == observed)
    for term in terms:
        term.check(cell, read_out)
    refusal = native_refusal(
        cell,
        read_out,
        scheme,
        terms,
        observed=observed,
        input_noise=float(_words(spec.training).get("input_noise", 0.0)),
    )
    facts = Facts(cell, read_out, scheme, terms, observed, rows, embedding.dim > 1, refusal, parent is not None)
    training = _training(_words(spec.training), facts, suggested, notes)
    _check_size(cell, read_out, observed, training)
    _note_window(scheme, training, notes)
    return Plan(
        cell=cell,
        observation=read_out,
        forcing=scheme,
        training=training,
        evaluation=Evaluation(**_words(spec.evaluation)),
        embedding=embedding,
        losses=terms,
        split=split,
        channels=analysis.channels,
        dt=analysis.dt,
        names=analysis.names,
        input_names=analysis.input_names,
        lambda_per_step=_exponent(analysis),
        noise=analysis.noise,
        start=None if parent is None else parent.origin,
        interval=_interval(spec, analysis, cell, scheme, notes),
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class Facts:
    """What the training's defaults depend on: the parts already chosen, channels, rows of the training piece, delay
    embedding, why there is no native training step, whether it starts from another training."""

    cell: Cell
    observation: Observation
    forcing: Forcing
    losses: tuple[Loss, ...]
    observed: int
    rows: int
    embedded: bool
    refusal: str | None
    started: bool

    @property
    def native(self) -> bool:
        """Whether the native training step can do it."""
        return self.refusal is None


def _about(parent: Parent, analysis: Analysis) -> list[str]:
    whose = "as the parent's data were" if parent.scaling == "parent" else "by their own mean and deviation"
    notes = [
        f"It starts from the parameters of a {parent.kind} (sha256 {parent.sha256[:12]}); data are scaled {whose}."
    ]
    if parent.dt and analysis.dt and not math.isclose(parent.dt, analysis.dt, rel_tol=1e-6):
        notes.append(f"The parent learned steps of {parent.dt:g}, the data have steps of {analysis.dt:g}.")
    return notes


def _words(part: Any) -> dict[str, Any]:
    return {} if part == "auto" else chosen(part.model_dump())


def _embedding(spec: Spec, analysis: Analysis, notes: list[str]) -> Embedding:
    found = Embedding(**(analysis.embedding.model_dump() | _words(spec.embedding)))
    if found.dim > 1:
        notes.append(
            f"The state is a delay embedding: {found.dim} copies of each channel, {found.lag} steps apart; "
            "D_stsp compares delay coordinates."
        )
    return found


def _cell(spec: Spec, observed: int, *, embedded: bool, inputs: int) -> Cell:
    asked = _CELL_SPEC.validate_python({"kind": "clipped_shplrnn"}) if spec.cell == "auto" else spec.cell
    cell = cells.fill(asked, observed=observed, embedded=embedded, inputs=inputs)
    if cell.inputs not in (0, inputs):
        raise Inconsistent(f"the cell takes {cell.inputs} external inputs, the data have {inputs}", inputs=inputs)
    return cell


def _losses(spec: Spec, analysis: Analysis, cell: Cell, *, state_observed: bool) -> tuple[Loss, ...]:
    known = _exponent(analysis)
    exponent = None if known is None else known[0]
    if spec.losses == "auto":
        fitting = state_observed and not cell.inputs and known is not None and _is_sure(*known)
        return tuple(losses.LOSSES[kind].model_validate({}) for kind in cell.suggested_losses) if fitting else ()
    return tuple(losses.fill(asked, lambda_max_per_step=exponent) for asked in spec.losses)


def _exponent(analysis: Analysis) -> tuple[float, float, float] | None:
    """The data's largest exponent and the ends of its interval, nats per row, where they are chaotic."""
    value = analysis.lambda_max_per_step
    if analysis.tau is None or value is None:
        return None
    low, high = analysis.lambda_low_per_step, analysis.lambda_high_per_step
    return value, value if low is None else low, value if high is None else high


def _is_sure(value: float, low: float, high: float) -> bool:
    return high - low <= SURE * value


def _suggested_tau(cell: Cell, analysis: Analysis) -> int:
    time = analysis.predictability_time_steps
    return analysis.fallback_tau if time is None else cell.suggested_tau(time)


def _forcing(spec: Spec, tau: int, cell: Cell) -> Forcing:
    asked = _FORCING_SPEC.validate_python({"kind": "sparse"}) if spec.forcing == "auto" else spec.forcing
    scheme = forcing.fill(asked, tau=tau)
    scheme.check(cell)
    return scheme


def _training(words: Mapping[str, Any], facts: Facts, tau: int, notes: list[str]) -> Training:
    budget = words.get("budget_s")
    length, batch = _window(facts, tau)
    if budget is not None:
        batch = BUDGET_BATCH
        updates = _updates_within(float(budget), words, facts, length, batch)
        notes.append(f"{updates} updates, which take about {budget:g} seconds on this machine.")
    else:
        updates = int(words.get("updates", _updates(facts)))
    schedule = Schedule(words.get("schedule", Schedule.EXPONENTIAL))
    rate = float(words.get("learning_rate", 1e-3))
    decay = 1.0 if schedule is Schedule.CONSTANT else _decay(updates)
    defaults: dict[str, Any] = {
        "updates": updates,
        "sequence_length": length,
        "batch_size": batch,
        "optimiser": Optimiser.RADAM,
        "learning_rate": rate,
        "learning_rate_end": float(f"{rate * decay:.3g}"),
        "schedule": schedule,
        "clip_norm": None,
        "validations": min(_looks(facts) if budget is None else FEW_LOOKS, updates),
        "restarts": 2 if facts.native and budget is None and not facts.started else 0,
        "dtype": Precision.FLOAT32,
        "device": Device.AUTO,
    }
    found = Training(**(defaults | dict(words) | {"updates": updates, "budget_s": None}))
    if found.sequence_length + 1 > facts.rows:
        raise TooShort(
            f"the training piece has {facts.rows} usable rows; a window takes {found.sequence_length + 1}",
            rows=facts.rows,
            rows_needed=found.sequence_length + 1,
        )
    if found.restarts:
        notes.append(f"If no state of the training is good, it begins anew, up to {found.restarts} times.")
    if "updates" not in words and budget is None and not facts.native:
        notes.append(f"{updates} updates, since torch takes longer for each: {facts.refusal}.")
    return found


def _updates_within(budget: float, words: Mapping[str, Any], facts: Facts, length: int, batch: int) -> int:
    if "updates" in words:
        raise Inconsistent("updates and budget_s both say how long to train: give one of them", setting="budget_s")
    of_an_update = seconds_per_update(
        facts.cell,
        facts.observation,
        facts.forcing,
        facts.losses,
        observed=facts.observed,
        sequence_length=int(words.get("sequence_length", length)),
        batch_size=int(words.get("batch_size", batch)),
        native=facts.native,
    )
    return updates_within(budget, of_an_update)


def _window(facts: Facts, tau: int) -> tuple[int, int]:
    """T and B. T = 200 as Hess et al. (2023), with B = 32 in place of their 16, which halves the noise of the gradient;
    for delay embeddings, whose maps forget within a few steps, 100 and 16; and 100 and 32 as Mikhaeil et al. (2022)
    where torch does the work. A window holds at least two intervals, and at most a quarter of a short piece."""
    length, batch = (100, 32) if not facts.native else (100, 16) if facts.embedded else (200, 32)
    return max(1, min(max(length, min(2 * tau, 1000)), facts.rows // 4)), batch


def _updates(facts: Facts) -> int:
    """Tens of seconds on one core for shallow PLRNNs, minutes for an LSTM: 0.2 to 7 ms an update natively, 4 ms in
    segments, 20 ms step by step."""
    if not facts.native:
        return 15_000 if facts.forcing.whole_state else 5_000
    if facts.cell.parameter_count() > MANY_PARAMETERS:
        return 20_000
    return 40_000 if facts.embedded else 30_000


def _looks(facts: Facts) -> int:
    """How often free runs judge: fewer where they are long, or they would take more than a tenth of the training."""
    if not facts.native:
        return FEW_LOOKS
    return max(FEW_LOOKS, min(MANY_LOOKS, round(MANY_LOOKS * ROWS_OF_MANY_LOOKS / facts.rows)))


def _decay(updates: int) -> float:
    """Last learning rate over first: `DECAY`, linear in between on logarithmic axes, constant outside."""
    planned, ratio = (np.log([row[column] for row in DECAY]) for column in (0, 1))
    return float(np.exp(np.interp(math.log(updates), planned, ratio)))


def _check_size(cell: Cell, read_out: Observation, observed: int, training: Training) -> None:
    count = sum(param.size for param in layout(cell, read_out, observed).values())
    if count > MOST_PARAMETERS:
        raise SpecTooLarge(f"{count} parameters; at most {MOST_PARAMETERS}", value=count, limit=MOST_PARAMETERS)
    states = training.batch_size * training.sequence_length * (cell.state_size + getattr(cell, "hidden", 0))
    if states > MOST_STATES:
        detail = f"windows of {states} states (batch x length x units); at most {MOST_STATES}"
        raise SpecTooLarge(detail, value=states, limit=MOST_STATES)


def _note_window(scheme: Forcing, training: Training, notes: list[str]) -> None:
    tau = getattr(scheme, "tau", None)
    if tau is not None and tau >= training.sequence_length:
        notes.append(f"tau = {tau} is as long as the window: after its first row nothing is forced.")
    start = getattr(scheme, "anneal_from", None)
    if tau is not None and start is not None and start > tau:
        raise Inconsistent("anneal_from is larger than tau; an annealed interval grows", tau=tau)


def _interval(spec: Spec, analysis: Analysis, cell: Cell, scheme: Forcing, notes: list[str]) -> Interval:
    time, tau = analysis.predictability_time_steps, getattr(scheme, "tau", None)
    asked = {} if spec.forcing == "auto" else _words(spec.forcing)
    if tau is None:
        source, why = "none", f"forcing of kind {asked.get('kind')} has no interval"
    elif "tau" in asked:
        source, why = "client", "the client chose it"
    elif time is not None:
        source, kind = "lambda_max", getattr(cell, "kind", "cell")
        why = f"ln 2 / lambda_max = {time:.1f} steps; a {kind} learns best with up to {tau} steps between forced states"
    else:
        source = "fallback"
        why = (
            f"the data are {analysis.verdict}, so ln 2 / lambda_max does not exist; "
            f"the {analysis.fallback_source.replace('_', ' ')} gives {analysis.fallback_tau} steps instead"
        )
        notes.append(f"tau = {tau} is a fallback: {why}.")
    return Interval.model_validate(
        {
            "predictability_time_steps": time,
            "factor": None if tau is None or time is None else tau / time,
            "tau": tau,
            "source": source,
            "schedule": _schedule(scheme, tau),
            "why": why,
        }
    )


def _schedule(scheme: Forcing, tau: int | None) -> str:
    start, share = getattr(scheme, "anneal_from", None), getattr(scheme, "anneal_share", 1.0)
    if tau is None:
        alpha = getattr(scheme, "alpha", None)
        return "no interval" if alpha is None else f"every step, with alpha = {alpha:g}"
    if start is None:
        return f"fixed at {tau} steps"
    return f"from {start} up to {tau} steps over the first {share:.0%} of the updates"
