"""CUDA graphs for the segmented form: its launches are recorded once for a mask, and replayed. Has not run on a GPU."""

import logging
from collections.abc import Callable, Hashable, Mapping
from typing import TypeAlias, cast

import torch
from torch import Tensor

from chaos_core.cells.base import Cell
from chaos_core.kernels import segments
from chaos_core.kernels.comparison import LARGEST_DEVIATION, Scan, deviation
from chaos_core.typing import Floats

__all__ = ["GraphedScan", "Recorder", "record_on_cuda"]

log = logging.getLogger(__name__)

REPEATS = 5
"""A mask that came so often in a row is worth recording, which takes as long as a dozen updates. Annealed forcing
keeps a mask for a while; forcing with jitter never repeats one, and is never recorded."""
MOST_GRAPHS = 4
"""Each keeps the memory of its own run."""

Run: TypeAlias = Callable[..., Tensor]
Recorder: TypeAlias = Callable[[Run, tuple[Tensor, ...]], Run]
"""Takes a function of tensors and example arguments; returns what computes the same on tensors of the same shapes."""


def record_on_cuda(run: Run, examples: tuple[Tensor, ...]) -> Run:
    """Both directions as CUDA graphs. Results are overwritten by the next run, as a training wants it."""
    return cast(Run, torch.cuda.make_graphed_callables(run, examples, allow_unused_input=True))


class GraphedScan:
    """`segments.scan` with recorded launches, for one training: a scan with a memory.

    A launch costs the host some microseconds, and a window has a dozen of them in each of tau steps and directions; in
    a graph they follow each other without the host. Only the recurrence is recorded: inference by the pseudo-inverse
    asks the device for its answer, which a graph cannot, and loss and optimiser are a few launches.

    Recording that fails, or a graph that gives other numbers than the segments, is told in the log, and the training
    goes on without.
    """

    def __init__(self, record: Recorder = record_on_cuda) -> None:
        self._record: Recorder | None = record
        self._graphs: dict[Hashable, Scan] = {}
        self._last: Hashable = None
        self._repeats = 0

    def __call__(
        self, cell: Cell, p: Mapping[str, Tensor], z0: Tensor, d: Tensor, alpha: Floats, s: Tensor | None = None
    ) -> Tensor:
        """As for `segments.scan`."""
        key = cell, alpha.tobytes(), d.shape, z0.requires_grad, d.requires_grad, s is None
        self._repeats = self._repeats + 1 if key == self._last else 1
        self._last = key
        if key not in self._graphs and self._record is not None and self._repeats > REPEATS:
            self._keep(key, self._record, (cell, p, z0, d, alpha, s))
        return self._graphs.get(key, segments.scan)(cell, p, z0, d, alpha, s)

    def _keep(
        self,
        key: Hashable,
        record: Recorder,
        given: tuple[Cell, Mapping[str, Tensor], Tensor, Tensor, Floats, Tensor | None],
    ) -> None:
        cell, p, z0, d, alpha, s = given
        try:
            graph = _recorded(record, *given)
            own = {name: p[name] for name in cell.weights()}
            off = deviation(graph, segments.scan, cell, own, (z0, d, s), alpha)
        except RuntimeError as error:
            self._record = None
            log.warning("no CUDA graphs: recording failed: %s", error)
            return
        if not off <= LARGEST_DEVIATION:
            self._record = None
            log.warning("no CUDA graphs: the first one is off by %.1e", off)
            return
        if len(self._graphs) == MOST_GRAPHS:
            del self._graphs[next(iter(self._graphs))]
        self._graphs[key] = graph


def _recorded(
    record: Recorder, cell: Cell, p: Mapping[str, Tensor], z0: Tensor, d: Tensor, alpha: Floats, s: Tensor | None
) -> Scan:
    names = list(cell.weights())
    window = segments.pieces(alpha, d.device)

    def run(z0: Tensor, d: Tensor, *rest: Tensor) -> Tensor:
        drive = rest[len(names)] if len(rest) > len(names) else None
        return segments.walk(cell, dict(zip(names, rest, strict=False)), z0, d, window, drive)

    def tensors(p: Mapping[str, Tensor], z0: Tensor, d: Tensor, s: Tensor | None) -> tuple[Tensor, ...]:
        return z0, d, *(p[name] for name in names), *(() if s is None else (s,))

    examples = [part.detach().clone().requires_grad_(part.requires_grad) for part in tensors(p, z0, d, s)]
    graph = record(run, tuple(examples))
    return lambda _cell, p, z0, d, _alpha, s: graph(*tensors(p, z0, d, s))
