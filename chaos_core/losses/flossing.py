"""Gradient flossing: the cell's Lyapunov exponents are pulled to zero, or the largest one to that of the data."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, model_validator

from chaos_core.auto import chosen
from chaos_core.cells.base import MOST_UNITS, Cell
from chaos_core.errors import Inconsistent
from chaos_core.losses.base import Ground, Loss, Pass, Term, torch_of
from chaos_core.losses.rollout import inferred, orbit, refuse_inputs
from chaos_core.observation import Observation
from chaos_core.typing import Params, Tensor

__all__ = ["Flossing", "growth"]

BLOCK = 50
"""Steps whose Jacobians are held at once while an orbit settles."""
SHORTEST, LONGEST = 20, 300
FLOSSED_SHARE = 0.1


class Flossing(Loss, frozen=True):
    """mean over i <= k of lambda_i^2, or ((lambda_1 - target) / target)^2 where a `target` is given.

    lambda_i = mean over `orbits` free orbits of (1 / n) sum_t log |R_ii(t)|, in nats per step: from states of the data
    the cell runs `settle` steps, in which orbits and directions find their place; then n = `steps` Jacobians are
    multiplied onto k = `exponents` directions, made orthogonal by QR every `qr_every` steps.

    Without a target: exponents near zero keep gradients of long windows from exploding or vanishing. It is meant for
    the beginning (`until`): chaos has a positive exponent, and flossing to the end would remove it. With the target
    "auto" the cell's largest exponent is pulled to the data's, since trained cells tend to be too wild.

    Gradients flow through the Jacobians. They also flow through the states of the orbit, after settling, if
    `through_orbit`; that part grows like exp(lambda n) where the cell is chaotic. For rectifier cells there is none,
    because their Jacobian is constant between kinks. Measured on 30 tanh units, 200 updates, norm of the Jacobian
    over 200 steps: a chaotic start went from 1e14 to 5 without that part and to 1e12 with it, a start that falls into
    a fixed point from 1e-45 to 1e-10 without and to 0.1 with it. Towards a target of 0.05, 300 updates of a smooth
    shallow PLRNN brought three starts (-0.37, -0.45, 0.09) to 0.04, 0.05, 0.05 without and -0.06, 0.00, 0.05 with it.
    Orbits that overflow are left out. In trainings of 10 000 updates on twelve flows the target brought the median
    error of the exponent from 24 to 16 % for rectifier cells, from 11 to 30 % for smooth ones, and D_stsp from 0.96 to
    3.7 and from 0.70 to 11 (docs/exponents.md): it does harm there, and `jacobian_matching` does not.

    Source: Engelken (2023), Gradient flossing, NeurIPS 36, arXiv:2312.17306, with its code: mean of the squared
        exponents, directions that settle before they count.
    Differs: gradients stop at the orbit by default; many short orbits from data where the code has one that is
        driven by the task's input; beside the task's loss where the source alternates phases; the target is ours.
    """

    citation: ClassVar[str] = (
        "Engelken (2023), Gradient flossing: improving gradient descent through dynamic control of Jacobians, "
        "arXiv:2312.17306"
    )

    kind: Literal["flossing"] = "flossing"
    weight: float = Field(1.0, gt=0.0, le=1e9, description='Factor; "auto" is 1, with a target 0.01.')
    target: float | None = Field(
        None, gt=0.0, le=100.0, description='Wanted largest exponent, nats per step; null: 0; "auto": the data\'s.'
    )
    exponents: int = Field(1, ge=1, le=MOST_UNITS, description="k, how many of the largest exponents; 1 for a target.")
    orbits: int = Field(64, ge=1, le=4096, description="Free orbits per update that has the term.")
    settle: int = Field(100, ge=0, le=10_000, description='Steps before counting; "auto": 1 / lambda_max, 20 to 300.')
    steps: int = Field(100, ge=1, le=10_000, description='n, steps that count; "auto": 1 / lambda_max, 20 to 300.')
    qr_every: int = Field(5, ge=1, le=100, description="Steps between two QR; fewer where exponents lie far apart.")
    every: int = Field(10, ge=1, le=10_000, description="One update in so many has the term, by lot, as much stronger.")
    start: float = Field(0.0, ge=0.0, lt=1.0, description="Share of the updates from which on it acts.")
    until: float = Field(1.0, gt=0.0, le=1.0, description='Share until which it acts; "auto": 1, or start + 0.1.')
    through_orbit: bool = Field(False, description="Whether gradients flow through the orbit's states too.")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.start >= self.until:
            raise ValueError("start must be less than until")
        if self.target is not None and self.exponents != 1:
            raise ValueError("a target is for the largest exponent alone: exponents must be 1")
        return self

    @classmethod
    def fill(cls, partial: dict[str, Any], *, lambda_max_per_step: float | None) -> Self:
        """A target of "auto" is the data's exponent; without a target the term ends after a tenth of the training.

        `settle` and `steps` are 1 / lambda_max of the data: along a flow one exponent is zero, so directions align no
        faster than exp(-lambda_max t). On the true Jacobians of Lorenz's flow half of that left no bias above its
        error of 5 %; but the exponent of one orbit over 1 / lambda_max steps has a standard deviation of 1.5
        lambda_max, hence 64 orbits, whose mean has 0.19.

        Raises:
            Inconsistent: the target is "auto" and the data are not chaotic, or settings contradict each other.
        """
        words = chosen(partial)
        if "target" not in words and lambda_max_per_step is None:
            raise Inconsistent(
                "the term 'flossing' has the target 'auto', and the data have no positive exponent: "
                "give a number, or null to floss towards zero"
            )
        words.setdefault("target", lambda_max_per_step)
        plain = words["target"] is None
        usual: dict[str, Any] = {"weight": 1.0 if plain else 0.01, "until": 1.0}
        if plain:
            usual["until"] = min(1.0, words.get("start", 0.0) + FLOSSED_SHARE)
        if lambda_max_per_step is not None:
            steps = min(LONGEST, max(SHORTEST, round(1 / lambda_max_per_step)))
            usual |= {"steps": steps, "settle": steps}
        try:
            return cls(**(usual | words))
        except ValidationError as refusal:
            raise Inconsistent(f"the term 'flossing': {refusal.errors()[0]['msg']}") from refusal

    def check(self, cell: Cell, observation: Observation) -> None:
        """Raises Inconsistent for more exponents than the state has numbers, and for external inputs."""
        del observation
        refuse_inputs(self.kind, cell)
        if self.exponents > cell.state_size:
            raise Inconsistent(
                f"the term 'flossing' wants {self.exponents} exponents of a state of {cell.state_size} numbers"
            )

    def bind(self, ground: Ground) -> Term:
        """The exponents on fresh orbits in each update that has the term, zero in the others."""
        self.check(ground.cell, ground.observation)
        rows = ground.tensor(ground.x)

        def term(done: Pass) -> Tensor:
            on = self.start <= done.progress < self.until and done.rng.integers(self.every) == 0
            found = self._exponents(ground, rows, done) if on else None
            if found is None:
                return done.z.new_zeros(())
            away = found if self.target is None else found / self.target - 1
            return self.every * away.square().mean()

        return term

    def _exponents(self, ground: Ground, rows: Tensor, done: Pass) -> Tensor | None:
        """(k,) exponents; None where every orbit overflows."""
        torch = torch_of()
        with torch.no_grad():
            z = inferred(ground, rows, done.p, done.rng, self.orbits)
            start = done.rng.standard_normal((ground.cell.state_size, self.exponents))
            z, q = self._settled(ground.cell, done.p, z, torch.linalg.qr(ground.tensor(start))[0])
        with torch.set_grad_enabled(self.through_orbit):
            states, end = orbit(ground.cell.bind(done.p), z, self.steps)
        alive = end.isfinite().all(-1)
        if not bool(alive.any()):
            return None
        logs, _ = growth(ground.cell.jacobian(done.p, states[:, alive]), q[alive], self.qr_every)
        exponents: Tensor = logs.mean(0) / self.steps
        return exponents

    def _settled(self, cell: Cell, p: Params, z: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        """States and directions after `settle` steps: (B, M) and (B, M, k)."""
        q, step, left = q.expand(len(z), *q.shape), cell.bind(p), self.settle
        while left:
            block = min(BLOCK, left)
            states, z = orbit(step, z, block)
            _, q = growth(cell.jacobian(p, states), q, self.qr_every)
            left -= block
        return z, q


def growth(jacobians: Tensor, q: Tensor, every: int) -> tuple[Tensor, Tensor]:
    """How much products of Jacobians stretch directions, differentiably.

    sum_t log |R_ii(t)| with Q(t) R(t) = J(t) Q(t - 1), where J(t) stands for the product of `every` Jacobians.

    Args:
        jacobians: (n, B, M, M), in order of time.
        q: (B, M, k) orthonormal directions at the start.
        every: Jacobians multiplied before each QR. In float32 two exponents of the k must not differ by more than
            about 10 / every, or the smaller drowns in rounding.

    Returns:
        (B, k) sums of logarithms in nats, and the directions at the end (B, M, k).

    Source: Benettin, Galgani, Giorgilli, Strelcyn (1980), Meccanica 15, 9, doi:10.1007/BF02128236.
    """
    torch = torch_of()
    total = q.new_zeros((q.shape[0], q.shape[2]))
    for t, jacobian in enumerate(jacobians, 1):
        q = jacobian @ q
        if t % every == 0 or t == len(jacobians):
            q, r = torch.linalg.qr(q)
            total = total + r.diagonal(dim1=-2, dim2=-1).abs().log()
    return total, q
