"""./scripts/bench gpu [--rounds N]: training steps a second of 1, 16, 256 jobs on a GPU, beside CPU cores.

A step is one update of one model: 16 windows of 200 rows, forward, backward, Adam. On CPU cores models are trained by
the native step, one in each thread as `fit_many` does, so that their number makes no difference beyond two; on a GPU
all jobs take their step together.
"""

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import numpy as np
import torch

from chaos_core.kernels import gpu
from chaos_core.kernels.gpu_scan import fused_scan
from chaos_core.kernels.shallow import as_shallow
from chaos_core.native.step import NativeStep
from tests.bench.journal import say
from tests.bench.speed.cases import CLIPPED, RATE, STEPS, Case
from tests.bench.speed.machine import facts, load
from tests.bench.speed.timing import alternate, median_ms
from tests.bench.speed.variants import in_turn, native_step

CASES = CLIPPED[0], CLIPPED[-1]
JOBS = 1, 16, 256
CORES = 1, 2
UPDATES = 8
ROUNDS = 5
LARGEST_DIFFERENCE = 1e-4
"""Between the first loss on the GPU and on the CPU, relative: 200 forced steps in float32."""


class JointTraining:
    """Many trainings of one case that take each step together; job k starts as `case.params(k)`."""

    def __init__(self, case: Case, jobs: int, device: str) -> None:
        self._case, self._alpha = case, case.alpha()
        drawn = [case.params(seed) for seed in range(jobs)]
        self._p = {
            name: torch.tensor(np.stack([params[name] for params in drawn]), device=device, requires_grad=True)
            for name in drawn[0]
        }
        self._x = torch.tensor(case.x, dtype=torch.float32, device=device)
        self._offsets = torch.arange(STEPS + 1, device=device)
        self._optimiser = torch.optim.Adam(self._p.values(), lr=RATE)
        batches = torch.as_tensor(case.starts(UPDATES), device=device)
        self._batches = cycle(batches[:, None].expand(-1, jobs, -1))

    def update(self) -> torch.Tensor:
        """One step of every job on the next batch; the losses before it, (J,)."""
        windows = self._x[next(self._batches)[..., None] + self._offsets]
        self._optimiser.zero_grad()
        z = fused_scan(as_shallow(self._case.cell, self._p), windows[:, :, :-1], self._alpha)
        losses = (z - windows[:, :, 1:]).square().mean((1, 2, 3))
        torch.autograd.backward(losses.sum())
        self._optimiser.step()
        return losses.detach()


def on_cores(case: Case, cores: int) -> Callable[[], object] | str:
    """`UPDATES` updates of one model on each core, or why there is no native step."""
    models = [native_step(case, seed) for seed in range(cores)]
    batches, pool = case.starts(UPDATES), ThreadPoolExecutor(cores)
    for model in models:
        if isinstance(model, str):
            return model
    ready = [model for model in models if isinstance(model, NativeStep)]
    return lambda: list(pool.map(lambda model: in_turn(model, case, batches), ready))


def on_gpu(case: Case, jobs: int) -> Callable[[], object] | str:
    """`UPDATES` updates of all jobs, or why there is no GPU to do them."""
    refusal = gpu.refusal(case.cell, "float32", "cuda")
    if refusal is not None:
        return refusal
    training, first = JointTraining(case, jobs, "cuda"), native_step(case)
    if isinstance(first, NativeStep):
        truth, ours = first.update(case.starts(UPDATES)[0], case.alpha(), RATE)[0], training.update()[0].item()
        if not abs(ours - truth) <= LARGEST_DIFFERENCE * truth:
            return f"WRONG: the first loss is {ours:.6g} on the GPU and {truth:.6g} on the CPU"

    def call() -> None:
        for _ in range(UPDATES):
            training.update()
        torch.cuda.synchronize()

    return call


def rate(way: Callable[[], object] | str, models: int, rounds: int) -> str:
    """Training steps a second, of all models together."""
    if isinstance(way, str):
        return "none"
    return f"{UPDATES * models / median_ms(alternate({'': way}, rounds)['']) * 1e3:.3g}"


def lines(case: Case, rounds: int) -> Iterator[str]:
    """The table of a case."""
    yield f"| {case.name}, jobs | {' | '.join(f'CPU cores: {cores}' for cores in CORES)} | GPU |"
    yield "|---|" + "---|" * (len(CORES) + 1)
    cpu = {cores: rate(on_cores(case, cores), cores, rounds) for cores in CORES}
    reasons = set()
    for jobs in JOBS:
        together = on_gpu(case, jobs)
        reasons |= {together} if isinstance(together, str) else set()
        beside = " | ".join(cpu[min(cores, jobs)] for cores in CORES)
        yield f"| {jobs} | {beside} | {rate(together, jobs, rounds)} |"
    yield from (f"\nnone: {reason}" for reason in sorted(reasons))


def main() -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench gpu", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds, machine = parser.parse_args().rounds, facts()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "there is no GPU (no CUDA on this machine)"
    say(f"{machine['cpu']}, {machine['cores']} cores, kernels {machine['kernels'] or 'none'}; load {load():.2f}")
    say(f"{device}; torch {machine['torch']}; training steps a second of all jobs together, medians of {rounds} rounds")
    for case in CASES:
        say("")
        for line in lines(case, rounds):
            say(line)


if __name__ == "__main__":
    main()
