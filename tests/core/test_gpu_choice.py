"""Without CUDA the fused scan is never chosen, and the reason is said; recorded segments, without a GPU."""

import logging
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from chaos_core.cells import CELLS
from chaos_core.cells.lstm import LSTM
from chaos_core.cells.plrnn import PLRNN
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.forcing import FORCINGS
from chaos_core.forcing.none import NoForcing
from chaos_core.forcing.sparse import Sparse
from chaos_core.forcing.windowed import Windowed
from chaos_core.kernels import Kernel, choose, gpu, segments
from chaos_core.kernels.comparison import LARGEST_DEVIATION, deviation
from chaos_core.kernels.graphs import MOST_GRAPHS, REPEATS, GraphedScan, Run
from chaos_core.kernels.scans import SCANS, scan_on
from chaos_core.refusal import scan_refusal
from chaos_core.scan import scan
from chaos_core.typing import Floats
from tests.house.tree import ROOT

CELL = ClippedShPLRNN(latent=3, hidden=10)
LATENT = PLRNN(latent=4)
no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")


def windows(steps: int = 9) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(0)
    p = {name: torch.tensor(0.3 * rng.standard_normal(param.shape)) for name, param in LATENT.weights().items()}
    z0, d, s = (torch.tensor(rng.standard_normal(shape)) for shape in ((2, 4), (2, steps, 4), (2, steps, 4)))
    return {name: value.requires_grad_() for name, value in p.items()}, z0, d.requires_grad_(), s


def forced(*rows: int, steps: int = 9) -> Floats:
    alpha = np.zeros((steps, 4))
    alpha[list(rows)] = 1.0
    return alpha


@no_cuda
@pytest.mark.parametrize(
    ("device", "words"), [("cpu", "the training runs on the CPU"), ("cuda", "this machine has no CUDA")]
)
@pytest.mark.parametrize("kind", sorted(CELLS))
def test_without_cuda_the_fused_scan_is_refused_for_every_cell(kind: str, device: str, words: str) -> None:
    cell = CELLS[kind].fill({}, observed=3, embedded=False)
    why = gpu.refusal(cell, "float32", device)
    assert why == words
    for scheme in FORCINGS.values():
        assert choose("no native step", scheme.fill({}, tau=5), gpu_refusal=why) is not Kernel.GPU
        assert choose("no native step", scheme.fill({}, tau=5)) is not Kernel.GPU


def test_a_gpu_is_chosen_where_nothing_speaks_against_it() -> None:
    for forcing in (Sparse(tau=5), NoForcing(), Windowed(tau=5)):
        assert choose("no native step", forcing, gpu_refusal=None) is Kernel.GPU
    assert choose(None, Sparse(tau=5), gpu_refusal=None) is Kernel.NATIVE
    assert choose("no native step", Sparse(tau=5), known=False, gpu_refusal=None) is Kernel.REFERENCE


def test_what_the_fused_scan_cannot_do_is_told_with_the_reason() -> None:
    assert scan_refusal(CELL, "float32") is None
    assert "LSTM" in str(scan_refusal(LSTM(latent=3), "float32"))
    assert "float64" in str(scan_refusal(CELL, "float64"))
    assert "128 latent units, not 200" in str(scan_refusal(PLRNN(latent=200), "float32"))


def test_a_scan_that_cannot_run_fails_its_trial_and_says_why() -> None:
    assert "failed its trial" in str(gpu.self_test(CELL, "cpu"))


def test_the_engine_loads_no_triton() -> None:
    code = "import sys, chaos_core.engine; print('triton' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_the_deviation_of_a_scan_that_forgets_the_forcing_is_no_rounding() -> None:
    p, z0, d, s = windows()

    def forgetful(cell, p, z0, d, alpha, s):  # type: ignore[no-untyped-def]
        return scan(cell, p, z0, d, np.zeros_like(alpha), s)

    assert deviation(segments.scan, scan, LATENT, p, (z0, d, s), forced(0, 4)) < 1e-12
    assert deviation(forgetful, scan, LATENT, p, (z0, d, s), forced(0, 4)) > LARGEST_DEVIATION
    with torch.no_grad():
        p["A"][0] = torch.nan
    assert np.isnan(deviation(segments.scan, scan, LATENT, p, (z0, d, s), forced(0, 4)))


class Tape:
    """Records nothing: counts how often it was asked, and computes as told."""

    def __init__(self, factor: float = 1.0, error: str = "") -> None:
        self.asked, self._factor, self._error = 0, factor, error

    def __call__(self, run: Run, examples: tuple[Tensor, ...]) -> Run:
        self.asked += 1
        if self._error:
            raise RuntimeError(self._error)
        torch.testing.assert_close(run(*examples), run(*examples))
        return lambda *inputs: self._factor * run(*inputs)


@pytest.mark.parametrize("driven", [False, True])
def test_a_mask_that_repeats_is_recorded_once_and_gives_the_numbers_of_the_segments(driven: bool) -> None:
    tape = Tape()
    graphed = GraphedScan(tape)
    p, z0, d, s = windows()
    for call in range(REPEATS + 3):
        assert tape.asked == (call > REPEATS)
        drive = s * (call + 1) if driven else None
        assert deviation(graphed, scan, LATENT, p, (z0 + call, d, drive), forced(0, 3, 5)) < 1e-12
    assert tape.asked == 1


def test_masks_that_change_are_not_recorded() -> None:
    tape, rng = Tape(), np.random.default_rng(0)
    graphed = GraphedScan(tape)
    p, z0, d, _ = windows(40)
    for _ in range(4 * REPEATS):
        graphed(LATENT, p, z0, d, forced(*rng.integers(0, 40, 5), steps=40))
    assert tape.asked == 0


def test_only_the_latest_graphs_are_kept() -> None:
    tape = Tape()
    graphed = GraphedScan(tape)
    p, z0, d, _ = windows(40)
    for tau in [*range(2, MOST_GRAPHS + 3), 2]:
        for _ in range(REPEATS + 1):
            graphed(LATENT, p, z0, d, forced(*range(0, 40, tau), steps=40))
    assert tape.asked == MOST_GRAPHS + 2
    assert len(graphed._graphs) == MOST_GRAPHS


@pytest.mark.parametrize("tape", [Tape(error="operation not permitted when stream is capturing"), Tape(factor=1.01)])
def test_a_recording_that_fails_or_is_wrong_is_told_and_not_used(tape: Tape, caplog: pytest.LogCaptureFixture) -> None:
    graphed = GraphedScan(tape)
    p, z0, d, _ = windows()
    with caplog.at_level(logging.WARNING):
        for _ in range(3 * REPEATS):
            z = graphed(LATENT, p, z0, d, forced(0, 3))
            assert torch.equal(z, segments.scan(LATENT, p, z0, d, forced(0, 3)))
    assert tape.asked == 1
    assert "no CUDA graphs" in caplog.text


def test_segments_are_recorded_on_cuda_alone() -> None:
    assert isinstance(scan_on("cuda", Kernel.SEGMENTS), GraphedScan)
    for kernel, plain in SCANS.items():
        assert scan_on("cpu", kernel) is plain
