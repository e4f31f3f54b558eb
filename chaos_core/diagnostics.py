"""What a trained model is as a dynamical system: exponents, dimension, gradients, fixed points; without torch."""

import math
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, FiniteFloat

from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.fitted import Fitted
from chaos_core.generation import read_out
from chaos_core.lyapunov.dimension import kaplan_yorke
from chaos_core.lyapunov.spectrum import Spectrum, cell_spectrum
from chaos_core.orbits import orbits
from chaos_core.typing import Floats

__all__ = [
    "Diagnosis",
    "Exponent",
    "Exponents",
    "FixedPoint",
    "FixedPoints",
    "Growth",
    "GrowthAt",
    "Quantity",
    "diagnose",
    "usual_steps",
    "work_of",
]

BURN_IN, APART = 1000, 50
GROWTH_STARTS, NEWTON_STARTS = 32, 64
NEWTON_STEPS = 60
NUMBERS = 4_000_000
LEAST_STEPS, MOST_STEPS = 1000, 10_000
EXACT, SAME = 1e-9, 1e-6
DRIVEN = "the model is driven: this depends on its external inputs"


class _Found(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str | None = None


class Exponents(_Found):
    """All Lyapunov exponents of the free run, descending.

    Args:
        per_step: nats per step; None in it stands for minus infinity, a direction that is flattened altogether.
        per_time: nats per time unit; None where dt is not known.
        error: standard error of `per_step`, from the scatter of the runs.
        runs, steps: how many runs of which length they are the mean of.
        escaped, rested: runs that left all bounds, and that came to rest at a fixed point.
        doubt: why they are not those of one attractor that moves.
        reason: why there are none.
    """

    per_step: list[FiniteFloat | None] | None = None
    per_time: list[FiniteFloat | None] | None = None
    error: list[FiniteFloat] | None = None
    runs: int
    steps: int
    escaped: int = 0
    rested: int = 0
    doubt: str | None = None


class Quantity(_Found):
    """A number with its standard error, or the reason why there is none."""

    value: FiniteFloat | None = None
    error: FiniteFloat | None = None


class Exponent(Quantity):
    """The model's largest exponent beside the data's, nats per step.

    Args:
        data, data_low, data_high: of the analysis with its 90 % interval; None where the data are not chaotic.
        ratio: model over data.
        within: whether the model's lies in the data's interval.
    """

    data: FiniteFloat | None = None
    data_low: FiniteFloat | None = None
    data_high: FiniteFloat | None = None
    ratio: FiniteFloat | None = None
    within: bool | None = None


class GrowthAt(BaseModel):
    """The 2-norm of the product of Jacobians over so many steps, as natural logarithms: median and 10 to 90 %."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int
    ln_median: FiniteFloat
    ln_low: FiniteFloat
    ln_high: FiniteFloat


class Growth(_Found):
    """How much a gradient grows while the run is not forced.

    Args:
        at: at 1, 2, 4, ... and at last `steps` steps.
        rate_per_step: median of the last over its steps; near the largest exponent over long times.
        starts: states of the free run that it is measured from.
    """

    at: list[GrowthAt] | None = None
    rate_per_step: FiniteFloat | None = None
    steps: int
    starts: int = 0


class FixedPoint(BaseModel):
    """A state that the model maps to itself.

    Args:
        z, x: the state, and what is seen of it in data units.
        largest_multiplier: greatest modulus of the Jacobian's eigenvalues there.
        unstable_directions: how many of them exceed 1; 0 is a stable point.
        residual: greatest entry of |F(z) - z|.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    z: list[FiniteFloat]
    x: list[FiniteFloat]
    largest_multiplier: FiniteFloat
    unstable_directions: int
    residual: FiniteFloat


class FixedPoints(_Found):
    """Fixed points that Newton's method finds from states of the free run; there may be others.

    Args:
        points: the different ones, the one found most often first.
        starts, converged: how many searches there were, and how many ended at a point.
    """

    points: list[FixedPoint] | None = None
    starts: int = 0
    converged: int = 0


class Diagnosis(BaseModel):
    """Each part is a value or a reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exponents: Exponents
    kaplan_yorke: Quantity
    lambda_max: Exponent
    gradient_growth: Growth
    fixed_points: FixedPoints


def usual_steps(state_size: int) -> int:
    """Steps of each run for the exponents: 10 000, and fewer for large states, whose decompositions take longer."""
    return int(min(MOST_STEPS, max(LEAST_STEPS, NUMBERS / state_size**2)))


def work_of(state_size: int, steps: int, runs: int, growth_steps: int) -> int:
    """Products of numbers that a diagnosis takes, roughly: what bounds it."""
    cubed = state_size**3
    return cubed * (runs * (steps + BURN_IN) + GROWTH_STARTS * growth_steps + NEWTON_STARTS * NEWTON_STEPS)


def diagnose(fitted: Fitted, *, steps: int | None = None, runs: int = 10, growth_steps: int = 100) -> Diagnosis:
    """Exponents, dimension, growth of gradients and fixed points of a trained model's free run.

    The run goes on from the stored start; after 1000 steps, states 50 steps apart are the starts of all that follows.

    Args:
        fitted: the trained model.
        steps: of each run for the exponents; left out: `usual_steps`.
        runs: how many; from their scatter come the errors.
        growth_steps: over how many steps gradients are followed, say the forcing interval.

    Returns:
        Values, each with the reason where it is not defined. A driven model has reasons only.

    Source: exponents: see `chaos_core.lyapunov.spectrum`; gradients: Mikhaeil, Monfared, Durstewitz (2022),
        arXiv:2110.07238, eq. 6, where the product of Jacobians grows with the largest exponent.
    """
    length = usual_steps(fitted.cell.state_size) if steps is None else steps
    states = None if fitted.cell.inputs else _states(fitted, max(runs, GROWTH_STARTS, NEWTON_STARTS))
    if states is None:
        reason = DRIVEN if fitted.cell.inputs else "the free run leaves all bounds"
        return _nothing(fitted, reason, length, runs, growth_steps)
    spectrum = cell_spectrum(fitted.cell, fitted.params, _spread(states, runs), steps=length, burn_in=BURN_IN)
    return Diagnosis(
        exponents=_exponents(spectrum, fitted.dt, runs),
        kaplan_yorke=_dimension(spectrum),
        lambda_max=_beside(spectrum, fitted),
        gradient_growth=_growth(fitted, _spread(states, GROWTH_STARTS), growth_steps),
        fixed_points=_fixed_points(fitted, _spread(states, NEWTON_STARTS)),
    )


def _nothing(fitted: Fitted, reason: str, steps: int, runs: int, growth_steps: int) -> Diagnosis:
    return Diagnosis(
        exponents=Exponents(reason=reason, runs=runs, steps=steps),
        kaplan_yorke=Quantity(reason=reason),
        lambda_max=Exponent(reason=reason, **_of_data(fitted)),
        gradient_growth=Growth(reason=reason, steps=growth_steps),
        fixed_points=FixedPoints(reason=reason),
    )


def _states(fitted: Fitted, count: int) -> Floats | None:
    """(count, M) of the free run; None where it leaves all bounds."""
    z = orbits(fitted.cell, fitted.params, fitted.latent_start[None], BURN_IN + APART * count)[0]
    found: Floats = z[BURN_IN::APART][:count]
    return found if np.isfinite(z).all() else None


def _spread(states: Floats, count: int) -> Floats:
    return states[np.linspace(0, len(states) - 1, count).astype(np.int64)]


def _exponents(found: Spectrum, dt: float | None, runs: int) -> Exponents:
    values = None if found.exponents is None else _listed(found.exponents)
    per_time = None if values is None or dt is None else [None if value is None else value / dt for value in values]
    return Exponents(
        reason=found.reason,
        doubt=None if values is None else found.doubt,
        per_step=values,
        per_time=per_time,
        error=None if found.error is None else found.error.tolist(),
        runs=runs,
        steps=found.steps,
        escaped=found.escaped,
        rested=found.rested,
    )


def _listed(values: Floats) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]


def _dimension(found: Spectrum) -> Quantity:
    if found.kaplan_yorke is None or found.doubt is not None:
        return Quantity(reason=found.doubt)
    by_run = np.array([kaplan_yorke(exponents) for exponents in found.by_start])
    error = float(by_run.std(ddof=1) / math.sqrt(len(by_run))) if len(by_run) > 1 else None
    return Quantity(value=found.kaplan_yorke, error=error)


def _of_data(fitted: Fitted) -> dict[str, float | None]:
    value, low, high = fitted.lambda_per_step or (None, None, None)
    return {"data": value, "data_low": low, "data_high": high}


def _beside(found: Spectrum, fitted: Fitted) -> Exponent:
    known, largest = _of_data(fitted), found.lambda_max
    if found.doubt is not None or largest is None or not math.isfinite(largest):
        return Exponent(reason=found.doubt or "the model flattens every direction", **known)
    ratio = within = None
    if fitted.lambda_per_step is not None:
        value, low, high = fitted.lambda_per_step
        ratio, within = largest / value, low <= largest <= high
    error = None if found.error is None else float(found.error[0])
    return Exponent(value=largest, error=error, ratio=ratio, within=within, **known)


def _growth(fitted: Fitted, starts: Floats, steps: int) -> Growth:
    cell, p = fitted.cell, as_arrays(fitted.params)
    z = np.concatenate([starts[:, None], orbits(cell, fitted.params, starts, steps)], axis=1)
    product = np.broadcast_to(np.eye(cell.state_size), (len(starts), cell.state_size, cell.state_size))
    scale, at = np.zeros(len(starts)), []
    wanted = {min(2**k, steps) for k in range(steps.bit_length() + 1)}
    with np.errstate(all="ignore"):
        for t in range(steps):
            product = as_numpy(cell.jacobian(p, as_array(z[:, t]))) @ product
            size = np.abs(product).max(axis=(1, 2))
            product, scale = product / size[:, None, None], scale + np.log(size)
            if t + 1 in wanted:
                at.append(_growth_at(t + 1, product, scale))
            if at and at[-1] is None:
                break
    told = [found for found in at if found is not None]
    if len(told) < len(at):
        return Growth(reason="the product of Jacobians vanishes, or leaves all bounds", steps=steps, starts=len(starts))
    return Growth(at=told, rate_per_step=told[-1].ln_median / steps, steps=steps, starts=len(starts))


def _growth_at(steps: int, product: Floats, scale: Floats) -> GrowthAt | None:
    if not (np.isfinite(product).all() and np.isfinite(scale).all()):
        return None
    logs = np.log(np.linalg.norm(product, 2, axis=(1, 2))) + scale
    low, median, high = np.quantile(logs, [0.1, 0.5, 0.9])
    return GrowthAt(steps=steps, ln_median=float(median), ln_low=float(low), ln_high=float(high))


class _Ends(NamedTuple):
    """Where the searches ended, and which of them at a fixed point."""

    z: Floats
    good: list[int]


def _fixed_points(fitted: Fitted, starts: Floats) -> FixedPoints:
    ends = _newton(fitted, starts)
    reach = np.abs(starts).max()
    kept: list[list[int]] = []
    for place in ends.good:
        near = (found for found in kept if np.abs(ends.z[place] - ends.z[found[0]]).max() <= SAME * (1 + reach))
        same = next(near, None)
        if same is None:
            kept.append([place])
        else:
            same.append(place)
    kept.sort(key=len, reverse=True)
    points = [_described(fitted, ends.z[places[0]]) for places in kept]
    if not points:
        reason = f"none of {len(starts)} searches by Newton's method ended at a fixed point"
        return FixedPoints(reason=reason, starts=len(starts))
    return FixedPoints(points=points, starts=len(starts), converged=len(ends.good))


def _newton(fitted: Fitted, starts: Floats) -> _Ends:
    cell, p = fitted.cell, as_arrays(fitted.params)
    step, one, z = cell.bind(p), np.eye(cell.state_size), starts.copy()
    good: list[int] = []
    with np.errstate(all="ignore"):
        for _ in range(NEWTON_STEPS):
            misses = as_numpy(step(as_array(z))) - z
            near = np.abs(misses).max(axis=1) <= EXACT * (1 + np.abs(z).max(axis=1))
            good = np.flatnonzero(near).tolist()
            slopes = as_numpy(cell.jacobian(p, as_array(z))) - one
            open_ones = np.flatnonzero(~near & np.isfinite(misses).all(axis=1) & np.isfinite(slopes).all(axis=(1, 2)))
            if not open_ones.size:
                break
            for place in open_ones:
                z[place] -= _solved(slopes[place], misses[place])
    return _Ends(z, good)


def _solved(slope: Floats, miss: Floats) -> Floats:
    try:
        found = np.linalg.solve(slope, miss)
    except np.linalg.LinAlgError:
        found = np.linalg.lstsq(slope, miss, rcond=None)[0]
    return np.asarray(found, np.float64)


def _described(fitted: Fitted, z: Floats) -> FixedPoint:
    p = as_arrays(fitted.params)
    sizes = np.abs(np.linalg.eigvals(as_numpy(fitted.cell.jacobian(p, as_array(z)))))
    miss = as_numpy(fitted.cell.bind(p)(as_array(z))) - z
    return FixedPoint(
        z=z.tolist(),
        x=read_out(fitted, z[None])[0].tolist(),
        largest_multiplier=float(sizes.max()),
        unstable_directions=int((sizes > 1).sum()),
        residual=float(np.abs(miss).max()),
    )
