"""What does one update of the parameters: the native step, or torch with one of the scans."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from chaos_core.cells import Cell
from chaos_core.errors import DeviceUnavailable
from chaos_core.kernels import SCANS, Kernel, choose
from chaos_core.kernels.fused import NativeStep, supports
from chaos_core.losses import mse
from chaos_core.observation import Observation
from chaos_core.spec import Device, Optimiser, Plan
from chaos_core.typing import Floats, Ints, NumpyParams, Param

__all__ = ["Engine", "NativeEngine", "TorchEngine", "make_engine"]

Array = npt.NDArray[Any]
OPTIMISERS = {Optimiser.ADAM: torch.optim.Adam, Optimiser.RADAM: torch.optim.RAdam}


class Engine(ABC):
    """Abstract: parameters and optimiser state of one training, as flat arrays, and the update."""

    kernel: Kernel
    device: str

    @abstractmethod
    def update(self, starts: Ints, alpha: Floats, learning_rate: float) -> tuple[float, float]:
        """One update on the windows that start at rows `starts`; returns (loss, gradient norm before clipping)."""

    @abstractmethod
    def arrays(self) -> tuple[Array, Array, Array]:
        """Copies of the flat parameters and of both moments."""

    @abstractmethod
    def restore(self, flat: Array, first_moment: Array, second_moment: Array, iteration: int) -> None:
        """Goes to a state that `arrays` gave, `iteration` updates after the optimiser's start."""


class NativeEngine(Engine):
    """The whole update in one native call, on the CPU."""

    kernel = Kernel.NATIVE
    device = "cpu"

    def __init__(self, plan: Plan, x: Floats, params: NumpyParams) -> None:
        training = plan.training
        self._step = NativeStep(
            plan.cell,
            np.ascontiguousarray(x, training.dtype.value),
            params,
            optimiser=training.optimiser.value,
            clip_norm=training.clip_norm or None,
        )

    def update(self, starts: Ints, alpha: Floats, learning_rate: float) -> tuple[float, float]:
        return self._step.update(starts, alpha, learning_rate)

    def arrays(self) -> tuple[Array, Array, Array]:
        return self._step.flat.copy(), self._step.first_moment.copy(), self._step.second_moment.copy()

    def restore(self, flat: Array, first_moment: Array, second_moment: Array, iteration: int) -> None:
        self._step.flat[:] = flat
        self._step.first_moment[:] = first_moment
        self._step.second_moment[:] = second_moment
        self._step.iteration = iteration


class TorchEngine(Engine):
    """Autograd through a scan, and an optimiser of torch on one flat parameter vector, on CPU or GPU.

    One vector and not a dict of tensors: the optimiser then costs a few operations per update, not a few per tensor.
    """

    def __init__(self, plan: Plan, x: Floats, params: NumpyParams, kernel: Kernel, device: str) -> None:
        self.kernel, self.device = kernel, device
        self._cell, self._observation, self._clip = plan.cell, plan.observation, plan.training.clip_norm or None
        self._scan = SCANS[kernel]
        dtype = getattr(torch, plan.training.dtype.value)
        self._x = torch.as_tensor(x, dtype=dtype, device=device)
        self._shapes = layout(plan.cell, plan.observation, x.shape[1])
        flat = np.concatenate([np.asarray(params[name]).ravel() for name in self._shapes])
        self._flat = torch.tensor(flat, dtype=dtype, device=device, requires_grad=True)
        self._optimiser = OPTIMISERS[plan.training.optimiser]([self._flat])
        self._offsets = torch.arange(plan.training.sequence_length + 1, device=device)

    def update(self, starts: Ints, alpha: Floats, learning_rate: float) -> tuple[float, float]:
        """As for the native step. Parameters that are not finite give a loss that is not: B has no inverse then."""
        self._optimiser.param_groups[0]["lr"] = learning_rate
        self._optimiser.zero_grad()
        if not bool(self._flat.isfinite().all()):
            return float("nan"), float("nan")
        loss = self._loss(starts, alpha)
        loss.backward()  # type: ignore[no-untyped-call]
        largest = float("inf") if self._clip is None else self._clip
        norm = torch.nn.utils.clip_grad_norm_([self._flat], largest)
        self._optimiser.step()
        return loss.item(), norm.item()

    def _loss(self, starts: Ints, alpha: Floats) -> torch.Tensor:
        rows = torch.as_tensor(starts, device=self.device)[:, None] + self._offsets
        window = self._x[rows]
        p = self._named()
        d = self._observation.infer(p, window[:, :-1], self._cell.state_size)
        z = self._scan(self._cell, p, d[:, 0], d, alpha)
        return mse(self._observation.predict(p, z, window.shape[2]), window[:, 1:])

    def _named(self) -> dict[str, torch.Tensor]:
        parts = torch.split(self._flat, [param.size for param in self._shapes.values()])
        return {name: part.view(param.shape) for (name, param), part in zip(self._shapes.items(), parts, strict=True)}

    def arrays(self) -> tuple[Array, Array, Array]:
        held = self._optimiser.state[self._flat]
        moments = (held.get(name, torch.zeros_like(self._flat)) for name in ("exp_avg", "exp_avg_sq"))
        flat, first, second = (tensor.detach().cpu().numpy().copy() for tensor in (self._flat, *moments))
        return flat, first, second

    def restore(self, flat: Array, first_moment: Array, second_moment: Array, iteration: int) -> None:
        with torch.no_grad():
            self._flat.copy_(torch.as_tensor(flat))
        first, second = (torch.as_tensor(m).to(self._flat, copy=True) for m in (first_moment, second_moment))
        held = {"step": torch.tensor(float(iteration)), "exp_avg": first, "exp_avg_sq": second}
        self._optimiser.state[self._flat] = held


def layout(cell: Cell, observation: Observation, observed: int) -> dict[str, Param]:
    """Shapes of all parameters in the order of the flat vector: the cell's, then the observation's."""
    return cell.parameters() | observation.parameters(cell.latent, observed)


def make_engine(plan: Plan, x: Floats, params: NumpyParams) -> Engine:
    """The fastest engine for a plan on this machine.

    Args:
        plan: its `training.device` "auto" takes CUDA where it is there, else the CPU.
        x: (R, N * dim) scaled rows.
        params: start values by name.

    Raises:
        DeviceUnavailable: CUDA was asked for and is not there.
    """
    device = _device(plan.training.device)
    refusal = supports(plan.cell, plan.observation, plan.training.dtype.value)
    if device != "cpu":
        refusal = "the native step runs on the CPU"
    kernel = choose(refusal, plan.forcing)
    if kernel is Kernel.NATIVE:
        return NativeEngine(plan, x, params)
    return TorchEngine(plan, x, params, kernel, device)


def _device(asked: Device) -> str:
    if asked is Device.CUDA and not torch.cuda.is_available():
        raise DeviceUnavailable("the plan asks for CUDA and this machine has none", device=asked.value)
    return "cuda" if asked is not Device.CPU and torch.cuda.is_available() else "cpu"
