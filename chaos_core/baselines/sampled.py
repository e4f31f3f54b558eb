"""A recurrent network without gradients: hidden weights drawn from pairs of data points, read-out by regression."""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from chaos_core.baselines.base import Baseline, Forecaster, StateForecaster
from chaos_core.baselines.delays import delay_forecaster, increments
from chaos_core.baselines.readout import MOST_NUMBERS, RIDGES, Readout, latest, ridge_readouts, searched
from chaos_core.embedding import Embedding
from chaos_core.series import Scaling
from chaos_core.typing import Floats

__all__ = ["Sampled", "sampled_weights"]

FALLBACK_RIDGE = 1e-6
CANDIDATES = 10
LEVEL = math.log(3.0)
"""tanh(LEVEL / 2) = 1/2: a hidden unit goes from -1/2 at one point of its pair to 1/2 at the other."""


class Sampled(Baseline, frozen=True):
    """z' = x + W1 tanh(W2 u + b2) + b1, with x the newest row and u the delay coordinates that `fit` is given.

    Each row of W2 with its b2 comes from a pair of training states, see `sampled_weights`; W1 and b1 are solved by
    ridge regression on the increments of x. The map is bounded in each step but not for ever.

    Settings: 300 units forecast clean Lorenz-63 20 steps of 0.01 ahead to 4e-5 of a standard deviation, fitted in two
    seconds. The ridge is chosen on the end of the training data unless it is set.

    Source: E. L. Bolager, A. Cukarska, I. Burak, Z. Monfared, F. Dietrich (2024), Gradient-free training of recurrent
        neural networks, arXiv:2410.23467; the weights: E. L. Bolager, I. Burak, C. Datar, Q. Sun, F. Dietrich (2023),
        Sampling weights of deep neural networks, arXiv:2306.16830.
    Differs: the read-out gives the increment of the observed row; there is no Koopman operator on the hidden units.
    """

    citation: ClassVar[str] = (
        "Bolager, Cukarska, Burak, Monfared, Dietrich (2024), Gradient-free training of recurrent neural networks, "
        "arXiv:2410.23467"
    )

    kind: Literal["sampled"] = "sampled"
    units: int = Field(300, ge=1, le=2000, description="Hidden units.")
    ridge: float | None = Field(None, gt=0, le=1, description="Penalty per row; null: chosen on held-out data.")
    seed: int = Field(0, ge=0, description="Of the pairs that are drawn.")

    def learn(self, pieces: list[Floats], dt: float | None, embedding: Embedding) -> Forecaster:
        """Draws the hidden weights, then solves for the read-out."""
        del dt
        scaling = Scaling.of_rows(*pieces)

        def make(some: Sequence[Floats], ridges: Sequence[float]) -> list[StateForecaster]:
            scaled = [scaling.apply(piece) for piece in latest(some, MOST_NUMBERS // self.units)]
            vectors, targets = increments(scaled, embedding)
            w2, b2 = sampled_weights(vectors, targets, self.units, np.random.default_rng(self.seed))
            readouts = ridge_readouts(np.tanh(vectors @ w2 + b2), targets, ridges)
            return [delay_forecaster(scaling, embedding, _increment(w2, b2, readout)) for readout in readouts]

        ridges = RIDGES if self.ridge is None else (self.ridge,)
        return searched(pieces, ridges, make, FALLBACK_RIDGE, embedding.rows_lost + 1)


def _increment(w2: Floats, b2: Floats, readout: Readout) -> Callable[[Floats], Floats]:
    return lambda u: readout(np.tanh(u @ w2 + b2))


def sampled_weights(inputs: Floats, targets: Floats, units: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Hidden weights and biases from pairs of data points.

    For a pair (u1, u2): w = ln 3 (u2 - u1) / |u2 - u1|^2 and b = -<w, u1> - ln 3 / 2, so that tanh(<w, u> + b) is
    -1/2 at u1 and 1/2 at u2. Pairs are drawn in proportion to |y2 - y1| / |u2 - u1|, the steepness of the target
    between them, out of ten times as many drawn at random.

    Args:
        inputs: (R, D).
        targets: (R, N).
        units: L.
        rng: randomness of the draws.

    Returns:
        (D, L) weights and (L,) biases. Where fewer than L pairs differ, the other units are constant.

    Source: Bolager et al. (2023), Sampling weights of deep neural networks, arXiv:2306.16830.
    """
    first, second = rng.integers(len(inputs), size=(2, CANDIDATES * units))
    apart = ((inputs[second] - inputs[first]) ** 2).sum(axis=1)
    change = np.sqrt(((targets[second] - targets[first]) ** 2).sum(axis=1))
    usable = np.flatnonzero(apart > 0)
    steep = change[usable] / np.sqrt(apart[usable])
    count = min(units, len(usable))
    weights, biases = np.zeros((units, inputs.shape[1])), np.zeros(units)
    if count:
        keys = rng.exponential(size=len(usable)) / np.maximum(steep, 1e-300)
        drawn = usable[np.argsort(keys, kind="stable")[:count]]
        weights[:count] = LEVEL * (inputs[second[drawn]] - inputs[first[drawn]]) / apart[drawn, None]
        biases[:count] = -(weights[:count] * inputs[first[drawn]]).sum(axis=1) - LEVEL / 2
    return np.ascontiguousarray(weights.T), biases
