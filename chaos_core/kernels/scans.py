"""What runs the recurrence in torch."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from torch import Tensor

from chaos_core import scan as reference
from chaos_core.cells.base import Cell
from chaos_core.kernels import Kernel, segments
from chaos_core.typing import Floats

__all__ = ["SCANS", "Scan"]

Scan: TypeAlias = Callable[[Cell, Mapping[str, Tensor], Tensor, Tensor, Floats, Tensor | None], Tensor]

SCANS: dict[Kernel, Scan] = {Kernel.SEGMENTS: segments.scan, Kernel.REFERENCE: reference.scan}
