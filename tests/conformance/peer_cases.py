"""Weights and data that peers and we share, our run of them, and how far two runs lie apart.

`tests/core/peers/cells.json` keeps what the peers' own modules gave on these cases, so that no clone is needed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

import numpy as np
import torch
from pydantic import TypeAdapter

from chaos_core.cells import AnyCell, Cell
from chaos_core.forcing import AnyForcing, Forcing
from chaos_core.observation import AnyObservation, IdentityObservation, Observation
from chaos_core.scan import scan
from chaos_core.typing import Floats

BATCH, STEPS = 3, 13
Arrays: TypeAlias = dict[str, Floats]
Tensors: TypeAlias = dict[str, torch.Tensor]


def kind_of(part: Cell | Observation | Forcing) -> str:
    """Its key in the registry."""
    return str(part.model_dump()["kind"])


@dataclass(frozen=True)
class Case:
    """One cell under one forcing.

    Args:
        cell, observation, forcing: the parts.
        observed: N, channels.
        seed: of weights and data.
        start: "data" for the inferred first state, "zero" for zeros.
        drawn: the interval that the peer drew, where the forcing draws one.
    """

    cell: Cell
    observation: Observation
    forcing: Forcing
    observed: int
    seed: int
    start: str = "data"
    drawn: int | None = None

    @classmethod
    def read(cls, words: Mapping[str, object]) -> "Case":
        """A case from its JSON words."""
        return cls(
            TypeAdapter(AnyCell).validate_python(words["cell"]),
            TypeAdapter(AnyObservation).validate_python(words["observation"]),
            TypeAdapter(AnyForcing).validate_python(words["forcing"]),
            int(str(words["observed"])),
            int(str(words["seed"])),
            str(words.get("start", "data")),
            None if words.get("drawn") is None else int(str(words["drawn"])),
        )

    def weights(self) -> Arrays:
        """Even in +-1/sqrt(M), in the order in which cell and observation declare them.

        RandomState is old, but its stream is promised never to change.
        """
        rng, width = np.random.RandomState(self.seed), self.cell.latent**-0.5
        declared = self.cell.parameters() | self.observation.parameters(self.cell.latent, self.observed)
        return {name: rng.uniform(-width, width, param.shape) for name, param in declared.items()}

    def data(self) -> Floats:
        """(B, T + 1, N), even in +-1.5."""
        return np.random.RandomState(self.seed + 1000).uniform(-1.5, 1.5, (BATCH, STEPS + 1, self.observed))

    def mask(self) -> Floats:
        """(T, M) of the forcing; where it draws, the first of its draws that has the peer's interval."""
        sizes = (STEPS, self.cell.state_size, self.observed)
        masks = (self.forcing.mask(*sizes, 0.0, np.random.default_rng(seed)) for seed in count())
        return next(alpha for alpha in masks if self.drawn in (None, alpha[1:, 0].argmax() + 1))


@dataclass(frozen=True, eq=False)
class Run:
    """What a forward and a backward pass give.

    Args:
        z: (B, T, M) units that are read out, before forcing.
        x: (B, T, N) predictions.
        loss: mean squared error against rows 1 to T of the data.
        gradients: of the loss, by parameter.
    """

    z: Floats
    x: Floats
    loss: float
    gradients: Arrays


Signals: TypeAlias = Callable[[Case, Tensors, torch.Tensor], torch.Tensor]


def inferred(of: Case, p: Tensors, x: torch.Tensor) -> torch.Tensor:
    """Forcing signals as the project makes them: the states inferred from the data, zeros for restarts from zero."""
    d = of.observation.infer(p, x, of.cell.state_size)
    return torch.zeros_like(d) if of.forcing.target == "zero" else d


def frozen(of: Case, p: Tensors, x: torch.Tensor) -> torch.Tensor:
    """The same without a gradient."""
    return inferred(of, p, x).detach()


def padded(of: Case, p: Tensors, x: torch.Tensor) -> torch.Tensor:
    """The data, and zero for each hidden unit."""
    return IdentityObservation(hidden_start="zeros").infer({}, x, of.cell.state_size)


def ours(of: Case, signals: Signals = inferred) -> Run:
    """Our cell, observation, mask and scan on a case; `signals` stands in for how a peer makes its forcing signals."""
    p = {name: torch.tensor(value, requires_grad=True) for name, value in of.weights().items()}
    x = torch.tensor(of.data())
    z0 = of.observation.infer(p, x[:, 0], of.cell.state_size)
    if of.start == "zero" or of.forcing.target == "zero":
        z0 = torch.zeros_like(z0)
    z = scan(of.cell, p, z0, signals(of, p, x[:, :-1]), of.mask())
    predicted = of.observation.predict(p, z, of.observed)
    loss = (predicted - x[:, 1:]).square().mean()
    loss.backward()
    gradients = {name: np.zeros(v.shape) if v.grad is None else v.grad.numpy() for name, v in p.items()}
    seen = z.detach().numpy()[..., : of.cell.latent]
    return Run(seen, predicted.detach().numpy(), loss.item(), gradients)


def spelled(peer: str, of: Case, p: Mapping[str, Floats], *, slopes: bool = True) -> Arrays:
    """Our parameters, or with `slopes` their gradients, under the peer's names and in its parametrisation.

    chaosrnn, dend: A is the diagonal of AW and W the rest; thresholds are added, so that thetas = -H.
    torch.nn's two biases are both ours as slopes, and share ours as values; its input weights see zeros.
    alrnn, dynamix: the hidden units' start is a part of a larger B, whose other columns are overwritten by the data.
    """
    n = of.observed
    kind = kind_of(of.cell)
    if peer in ("alrnn", "dynamix"):
        own = {name: value for name, value in p.items() if name != "L"}
        return own | {"B": np.concatenate([np.zeros((n, n)), p["L"].T], axis=1)}
    read_out = {"output": p["B"]} if "B" in p else {"start": p["L"]}
    if kind in ("rnn", "lstm"):
        share = 1.0 if slopes else 0.5
        biases = {"bias_ih_l0": share * p["b"], "bias_hh_l0": share * p["b"]}
        return {"weight_ih_l0": np.zeros((len(p["b"]), n)), "weight_hh_l0": p["W"]} | biases | read_out
    matrix = p["W"] - np.diag(np.diag(p["W"])) + np.diag(p["A"])
    branches = {"alphas": p["alpha"], "thetas": -p["H"]} if "H" in p else {}
    return {"AW": matrix, "h": p["h"]} | branches | read_out


@dataclass(frozen=True)
class Deviation:
    """Largest differences, relative to the largest entry: of z, x and the loss, and of each parameter's gradient."""

    trajectory: float
    gradients: float


def apart(found: Run, truth: Run) -> Deviation:
    """How far two runs lie apart; their gradients must have the same names."""
    assert set(found.gradients) == set(truth.gradients)
    pairs = [(found.z, truth.z), (found.x, truth.x), (np.array(found.loss), np.array(truth.loss))]
    slopes = max(_relative(found.gradients[name], slope) for name, slope in truth.gradients.items())
    return Deviation(max(_relative(*pair) for pair in pairs), slopes)


def _relative(found: Floats, truth: Floats) -> float:
    assert found.shape == truth.shape
    largest = float(np.abs(truth).max())
    return float(np.abs(found - truth).max()) / (largest if largest > 0 else 1.0)
