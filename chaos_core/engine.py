"""What does one update of the parameters: the native step here, or torch in `torch_engine`, loaded where it is used."""

import ctypes
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from chaos_core.kernels import Kernel
from chaos_core.kernels.fused import native_step
from chaos_core.losses.jacobian import JacobianMatching
from chaos_core.native.matching import Matching
from chaos_core.refusal import native_refusal
from chaos_core.spec import Device, Plan
from chaos_core.typing import Floats, Ints, NumpyParams
from chaos_core.windows import Rows

__all__ = ["Batch", "DataSlopes", "Engine", "NativeEngine", "has_cuda_driver", "make_engine", "why_torch"]

Array = npt.NDArray[Any]
DataSlopes: TypeAlias = Callable[[], tuple[Floats, Floats]]
CUDA_DRIVERS = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}


@dataclass(frozen=True, eq=False)
class Batch:
    """What one update is made of.

    Args:
        starts: (B,) first rows of the windows.
        alpha: (T, M) mask of the forcing.
        learning_rate: of this update.
        progress: updates done / updates planned, in [0, 1).
        rng: randomness of noise and losses that draw while they are computed.
        points: what `Engine.draw` gave.
    """

    starts: Ints
    alpha: Floats
    learning_rate: float
    progress: float
    rng: np.random.Generator
    points: Ints | None = None


class Engine(ABC):
    """Abstract: parameters and optimiser state of one training, as flat arrays, and the update."""

    kernel: Kernel
    device: str
    at_once: int = 1
    """Updates that it is worth giving to one call."""

    def draw(self, rng: np.random.Generator) -> Ints | None:
        """What an update draws for itself, right after its batch: so that the numbers do not depend on the calls."""
        del rng
        return None

    @abstractmethod
    def updates(self, batches: Sequence[Batch]) -> list[tuple[float, float]]:
        """(squared error, gradient norm before clipping) of each update; the first that is not finite ends the list."""

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
    at_once = 64

    def __init__(self, plan: Plan, rows: Rows, params: NumpyParams, slopes: DataSlopes) -> None:
        training = plan.training
        self._matched = next((loss for loss in plan.losses if isinstance(loss, JacobianMatching)), None)
        self._targets = None if self._matched is None else Matching(*slopes(), self._matched.weight)
        self._step = native_step(
            plan.cell,
            np.ascontiguousarray(rows.x, training.dtype.value),
            params,
            observation=plan.observation,
            losses=plan.losses,
            u=np.ascontiguousarray(rows.u, training.dtype.value) if plan.cell.inputs else None,
            seen=None if rows.complete else np.ascontiguousarray(rows.seen, training.dtype.value),
            matching=self._targets,
            optimiser=training.optimiser.value,
            weight_decay=training.weight_decay,
            clip_norm=training.clip_norm or None,
        )

    def draw(self, rng: np.random.Generator) -> Ints | None:
        if self._matched is None or self._targets is None:
            return None
        return rng.integers(0, len(self._targets.points), self._matched.points)

    def updates(self, batches: Sequence[Batch]) -> list[tuple[float, float]]:
        points = [batch.points for batch in batches if batch.points is not None]
        losses, norms = self._step.updates(
            np.stack([batch.starts for batch in batches]),
            [batch.alpha for batch in batches],
            [batch.learning_rate for batch in batches],
            np.stack(points) if points else None,
        )
        return list(zip(losses.tolist(), norms.tolist(), strict=True))

    def arrays(self) -> tuple[Array, Array, Array]:
        return self._step.flat.copy(), self._step.first_moment.copy(), self._step.second_moment.copy()

    def restore(self, flat: Array, first_moment: Array, second_moment: Array, iteration: int) -> None:
        self._step.flat[:] = flat
        self._step.first_moment[:] = first_moment
        self._step.second_moment[:] = second_moment
        self._step.iteration = iteration


def make_engine(plan: Plan, rows: Rows, params: NumpyParams, slopes: DataSlopes) -> Engine:
    """The fastest engine for a plan on this machine.

    torch takes a second and a few hundred MB to load, and a native training needs none of it: so it is imported only
    where it does the work, or where there may be a GPU to ask it for.

    Args:
        plan: its `training.device` "auto" takes CUDA where it is there, else the CPU.
        rows: the training piece.
        params: start values by name.
        slopes: see `losses.Ground`.

    Raises:
        DeviceUnavailable: CUDA was asked for and is not there.
    """
    refusal = why_torch(plan)
    if refusal is None and not _may_be_cuda(plan.training.device):
        return NativeEngine(plan, rows, params, slopes)
    return cast(Engine, import_module("chaos_core.torch_engine").engine_of(plan, rows, params, slopes, refusal))


def why_torch(plan: Plan) -> str | None:
    """One sentence that says why torch has to do a plan, or None where the native step can: see `native_refusal`."""
    parts = plan.cell, plan.observation, plan.forcing, plan.losses
    return native_refusal(*parts, observed=plan.observed, input_noise=plan.training.input_noise)


def _may_be_cuda(asked: Device) -> bool:
    return has_cuda_driver() if asked is Device.AUTO else asked is Device.CUDA


def has_cuda_driver() -> bool:
    """Whether the driver's library can be loaded: without it there is no GPU, with it there may be one."""
    driver = CUDA_DRIVERS.get(sys.platform)
    if driver is None:
        return False
    try:
        ctypes.CDLL(driver)
    except OSError:
        return False
    return True
