"""An echo state network: a fixed random network driven by the data, and a linear read-out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from chaos_core.baselines.base import Baseline, Forecaster, StateForecaster
from chaos_core.baselines.readout import MOST_NUMBERS, RIDGES, Readout, latest, ridge_readouts, searched
from chaos_core.embedding import Embedding
from chaos_core.errors import TooShort
from chaos_core.series import MIN_ROWS, Scaling
from chaos_core.typing import Floats

__all__ = ["Network", "Reservoir", "drawn_network"]

RADII, LEAKS, GAINS = (0.4, 1.0), (1.0, 0.3), (0.1, 1.0)
FALLBACK_RIDGE = 1e-6


@dataclass(frozen=True, eq=False)
class Network:
    """r_{t} = (1 - leak) r_{t-1} + leak tanh(W r_{t-1} + W_in x_t + b), from r = 0.

    Args:
        w: (L, L) recurrent weights.
        w_in: (L, N) weights of the scaled input.
        bias: (L,).
        leak: share of each state that is new, in (0, 1].
    """

    w: Floats
    w_in: Floats
    bias: Floats
    leak: float

    def step(self, r: Floats, x: Floats) -> Floats:
        """(B, L) and (B, N) -> (B, L)."""
        new: Floats = (1 - self.leak) * r + self.leak * np.tanh(r @ self.w.T + x @ self.w_in.T + self.bias)
        return new

    def driven(self, x: Floats) -> Floats:
        """The states (T, L) along a scaled series (T, N)."""
        states = np.empty((len(x), len(self.bias)))
        r = np.zeros(len(self.bias))
        pushed = x @ self.w_in.T + self.bias
        for t, push in enumerate(pushed):
            states[t] = r = (1 - self.leak) * r + self.leak * np.tanh(self.w @ r + push)
        return states


class Shape(NamedTuple):
    """What is searched of the random network."""

    spectral_radius: float
    leak: float
    input_scaling: float


class Reservoir(Baseline, frozen=True):
    """r_t = (1 - leak) r_{t-1} + leak tanh(W r_{t-1} + W_in x_t + b); x_{t+1} = x_t + W_out [r_t, x_t] + b_out.

    x in units of one standard deviation. W has normal entries, scaled to the spectral radius; W_in and b are uniform
    in +-input_scaling (b breaks the symmetry x -> -x of tanh). Only W_out and b_out are learnt, by ridge regression on
    the states after the washout of each piece. In a free run the forecast takes the place of the data.

    Settings: 300 units keep the fit to seconds. Spectral radius (0.4 or 1), leak (1 or 0.3), input scaling (0.1 or 1)
    and ridge are chosen on the end of the training data unless they are set. No one choice does for all: with leak 1
    and scaling 0.3 the best of three radii learnt Lorenz-63 and not Rossler at dt = 0.1 (D_stsp 13; with scaling 0.1
    0.7). The washout of 100 rows is also what a context must have.

    Source: H. Jaeger, H. Haas (2004), Harnessing nonlinearity: predicting chaotic systems and saving energy in
        wireless communication, doi:10.1126/science.1091277.
    Differs: the increment is read out, not the next row; W is dense; there is no feedback but through the input.
    """

    citation: ClassVar[str] = (
        "Jaeger, Haas (2004), Harnessing nonlinearity: predicting chaotic systems and saving energy in wireless "
        "communication, doi:10.1126/science.1091277"
    )

    kind: Literal["reservoir"] = "reservoir"
    units: int = Field(300, ge=1, le=2000, description="Units of the random network.")
    spectral_radius: float | None = Field(None, gt=0, le=10, description="Of W; null: chosen on held-out data.")
    leak: float | None = Field(None, gt=0, le=1, description="New share of a state; null: chosen on held-out data.")
    input_scaling: float | None = Field(
        None, gt=0, le=100, description="Half-width of input weights and biases; null: chosen on held-out data."
    )
    ridge: float | None = Field(None, gt=0, le=1, description="Penalty per row; null: chosen on held-out data.")
    washout: int = Field(100, ge=1, le=100_000, description="Rows that drive the network before its state counts.")
    seed: int = Field(0, ge=0, description="Of the random weights.")

    def learn(self, pieces: list[Floats], dt: float | None, embedding: Embedding) -> Forecaster:
        """Drives the network along each piece and solves for the read-out."""
        del dt, embedding
        scaling = Scaling.of_rows(*pieces)

        def make(some: Sequence[Floats], settings: Sequence[tuple[Shape, float]]) -> list[StateForecaster]:
            scaled = [scaling.apply(piece) for piece in latest(some, MOST_NUMBERS // self.units)]
            found = []
            for shape in dict.fromkeys(shape for shape, _ in settings):
                network = drawn_network(self.units, len(scaling.mean), *shape, seed=self.seed)
                states, targets = _pairs(network, scaled, self.washout)
                readouts = ridge_readouts(states, targets, [ridge for wanted, ridge in settings if wanted == shape])
                found += _forecasters(network, scaling, readouts, self.washout)
            return found

        shapes = [
            Shape(radius, leak, gain)
            for radius in ((self.spectral_radius,) if self.spectral_radius else RADII)
            for leak in ((self.leak,) if self.leak else LEAKS)
            for gain in ((self.input_scaling,) if self.input_scaling else GAINS)
        ]
        ridges = (self.ridge,) if self.ridge else RIDGES
        fallback = (shapes[0], self.ridge or FALLBACK_RIDGE)
        return searched(pieces, list(product(shapes, ridges)), make, fallback, self.washout)


def drawn_network(
    units: int, channels: int, spectral_radius: float, leak: float, input_scaling: float, *, seed: int
) -> Network:
    """The random network of `Reservoir`; one seed gives the same directions at any radius and scaling."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((units, units))
    w *= spectral_radius / np.abs(np.linalg.eigvals(w)).max()
    drawn = input_scaling * rng.uniform(-1, 1, (units, channels + 1))
    return Network(w, np.ascontiguousarray(drawn[:, 1:]), np.ascontiguousarray(drawn[:, 0]), leak)


def _pairs(network: Network, pieces: Sequence[Floats], washout: int) -> tuple[Floats, Floats]:
    """Features (R, L + N) and increments (R, N) after the washout of each piece."""
    usable = [piece for piece in pieces if len(piece) > washout]
    found = sum(len(piece) - washout for piece in usable)
    if found < MIN_ROWS:
        longest = max(map(len, pieces))
        detail = f"{found} rows after a washout of {washout}; at least {MIN_ROWS} are needed"
        raise TooShort(detail, rows=longest, rows_needed=washout + MIN_ROWS)
    first = washout - 1
    features = [np.concatenate([network.driven(piece), piece], axis=1)[first:-1] for piece in usable]
    return np.concatenate(features), np.concatenate([np.diff(piece[first:], axis=0) for piece in usable])


def _forecasters(
    network: Network, scaling: Scaling, readouts: Sequence[Readout], washout: int
) -> list[StateForecaster]:
    """One for each read-out. Their state is [r, x]: the network after it has seen the present row x, and that row."""
    units = len(network.bias)

    def states(x: Floats) -> Floats:
        scaled = scaling.apply(x)
        return np.concatenate([network.driven(scaled), scaled], axis=1)[washout - 1 :]

    def stepper(readout: Readout) -> Callable[[Floats], Floats]:
        def step(state: Floats) -> Floats:
            x = state[:, units:] + readout(state)
            return np.concatenate([network.step(state[:, :units], x), x], axis=1)

        return step

    def read(state: Floats) -> Floats:
        return scaling.undo(state[:, units:])

    return [StateForecaster(len(scaling.mean), washout, states, stepper(readout), read) for readout in readouts]
