"""Trainings that take the fused scan do the updates of the reference; on a GPU the engine chooses it by itself."""

import numpy as np
import pytest
import torch

from chaos_core.analysis import Analysis, analyse
from chaos_core.engine import Batch, Engine, make_engine
from chaos_core.initialise import draw, layout
from chaos_core.kernels import Kernel
from chaos_core.kernels.gpu_scan import interpreted
from chaos_core.planning import plan
from chaos_core.spec import Plan, Spec
from chaos_core.systems import lorenz63
from chaos_core.torch_engine import TorchEngine
from chaos_core.typing import Floats
from chaos_core.windows import Rows

pytest.importorskip("triton")
CUDA = torch.cuda.is_available() and not interpreted()
if not CUDA and not interpreted():
    pytest.skip("no CUDA, and TRITON_INTERPRET is not 1", allow_module_level=True)

UPDATES, STEPS = 5, 12
CELLS = [
    {"cell": {"kind": "clipped_shplrnn", "hidden": 8, "smoothing": 0.1, "bounded": True}, "losses": []},
    {"cell": {"kind": "plrnn", "latent": 5}, "losses": [{"kind": "manifold"}]},
]


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(lorenz63(1500))


def no_slopes() -> tuple[Floats, Floats]:
    raise AssertionError("nothing asked for the Jacobians of the data")


def losses_of(engine: Engine, the_plan: Plan) -> list[tuple[float, float]]:
    """(squared error, gradient norm) of a few updates."""
    rng, width = np.random.default_rng(2), the_plan.cell.state_size
    masks = [the_plan.forcing.mask(STEPS, width, 3, k / UPDATES, rng) for k in range(UPDATES)]
    return [engine.updates([Batch(rng.integers(0, 99, 4), mask, 1e-2, 0.0, rng)])[0] for mask in masks]


@pytest.mark.parametrize("parts", CELLS, ids=lambda parts: parts["cell"]["kind"])
def test_updates_by_the_fused_scan_are_those_of_the_reference(parts: dict[str, object], analysis: Analysis) -> None:
    """float32: rounding of 1e-7 a step, carried on by five updates."""
    training = {"sequence_length": STEPS, "batch_size": 4, "device": "auto" if CUDA else "cpu", "clip_norm": 0.5}
    the_plan = plan(Spec.model_validate({**parts, "training": training}), analysis)
    x = np.random.default_rng(0).standard_normal((200, 3))
    rows = Rows(x, (0, 200), np.zeros((200, 0)), x)
    params = draw(layout(the_plan.cell, the_plan.observation, 3), np.random.default_rng(1), (-1.0, 1.0))
    twin = TorchEngine(the_plan, rows, params, Kernel.REFERENCE, "cpu", no_slopes)
    if CUDA:
        engine = make_engine(the_plan, rows, params, no_slopes)
    else:
        engine = TorchEngine(the_plan, rows, params, Kernel.GPU, "cpu", no_slopes)
    assert engine.kernel is Kernel.GPU
    np.testing.assert_allclose(losses_of(engine, the_plan), losses_of(twin, the_plan), rtol=1e-4)
    np.testing.assert_allclose(engine.arrays()[0], twin.arrays()[0], rtol=0, atol=1e-4)
