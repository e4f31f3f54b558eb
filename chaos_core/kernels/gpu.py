"""The fused scan as one of the scans, and why it is or is not used. Imports Triton only where there is CUDA."""

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from chaos_core.cells.base import Cell
from chaos_core.initialise import draw
from chaos_core.kernels.comparison import LARGEST_DEVIATION, Windows, deviation
from chaos_core.kernels.gpu_scan import fused_scan
from chaos_core.kernels.shallow import as_shallow
from chaos_core.refusal import scan_refusal
from chaos_core.scan import scan as reference
from chaos_core.typing import Floats

__all__ = ["refusal", "scan"]

TRIED_LANES, TRIED_STEPS = 5, 12


def scan(cell: Cell, p: Mapping[str, Tensor], z0: Tensor, d: Tensor, alpha: Floats, s: Tensor | None = None) -> Tensor:
    """The same as `chaos_core.scan.scan`, in one launch for each direction.

    Args:
        cell: one that `chaos_core.refusal.scan_refusal` knows.
        p, z0, d, alpha, s: as for the reference.

    Returns:
        (B, T, M), equal to the reference to rounding, gradients included.

    Raises:
        ValueError, ModuleNotFoundError: as for `fused_scan`.
    """
    form = as_shallow(cell, {name: value[None] for name, value in p.items()})
    known = torch.cat((z0[:, None], d[:, 1:]), dim=1)
    return fused_scan(form, known[None], alpha, None if s is None else s[None])[0]


def refusal(cell: Cell, dtype: str, device: str) -> str | None:
    """One sentence that says why the fused scan is not used, or None where it is.

    The first question about a cell compiles its programs and compares them with the reference on this very device;
    the answer is kept for as long as the process lives. So a mistake in the kernel, which was written without a GPU at
    hand, or in a compiler, costs speed and not the training.

    Args:
        cell: the equations.
        dtype: of the training, "float32" or "float64".
        device: "cpu" or "cuda".
    """
    if device == "cpu":
        return "the training runs on the CPU"
    if not torch.cuda.is_available():
        return "this machine has no CUDA"
    if find_spec("triton") is None:
        return "Triton is not installed (pip install 'chaos-service[gpu]')"
    return scan_refusal(cell, dtype) or self_test(cell, device)


@cache
def self_test(cell: Cell, device: str) -> str | None:
    """What was wrong when the fused scan was tried on a device, or None where it gave what the reference gives.

    Any error of Triton or CUDA counts: what a driver or a compiler may raise is no list that one could write down.
    """
    rng = np.random.default_rng(0)
    p, windows = drawn(cell, rng, device)
    alpha = rng.choice([0.0, 0.3, 1.0], (TRIED_STEPS, cell.state_size))
    alpha[TRIED_STEPS // 2] = 1.0
    try:
        off = deviation(scan, reference, cell, p, windows, alpha)
    except Exception as error:
        return f"the fused scan failed its trial on this GPU: {type(error).__name__}: {error}"
    if not off <= LARGEST_DEVIATION:
        return f"the fused scan is off by {off:.1e} in its trial on this GPU"
    return None


def drawn(cell: Cell, rng: np.random.Generator, device: str) -> tuple[dict[str, Tensor], Windows]:
    """Parameters and a few windows with z_0, d and s, float32, for a trial; memories are halved: nothing explodes."""

    def tensor(array: Floats) -> Tensor:
        return torch.as_tensor(array, dtype=torch.float32, device=device).requires_grad_()

    params = draw(cell.weights(), rng, (-1.0, 1.0))
    p = {name: tensor(value + 0.05 * rng.standard_normal(value.shape)) for name, value in params.items()}
    shapes = (), (TRIED_STEPS, cell.state_size), (TRIED_STEPS, cell.drive_width)
    z0, d, s = (tensor(rng.standard_normal((TRIED_LANES, *(shape or (cell.state_size,))))) for shape in shapes)
    return p | {"A": tensor(0.5 * params["A"])}, (z0, d, s)
