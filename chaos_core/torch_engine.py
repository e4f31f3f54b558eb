"""An update of the parameters by torch, with one of its scans, on CPU or GPU."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
import torch

from chaos_core.engine import Array, Batch, DataSlopes, Engine, NativeEngine
from chaos_core.errors import DeviceUnavailable
from chaos_core.initialise import layout
from chaos_core.kernels import Kernel, choose, gpu
from chaos_core.kernels.scans import scan_on
from chaos_core.losses import Ground, Pass, mse
from chaos_core.scan import scan_with_gaps
from chaos_core.spec import Device, Optimiser, Plan
from chaos_core.typing import NumpyParams
from chaos_core.windows import Rows

__all__ = ["TorchEngine", "engine_of"]

log = logging.getLogger(__name__)

OPTIMISERS = {
    Optimiser.ADAM: torch.optim.Adam,
    Optimiser.ADAMW: torch.optim.AdamW,
    Optimiser.RADAM: torch.optim.RAdam,
}


class TorchEngine(Engine):
    """Autograd through a scan, and an optimiser of torch on one flat parameter vector, on CPU or GPU.

    One vector and not a dict of tensors: the optimiser then costs a few operations per update, not a few per tensor.
    """

    def __init__(
        self,
        plan: Plan,
        rows: Rows,
        params: NumpyParams,
        kernel: Kernel,
        device: str,
        slopes: DataSlopes,
    ) -> None:
        self.kernel, self.device, self._plan = kernel, device, plan
        self._scan = scan_on(device, kernel)
        self._dtype = getattr(torch, plan.training.dtype.value)
        self._x = self._tensor(np.nan_to_num(rows.seen))
        self._present = None if rows.complete else torch.as_tensor(rows.present, device=device)
        self._known = None if rows.bridged else torch.as_tensor(np.isfinite(rows.seen), device=device)
        self._u = self._tensor(rows.u) if plan.cell.inputs else None
        self._shapes = layout(plan.cell, plan.observation, rows.x.shape[1])
        flat = np.concatenate([np.asarray(params[name]).ravel() for name in self._shapes])
        self._flat = self._tensor(flat).clone().requires_grad_()
        decay = plan.training.weight_decay
        self._optimiser = OPTIMISERS[plan.training.optimiser]([self._flat], weight_decay=decay)
        self._offsets = torch.arange(plan.training.sequence_length + 1, device=device)
        ground = _ground(plan, rows, slopes, self._tensor)
        self._terms = [(loss.weight, loss.bind(ground)) for loss in plan.losses]

    def _tensor(self, array: Array) -> torch.Tensor:
        return torch.as_tensor(np.asarray(array), dtype=self._dtype, device=self.device)

    def updates(self, batches: Sequence[Batch]) -> list[tuple[float, float]]:
        return [self._update(batch) for batch in batches]

    def _update(self, batch: Batch) -> tuple[float, float]:
        """As for the native step. Parameters that are not finite give a loss that is not: B has no inverse then."""
        self._optimiser.param_groups[0]["lr"] = batch.learning_rate
        self._optimiser.zero_grad()
        if not bool(self._flat.isfinite().all()):
            return float("nan"), float("nan")
        done, error = self._pass(batch)
        whole = error
        for weight, term in self._terms:
            whole = whole + weight * term(done)
        torch.autograd.backward(whole)
        norm = torch.nn.utils.clip_grad_norm_([self._flat], self._plan.training.clip_norm or float("inf"))
        self._optimiser.step()
        self._keep_limits()
        return error.item(), norm.item()

    def _pass(self, batch: Batch) -> tuple[Pass, torch.Tensor]:
        cell, observation = self._plan.cell, self._plan.observation
        rows = torch.as_tensor(batch.starts, device=self.device)[:, None] + self._offsets
        x, p = self._x[rows], self._named()
        present = None if self._present is None else self._present[rows]
        s = None if self._u is None else cell.drive(p, self._u[rows[:, 1:]])
        seen = self._noisy(x[:, :-1], batch.rng)
        d = observation.infer(p, seen, cell.state_size)
        if self._plan.forcing.target == "zero":
            d = torch.zeros_like(d)
        if self._known is None or self._plan.forcing.target == "zero":
            z = self._scan(cell, p, d[:, 0], d, batch.alpha, s)
        else:
            z = scan_with_gaps(cell, observation, p, seen, self._known[rows[:, :-1]], batch.alpha, s)
        predicted = observation.predict(p, z, x.shape[2])
        error = mse(predicted, x[:, 1:], None if present is None else present[:, 1:])
        return Pass(p, x, present, z, predicted, batch.progress, batch.rng), error

    def _noisy(self, x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        level = self._plan.training.input_noise
        return x if not level else x + level * self._tensor(rng.standard_normal(x.shape))

    def _keep_limits(self) -> None:
        limits = self._plan.cell.limits()
        if limits:
            with torch.no_grad():
                p = self._named()
                for name, limit in limits.items():
                    p[name].clamp_(-limit, limit)

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


def _ground(plan: Plan, rows: Rows, slopes: DataSlopes, tensor: Callable[[Array], torch.Tensor]) -> Ground:
    whole = rows.present.all(axis=1)
    exponent = None if plan.lambda_per_step is None else plan.lambda_per_step[0]
    return Ground(plan.cell, plan.observation, rows.x[whole], exponent, slopes, tensor)


def engine_of(plan: Plan, rows: Rows, params: NumpyParams, slopes: DataSlopes, native_refusal: str | None) -> Engine:
    """The fastest engine of a machine that has torch, and perhaps a GPU; the way in is `chaos_core.engine.make_engine`.

    Args:
        plan, rows, params, slopes: see there.
        native_refusal: why the native step cannot do it; None where it can, on the CPU.

    Raises:
        DeviceUnavailable: CUDA was asked for and is not there.
    """
    device = _device(plan.training.device)
    refusal = native_refusal if device == "cpu" else "the native step runs on the CPU"
    gpu_refusal = gpu.refusal(plan.cell, plan.training.dtype.value, device)
    if device != "cpu" and gpu_refusal is not None:
        log.warning("the fused scan is not used: %s", gpu_refusal)
    kernel = choose(refusal, plan.forcing, known=rows.bridged, gpu_refusal=gpu_refusal)
    if kernel is Kernel.NATIVE:
        return NativeEngine(plan, rows, params, slopes)
    return TorchEngine(plan, rows, params, kernel, device, slopes)


def _device(asked: Device) -> str:
    if asked is Device.CUDA and not torch.cuda.is_available():
        raise DeviceUnavailable("the plan asks for CUDA and this machine has none", device=asked.value)
    return "cuda" if asked is not Device.CPU and torch.cuda.is_available() else "cpu"
