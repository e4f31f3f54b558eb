"""The recurrence against hand-written loops, and every torch kernel against the recurrence."""

import numpy as np
import pytest
import torch
from torch import Tensor

from chaos_core import cells
from chaos_core.cells import CELLS, Cell
from chaos_core.cells.plrnn import PLRNN
from chaos_core.forcing import FORCINGS, Forcing
from chaos_core.forcing.generalized import Generalized
from chaos_core.forcing.identity import Identity
from chaos_core.forcing.none import NoForcing
from chaos_core.forcing.sparse import Sparse
from chaos_core.initialise import draw
from chaos_core.kernels import Kernel, choose, segments
from chaos_core.kernels.scans import SCANS
from chaos_core.observation import LinearObservation
from chaos_core.scan import scan
from tests.conformance.kernel_cases import ON_ANY_MACHINE

BATCH, STEPS, LATENT, OBSERVED = 5, 47, 4, 2
SCHEMES: list[Forcing] = [
    Sparse(tau=1),
    Sparse(tau=7),
    Sparse(tau=46),
    Sparse(tau=100),
    NoForcing(),
    Generalized(alpha=1.0),
]


def small(kind: str) -> Cell:
    return CELLS[kind].fill({"latent": LATENT}, observed=LATENT, embedded=False)


def setting(cell: Cell, dtype: torch.dtype = torch.float64) -> tuple[dict[str, Tensor], Tensor]:
    rng = np.random.default_rng(0)
    drawn = draw(cell.parameters() | LinearObservation().parameters(LATENT, OBSERVED), rng)
    p = {
        name: torch.tensor(value + 0.1 * rng.standard_normal(value.shape), dtype=dtype) for name, value in drawn.items()
    }
    if "A" in p:
        p["A"] = 0.5 * p["A"]
    x = torch.tensor(rng.standard_normal((BATCH, STEPS + 1, OBSERVED)), dtype=dtype)
    return {name: value.requires_grad_() for name, value in p.items()}, x


def mask(scheme: Forcing, progress: float = 0.0, latent: int = LATENT) -> np.ndarray:
    return scheme.mask(STEPS, latent, OBSERVED, progress, np.random.default_rng(0))


def drives(cell: Cell) -> Tensor:
    rng = np.random.default_rng(4)
    return torch.tensor(rng.standard_normal((BATCH, STEPS, cell.drive_width)))


def loss_and_gradients(
    kernel: Kernel, cell: Cell, alpha: np.ndarray, *, driven: bool = False
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of sparse forcing by inversion: gradients run through pinv(B) as well."""
    p, x = setting(cell)
    read = LinearObservation()
    d = read.infer(p, x[:, :-1], cell.state_size)
    z = SCANS[kernel](cell, p, d[:, 0], d, alpha, drives(cell) if driven else None)
    (read.predict(p, z, OBSERVED) - x[:, 1:]).square().mean().backward()
    return z.detach(), {name: value.grad for name, value in p.items() if value.grad is not None}


def linear(*eigenvalues: float) -> dict[str, Tensor]:
    """Parameters of a PLRNN that is the diagonal linear map."""
    m = len(eigenvalues)
    a = torch.tensor(eigenvalues, dtype=torch.float64)
    return {"A": a, "W": torch.zeros(m, m, dtype=torch.float64), "h": torch.zeros(m, dtype=torch.float64)}


def test_sparse_forcing_is_the_loop_one_would_write_by_hand() -> None:
    cell, tau = PLRNN(latent=LATENT), 7
    p, x = setting(cell)
    d = LinearObservation().infer(p, x[:, :-1], LATENT)
    z, by_hand = d[:, 0], []
    for t in range(STEPS):
        if t % tau == 0:
            z = d[:, t]
        z = cell.step(p, z)
        by_hand.append(z)
    assert torch.equal(scan(cell, p, d[:, 0], d, mask(Sparse(tau=tau))), torch.stack(by_hand, 1))


def test_identity_forcing_is_the_loop_one_would_write_by_hand() -> None:
    cell, tau = PLRNN(latent=LATENT), 3
    p, x = setting(cell)
    d = torch.cat((x[:, :-1], torch.zeros(BATCH, STEPS, LATENT - OBSERVED, dtype=torch.float64)), 2)
    z, by_hand = d[:, 0], []
    for t in range(STEPS):
        if t % tau == 0:
            z = torch.cat((x[:, t], z[:, OBSERVED:]), 1)
        z = cell.step(p, z)
        by_hand.append(z)
    assert torch.equal(scan(cell, p, d[:, 0], d, mask(Identity(tau=tau))), torch.stack(by_hand, 1))


def test_generalized_forcing_is_the_loop_one_would_write_by_hand() -> None:
    cell = PLRNN(latent=LATENT)
    p, x = setting(cell)
    d = LinearObservation().infer(p, x[:, :-1], LATENT)
    z, by_hand = cell.step(p, d[:, 0]), []
    by_hand.append(z)
    for t in range(1, STEPS):
        z = cell.step(p, (1 - 0.15) * z + 0.15 * d[:, t])
        by_hand.append(z)
    expected = torch.stack(by_hand, 1)
    torch.testing.assert_close(scan(cell, p, d[:, 0], d, mask(Generalized(alpha=0.15))), expected, rtol=0, atol=1e-14)


def test_a_linear_cell_runs_freely_along_its_eigenvalues() -> None:
    cell = PLRNN(latent=2)
    p = linear(0.9, -0.7)
    z0 = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    z = scan(cell, p, z0, torch.full((1, 30, 2), torch.nan, dtype=torch.float64), np.eye(30, 1) @ np.ones((1, 2)))
    powers = torch.arange(1, 31, dtype=torch.float64)[:, None]
    torch.testing.assert_close(z[0], z0 * p["A"] ** powers, rtol=1e-13, atol=0)


def test_the_gradient_of_a_linear_free_run_is_the_power_of_its_eigenvalue() -> None:
    """dz_T / dz_0 = a^T: vanishing below one, exploding above, by hand."""
    for a in (0.9, 1.1):
        p = linear(a)
        z0 = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
        alpha = NoForcing().mask(60, 1, 1, 0.0, np.random.default_rng())
        scan(PLRNN(latent=1), p, z0, torch.zeros(1, 60, 1).double(), alpha)[0, -1].sum().backward()
        assert z0.grad is not None
        assert z0.grad.item() == pytest.approx(a**60, rel=1e-12)


def test_a_run_that_overflows_does_not_poison_what_follows_a_forced_step() -> None:
    cell = PLRNN(latent=2)
    p = linear(1e200, 1e200)
    d = torch.ones(1, 8, 2, dtype=torch.float64)
    for kernel in ON_ANY_MACHINE:
        z = SCANS[kernel](cell, p, d[:, 0], d, Sparse(tau=4).mask(8, 2, 2, 0.0, np.random.default_rng()))
        assert not z[0, 3].isfinite().any()
        assert (z[0, 4] == 1e200).all()


@pytest.mark.parametrize("scheme", SCHEMES, ids=repr)
@pytest.mark.parametrize("kind", sorted(CELLS))
def test_segments_equal_the_reference_in_values_and_all_gradients(kind: str, scheme: Forcing) -> None:
    cell, alpha = small(kind), mask(scheme)
    z, gradients = loss_and_gradients(Kernel.REFERENCE, cell, alpha)
    z_segments, gradients_segments = loss_and_gradients(Kernel.SEGMENTS, cell, alpha)
    torch.testing.assert_close(z_segments, z, rtol=1e-12, atol=1e-12)
    assert set(gradients_segments) == set(cell.parameters()) | {"B"}
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradients_segments[name], gradient, rtol=1e-12, atol=1e-12)


def test_segments_may_have_any_lengths() -> None:
    cell, alpha = small("plrnn"), np.zeros((STEPS, LATENT))
    alpha[[0, 1, 5, 20, 21, 40]] = 1.0
    z, gradients = loss_and_gradients(Kernel.REFERENCE, cell, alpha)
    z_segments, gradients_segments = loss_and_gradients(Kernel.SEGMENTS, cell, alpha)
    torch.testing.assert_close(z_segments, z, rtol=1e-12, atol=1e-12)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradients_segments[name], gradient, rtol=1e-12, atol=1e-12)


def test_a_segment_that_ends_is_not_run_further() -> None:
    """Surplus steps of the short last segment would overflow here and put NaN into the gradient."""
    cell = PLRNN(latent=1)
    p = linear(1.0)
    p["A"].requires_grad_()
    d = torch.ones(1, 9, 1, dtype=torch.float64)
    d[0, 8] = 1e308
    alpha = np.zeros((9, 1))
    alpha[[0, 8]] = 1.0
    segments.scan(cell, {**p, "A": 1.5 * p["A"]}, d[:, 0], d, alpha)[:, :8].sum().backward()
    assert p["A"].grad is not None
    assert p["A"].grad.isfinite().all()


def test_segments_refuse_a_mask_that_keeps_part_of_the_state() -> None:
    p, x = setting(small("plrnn"))
    d = LinearObservation().infer(p, x[:, :-1], LATENT)
    for scheme in (Identity(tau=5), Generalized(alpha=0.3)):
        with pytest.raises(ValueError, match="all zeros or all ones"):
            segments.scan(small("plrnn"), p, d[:, 0], d, mask(scheme))


@pytest.mark.parametrize("kernel", ON_ANY_MACHINE)
def test_the_number_type_of_the_data_is_kept(kernel: Kernel) -> None:
    cell = small("clipped_shplrnn")
    p, x = setting(cell, torch.float32)
    d = LinearObservation().infer(p, x[:, :-1], LATENT)
    z = SCANS[kernel](cell, p, d[:, 0], d, mask(Sparse(tau=6)))
    assert z.dtype == torch.float32
    assert z.shape == (BATCH, STEPS, LATENT)


def test_every_scheme_gets_a_kernel_that_can_run_it() -> None:
    cell = cells.CELLS["plrnn"](latent=LATENT)
    p, x = setting(cell)
    d = LinearObservation().infer(p, x[:, :-1], LATENT)
    for kind in FORCINGS.values():
        scheme = kind.fill({}, tau=5)
        assert choose(None, scheme) is Kernel.NATIVE
        kernel = choose("the cell has no native step", scheme)
        assert kernel is (Kernel.SEGMENTS if scheme.whole_state else Kernel.REFERENCE)
        for progress in (0.0, 0.5):
            assert SCANS[kernel](cell, p, d[:, 0], d, mask(scheme, progress)).shape == (BATCH, STEPS, LATENT)
