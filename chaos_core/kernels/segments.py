"""The recurrence with all pieces between forced rows side by side."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from chaos_core.cells.base import Cell
from chaos_core.typing import Floats, Ints

__all__ = ["scan"]


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
    starts, lengths = _segments(alpha)
    longest_first = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[longest_first], lengths[longest_first]

    batch, latent = z0.shape
    known = torch.cat((z0[None], d.transpose(0, 1)[1:]))
    z = known[torch.as_tensor(starts, device=d.device)].view(-1, latent)
    step, states, rows = cell.bind(p), [], []
    drives = None if s is None else s.transpose(0, 1)
    for age in range(int(lengths[0])):
        alive = int(np.count_nonzero(lengths > age))
        places = starts[:alive] + age
        drive = None if drives is None else drives[torch.as_tensor(places, device=d.device)].flatten(0, 1)
        z = step(z[: alive * batch] if alive * batch < len(z) else z, drive)
        states.append(z)
        rows.append(places)
    in_time = torch.as_tensor(np.argsort(np.concatenate(rows)), device=d.device)
    return torch.cat(states).view(-1, batch, latent)[in_time].transpose(0, 1)


def _segments(alpha: Floats) -> tuple[Ints, Ints]:
    """First row and length of each segment."""
    ones = (alpha == 1.0).all(1)
    if not (ones | (alpha == 0.0).all(1))[1:].all():
        raise ValueError("segments need a mask whose rows are all zeros or all ones")
    ones[0] = True
    starts = np.flatnonzero(ones)
    return starts, np.diff(starts, append=len(alpha))
