"""Chooses what computes the recurrence: native > segments > reference."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeAlias

from torch import Tensor

from chaos_core import scan as reference
from chaos_core.cells.base import Cell
from chaos_core.forcing.base import Forcing
from chaos_core.kernels import segments
from chaos_core.typing import Floats

__all__ = ["SCANS", "Kernel", "Scan", "choose"]

Scan: TypeAlias = Callable[[Cell, Mapping[str, Tensor], Tensor, Tensor, Floats, Tensor | None], Tensor]


class Kernel(StrEnum):
    """What runs a training step; the result of a job names it."""

    NATIVE = "native"
    SEGMENTS = "segments"
    REFERENCE = "reference"


SCANS: dict[Kernel, Scan] = {Kernel.SEGMENTS: segments.scan, Kernel.REFERENCE: reference.scan}


def choose(native_refusal: str | None, forcing: Forcing, *, known: bool = True) -> Kernel:
    """The fastest kernel that can do this training.

    Args:
        native_refusal: why the native step cannot be used (`chaos_core.refusal`), None where it can: it does the
            whole update in one call and is 10 to 200 times faster than the reference.
        forcing: its `whole_state` decides whether the window falls apart into segments (5 to 15 times faster).
        known: whether the state can be forced in every row; segments must know all states that they start on.

    Returns:
        The kernel; all give the same numbers to rounding.
    """
    if native_refusal is None:
        return Kernel.NATIVE
    return Kernel.SEGMENTS if forcing.whole_state and (known or forcing.target == "zero") else Kernel.REFERENCE
