"""The recurrence with all pieces between forced rows side by side."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chaos_core.cells.base import Cell
from chaos_core.typing import Floats, Ints

__all__ = ["Pieces", "pieces", "scan", "walk"]


def scan(cell: Cell, p: Mapping[str, Tensor], z0: Tensor, d: Tensor, alpha: Floats, s: Tensor | None = None) -> Tensor:
    """The same as `chaos_core.scan.scan` for masks whose rows are all zeros or all ones, in tau steps instead of T.

    A row of ones replaces the whole state, so nothing before it reaches what follows: the window falls apart into
    segments that start on known states. They run together as one flat batch, (segments x B, M). A segment leaves the
    batch when it ends; it is not run further and cut, since a surplus step that overflows would put 0 * inf = NaN into
    the gradient.

    Args:
        cell, p, z0, d, s: as for the reference.
        alpha: (T, M) numpy; each row but the first all zeros or all ones.

    Returns:
        (B, T, M), equal to the reference to rounding, gradients included.

    Raises:
        ValueError: a row is neither all zeros nor all ones.
    """
    return walk(cell, p, z0, d, pieces(alpha, d.device), s)


@dataclass(frozen=True, eq=False)
class Pieces:
    """A window cut at its forced rows, longest segment first; all that depends on the mask, on the device.

    Args:
        running: for each age how many segments have not ended yet.
        starts: first row of each segment.
        places: the rows of the running segments, one age behind the other.
        in_time: what sorts `places`.
    """

    running: list[int]
    starts: Tensor
    places: Tensor
    in_time: Tensor


def pieces(alpha: Floats, device: torch.device) -> Pieces:
    """The segments of a mask.

    Args:
        alpha: as for `scan`.
        device: where the states are.

    Raises:
        ValueError: a row is neither all zeros nor all ones.
    """
    starts, lengths = _segments(alpha)
    longest_first = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[longest_first], lengths[longest_first]
    rows = [starts[lengths > age] + age for age in range(int(lengths[0]))]
    places = np.concatenate(rows)
    on_device = (torch.as_tensor(index, device=device) for index in (starts, places, np.argsort(places)))
    return Pieces([len(alive) for alive in rows], *on_device)


def walk(cell: Cell, p: Mapping[str, Tensor], z0: Tensor, d: Tensor, window: Pieces, s: Tensor | None = None) -> Tensor:
    """`scan` with the mask as its segments: nothing here waits for the device, so that CUDA can record it."""
    batch, latent = z0.shape
    z = torch.cat((z0[None], d.transpose(0, 1)[1:]))[window.starts].view(-1, latent)
    step, states = cell.bind(p), []
    drives = None if s is None else s.transpose(0, 1)
    for running, places in zip(window.running, torch.split(window.places, window.running), strict=True):
        alive = running * batch
        z = step(z[:alive] if alive < len(z) else z, None if drives is None else drives[places].flatten(0, 1))
        states.append(z)
    return torch.cat(states).view(-1, batch, latent)[window.in_time].transpose(0, 1)


def _segments(alpha: Floats) -> tuple[Ints, Ints]:
    """First row and length of each segment."""
    ones = (alpha == 1.0).all(1)
    if not (ones | (alpha == 0.0).all(1))[1:].all():
        raise ValueError("segments need a mask whose rows are all zeros or all ones")
    ones[0] = True
    starts = np.flatnonzero(ones)
    return starts, np.diff(starts, append=len(alpha))
