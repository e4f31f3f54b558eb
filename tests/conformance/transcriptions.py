"""What the Julia code of peers computes, written anew in plain numpy loops from its equations.

Nothing of ours is used. All is analytic in the parameters (no conjugates, rectifiers that look at the real part), so
that `slopes` can step along the imaginary axis: exact derivatives without differences of nearly equal numbers.

Source: Hess, Monfared, Brenner, Durstewitz (2023), arXiv:2306.04406, repository DurstewitzLab/GTF-shPLRNN: the files
    in src/models and src/tf_training; Brenner, Hemmer, Monfared, Durstewitz (2024), arXiv:2410.14240, repository
    DurstewitzLab/ALRNN-DSR: src/models/alrnn.jl and src/training. Complex step: Squire, Trapp (1998), Using complex
    variables to estimate derivatives of real functions, doi:10.1137/S003614459631241X.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.linalg import expm, logm

Numbers: TypeAlias = npt.NDArray[Any]
Words: TypeAlias = Mapping[str, Numbers]
Step: TypeAlias = Callable[[Words, Numbers], Numbers]

TINY = 1e-30


def rectified(v: Numbers) -> Numbers:
    """max(0, v) of real numbers, continued to complex ones."""
    return np.where(v.real > 0, v, 0.0)


def plrnn(p: Words, z: Numbers) -> Numbers:
    """z' = A z + W max(0, z) + h."""
    return np.asarray(p["A"] * z + p["W"] @ rectified(z) + p["h"])


def mean_centred_plrnn(p: Words, z: Numbers) -> Numbers:
    """The mean over the units is taken off inside the rectifier only."""
    return np.asarray(p["A"] * z + p["W"] @ rectified(z - z.sum() / len(z)) + p["h"])


def dendplrnn(p: Words, z: Numbers) -> Numbers:
    """A sum over the thresholds of a unit in place of its rectifier; thresholds are subtracted."""
    basis = np.zeros(len(z), complex)
    for b, weight in enumerate(p["alpha"]):
        basis += weight * rectified(z - p["H"][:, b])
    return np.asarray(p["A"] * z + p["W"] @ basis + p["h"])


def clipped_dendplrnn(p: Words, z: Numbers) -> Numbers:
    """As before, less the rectifier at zero for each threshold."""
    basis = np.zeros(len(z), complex)
    for b, weight in enumerate(p["alpha"]):
        basis += weight * (rectified(z - p["H"][:, b]) - rectified(z))
    return np.asarray(p["A"] * z + p["W"] @ basis + p["h"])


def shplrnn(p: Words, z: Numbers) -> Numbers:
    """z' = A z + W1 max(0, W2 z + h2) + h1."""
    return np.asarray(p["A"] * z + p["W1"] @ rectified(p["W2"] @ z + p["h2"]) + p["h1"])


def clipped_shplrnn(p: Words, z: Numbers) -> Numbers:
    """z' = A z + W1 [max(0, W2 z + h2) - max(0, W2 z)] + h1."""
    inner = p["W2"] @ z
    return np.asarray(p["A"] * z + p["W1"] @ (rectified(inner + p["h2"]) - rectified(inner)) + p["h1"])


def alrnn(p: Words, z: Numbers, rectified_units: int = 2) -> Numbers:
    """The last units, two in the case compared here, pass a rectifier; the others go on as they are."""
    linear = len(z) - rectified_units
    return np.asarray(p["A"] * z + p["W"] @ np.concatenate([z[:linear], rectified(z[linear:])]) + p["h"])


STEPS: dict[str, Step] = {
    "alrnn": alrnn,
    "clipped_dendplrnn": clipped_dendplrnn,
    "clipped_shplrnn": clipped_shplrnn,
    "dendplrnn": dendplrnn,
    "mean_centred_plrnn": mean_centred_plrnn,
    "plrnn": plrnn,
    "shplrnn": shplrnn,
}


@dataclass(frozen=True)
class Forced:
    """How a sequence is forced.

    Args:
        units: how many of the first units are forced.
        alpha: share of the data at each forced step.
        tau: every how many steps; 1 for generalized forcing.
    """

    units: int
    alpha: float = 1.0
    tau: int = 1


def inverse(b: Numbers) -> Numbers:
    """The pseudo-inverse of a wide matrix of full rank, B' (B B')^-1, with plain transposes."""
    return np.asarray(b.T @ np.linalg.inv(b @ b.T))


def signals(p: Words, x: Numbers, units: int) -> Numbers:
    """The states (T, M) that rows of data (T, N) stand for: B^+ (x - b), or the rows and zeros for hidden units."""
    if "B" in p:
        return np.asarray((x - p.get("b_x", 0.0)) @ inverse(p["B"]).T)
    return np.concatenate([x, np.zeros((len(x), units - x.shape[1]))], axis=1)


def first_state(p: Words, x: Numbers, units: int) -> Numbers:
    """As `signals`, but hidden units of the identity start at L x."""
    return np.concatenate([x, p["L"] @ x]) if "L" in p else np.asarray(signals(p, x[None], units)[0])


def orbit(step: Step, p: Words, x: Numbers, pulls: Numbers, how: Forced) -> Numbers:
    """z_1 ... z_T along one sequence x (T + 1, N): step, keep the state, then pull it to pulls[k] where due."""
    z, kept = first_state(p, x[0], len(p["A"])), []
    for k in range(1, len(x)):
        z = step(p, z)
        kept.append(z)
        if k % how.tau == 0:
            pulled = (1 - how.alpha) * z[: how.units] + how.alpha * pulls[k][: how.units]
            z = np.concatenate([pulled, z[how.units :]])
    return np.array(kept)


def predictions(p: Words, z: Numbers, observed: int) -> Numbers:
    """B z + b, or the first units."""
    return np.asarray(z @ p["B"].T + p.get("b_x", 0.0)) if "B" in p else z[..., :observed]


def run(step: Step, p: Words, x: Numbers, how: Forced, source: Words | None = None) -> tuple[Numbers, Numbers, Any]:
    """States (B, T, M), predictions (B, T, N) and mean squared error of a batch x (B, T + 1, N).

    Args:
        step, p, x, how: see `orbit`.
        source: parameters from which the forcing signals are made, `p` itself if None. With a fixed copy of the
            parameters no derivative passes through the signals: so it is in the Julia code, which makes them before
            it records.
    """
    made_from = p if source is None else source
    z = np.array([orbit(step, p, one, signals(made_from, one, len(p["A"])), how) for one in x])
    predicted = predictions(p, z, x.shape[2])
    return z, predicted, ((predicted - x[:, 1:]) ** 2).mean()


def slopes(loss: Callable[[Words], Any], p: Words) -> dict[str, Numbers]:
    """Derivatives of an analytic function by all parameters: Im f(p + i t) / t with a t that vanishes beside p."""
    found = {}
    for name, value in p.items():
        slope = np.zeros(value.shape)
        for place in np.ndindex(*value.shape):
            moved = value.astype(complex)
            moved[place] += 1j * TINY
            slope[place] = loss({**p, name: moved}).imag / TINY
        found[name] = slope
    return found


def jacobian_of_clipped_shplrnn(p: Words, z: Numbers) -> Numbers:
    """diag(A) + W1 diag([W2 z > -h2] - [W2 z > 0]) W2."""
    inner = p["W2"] @ z
    gate = (inner > -p["h2"]).astype(float) - (inner > 0).astype(float)
    return np.asarray(np.diag(p["A"]) + p["W1"] @ np.diag(gate) @ p["W2"])


def largest_singular_value(matrix: Numbers) -> float:
    """The 2-norm."""
    return float(np.linalg.svd(matrix, compute_uv=False)[0])


def norm_estimate(estimate: str, p: Words, states: Numbers) -> float:
    """The norm behind alpha = max(0, 1 - 1 / norm), for states (B, T, M) at which the Jacobians are taken."""
    if estimate == "jacobian_upper_bound":
        return float(abs(p["A"]).max()) + largest_singular_value(p["W1"]) * largest_singular_value(p["W2"])
    found = []
    for sequence in states:
        jacobians = [jacobian_of_clipped_shplrnn(p, z) for z in sequence]
        norms = [largest_singular_value(one) for one in jacobians]
        if estimate == "batch_maximum":
            found.append(max(norms))
        elif estimate == "product_upper_bound":
            found.append(float(np.exp(sum(np.log(norms)) / len(norms))))
        elif estimate == "arithmetic_mean":
            found.append(largest_singular_value(np.sum(jacobians, axis=0) / len(jacobians)))
        else:
            found.append(largest_singular_value(expm(np.sum([logm(one) for one in jacobians], axis=0) / len(norms))))
    return max(found)


def next_alpha(alpha: float, norm: float, decay: float) -> float:
    """Up at once, down slowly."""
    wanted = max(0.0, 1 - 1 / norm)
    return wanted if wanted > alpha else decay * alpha + (1 - decay) * wanted
