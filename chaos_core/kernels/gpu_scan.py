"""The fused scan: T steps in one launch per direction, in blocks of jobs x segments x windows, by `gpu_programs`."""

import os
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from chaos_core.kernels.shallow import Shallow
from chaos_core.typing import Floats

__all__ = ["Tiles", "fused_scan", "interpreted"]

LEAST_PRODUCT = 16
"""`tl.dot` takes no fewer units; smaller cells are summed without it."""
MOST_PARTS = 1024
"""Programs that share the rows of a weight gradient: a few for each multiprocessor; more cost memory."""
ROWS = 16


@dataclass(frozen=True)
class Tiles:
    """How a cell is cut for the programs; a power of two each.

    Args:
        lanes: windows in a tile. Few where a cell is tiny, so that a state stays within one warp.
        width: M, padded.
        hidden: hidden units in a tile.
        sums: whether products are sums, since the cell is too small for `tl.dot`.
        warps: 32 threads each.
    """

    lanes: int
    width: int
    hidden: int
    sums: bool
    warps: int

    @property
    def summing_warps(self) -> int:
        """Of a weight gradient, which keeps three sums of a tile's size in registers."""
        return 4 if self.hidden * self.width <= 512 else 8

    @classmethod
    def of(cls, latent: int, hidden: int) -> "Tiles":
        """Chosen so that `ptxas` spills next to nothing for sm_90; not measured, since it has not run on a GPU."""
        width, units = _padded(latent), _padded(hidden)
        if width < LEAST_PRODUCT:
            units = min(units, 256)
            return cls(4, width, units, True, max(1, min(4, units * width // 256)))
        return cls(16, width, max(16, min(units, 4096 // width, 64)), False, 4)


def _padded(size: int) -> int:
    return 1 << (size - 1).bit_length()


def interpreted() -> bool:
    """Whether Triton is told to run its programs in Python, on a CPU: for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def fused_scan(form: Shallow, known: Tensor, alpha: Floats, s: Tensor | None = None) -> Tensor:
    """`chaos_core.scan.scan` for J jobs at once, one launch per direction.

    The window falls apart where a row replaces the whole state: such segments are programs of their own. The walk back
    forms the hidden layer again; only z and the forced states are stored. Gradients of the weights need no order in
    time and are a launch of their own, each program summing into a place of its own, so that equal inputs give equal
    bits.

    Args:
        form: the cells, parameters (J, ...).
        known: (J, B, T, M) inferred states d, with z_0 in row 0.
        alpha: (T, M) numpy in [0, 1], the same for all jobs; row 0 is not looked at.
        s: (J, B, T, M) drive of the external inputs, or None.

    Returns:
        (J, B, T, M): z_1 ... z_T before forcing.

    Raises:
        ValueError: the tensors are neither on CUDA nor is Triton's interpreter on.
        ModuleNotFoundError: Triton is not installed.
    """
    if known.device.type != "cuda" and not interpreted():
        raise ValueError(
            "the fused scan runs on CUDA, and elsewhere in Triton's interpreter alone (TRITON_INTERPRET=1)"
        )
    pulls = np.array(alpha, dtype=np.float64)
    pulls[0] = 1.0
    edges = np.append(np.flatnonzero((pulls == 1.0).all(axis=1)), len(pulls)).astype(np.int32)
    mask = torch.as_tensor(pulls, dtype=known.dtype, device=known.device)
    settings = form.clipped, form.square, torch.as_tensor(edges, device=known.device)
    weights = (form.a, form.w1, form.w2, form.h1, form.h2)
    states: Tensor = _FusedScan.apply(known, mask, s, settings, *weights)  # type: ignore[no-untyped-call]
    return states


class _FusedScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, known: Tensor, mask: Tensor, s: Tensor | None, settings: tuple[bool, float, Tensor], *weights: Tensor
    ) -> Tensor:
        known, a, w1, w2, h1, h2 = (tensor.detach().contiguous() for tensor in (known, *weights))
        drive = known if s is None else s.detach().contiguous()
        clipped, square, edges = settings
        _, lanes, steps, latent = known.shape
        states, forced = torch.empty_like(known), torch.empty_like(known)
        tiles = Tiles.of(latent, h2.shape[-1])
        _programs().forward[_grid(tiles, known, edges)](
            known, mask, drive, a, w1, w2, h1, h2, edges, states, forced, steps, lanes,
            M=latent, L=h2.shape[-1], CLIPPED=clipped, SQUARE=square, DRIVEN=s is not None,
            LANES=tiles.lanes, WIDTH=tiles.width, HIDDEN=tiles.hidden, SUMS=tiles.sums, num_warps=tiles.warps,
        )  # fmt: skip
        ctx.save_for_backward(forced, mask, edges, a, w1, w2, h2)
        ctx.settings, ctx.driven = (clipped, square), s is not None
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        forced, mask, edges, a, w1, w2, h2 = ctx.saved_tensors
        clipped, square = ctx.settings
        _, lanes, steps, latent = forced.shape
        gradient, data_gradient = torch.empty_like(forced), torch.empty_like(forced)
        tiles = Tiles.of(latent, h2.shape[-1])
        _programs().backward[_grid(tiles, forced, edges)](
            given.contiguous(), forced, mask, a, w1, w2, h2, edges, gradient, data_gradient, steps, lanes,
            M=latent, L=h2.shape[-1], CLIPPED=clipped, SQUARE=square,
            LANES=tiles.lanes, WIDTH=tiles.width, HIDDEN=tiles.hidden, SUMS=tiles.sums, num_warps=tiles.warps,
        )  # fmt: skip
        dw1, dw2, dh2 = _weight_gradients(ctx.settings, forced, gradient, (w1, w2, h2))
        da, dh1 = (gradient * forced).sum((1, 2)), gradient.sum((1, 2))
        return data_gradient, None, gradient if ctx.driven else None, None, da, dw1, dw2, dh1, dh2


def _weight_gradients(
    settings: tuple[bool, float], forced: Tensor, gradient: Tensor, weights: tuple[Tensor, Tensor, Tensor]
) -> list[Tensor]:
    """dW1', dW2, dh2 of each job: every program's own sum, then their sum."""
    jobs, lanes, steps, latent = forced.shape
    hidden, rows = weights[2].shape[-1], lanes * steps
    tiles = Tiles.of(latent, hidden)
    blocks = -(-hidden // tiles.hidden)
    parts = max(1, min(-(-rows // (4 * ROWS)), MOST_PARTS // (jobs * blocks)))
    share = -(-rows // (parts * ROWS)) * ROWS
    sums = [tensor.new_empty((jobs, parts, *tensor.shape[1:])) for tensor in weights]
    _programs().weight_gradients[(blocks, parts, jobs)](
        forced, gradient, *weights, *sums, rows, share,
        M=latent, L=hidden, CLIPPED=settings[0], SQUARE=settings[1],
        ROWS=ROWS, WIDTH=tiles.width, HIDDEN=tiles.hidden, SUMS=tiles.sums, num_warps=tiles.summing_warps,
    )  # fmt: skip
    return [tensor.sum(1) for tensor in sums]


def _grid(tiles: Tiles, states: Tensor, edges: Tensor) -> tuple[int, int, int]:
    return -(-states.shape[1] // tiles.lanes), len(edges) - 1, states.shape[0]


def _programs() -> Any:
    """Imported at the first launch: whoever has no GPU shall not need Triton, nor wait for it."""
    return import_module("chaos_core.kernels.gpu_programs")
