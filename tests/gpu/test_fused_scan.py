"""The fused scan equals the reference: on a GPU where there is one, else in Triton's interpreter. `./scripts/gpu`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chaos_core.cells import CELLS, Cell
from chaos_core.cells.shplrnn import ClippedShPLRNN, ShPLRNN
from chaos_core.forcing.sparse import Sparse
from chaos_core.kernels import Kernel, gpu
from chaos_core.kernels.comparison import Scan
from chaos_core.kernels.gpu_scan import Tiles, fused_scan, interpreted
from chaos_core.kernels.scans import SCANS
from chaos_core.kernels.shallow import as_shallow
from chaos_core.refusal import scan_refusal
from chaos_core.scan import scan
from chaos_core.typing import Floats
from tests.conformance.kernel_cases import FORCINGS, Case, Sizes, cell_case, mask, variants

pytest.importorskip("triton")
DEVICE = "cuda" if torch.cuda.is_available() and not interpreted() else "cpu"
if DEVICE == "cpu" and not interpreted():
    pytest.skip("no CUDA, and TRITON_INTERPRET is not 1", allow_module_level=True)

# The interpreter computes in numpy, which warns where a GPU and torch are silent.
pytestmark = [pytest.mark.filterwarnings(f"ignore:{words}") for words in ("overflow encountered", "invalid value")]

DTYPES = [torch.float32] if DEVICE == "cuda" else [torch.float32, torch.float64]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
"""Relative to the largest entry. Sums over up to some hundred terms in another order round to 1e-6 in float32 and to
1e-15 in float64, and a dozen steps of these cells, which hardly expand, carry it on without growth."""

KINDS = [kind for kind in CELLS if scan_refusal(CELLS[kind].fill({}, observed=3, embedded=False), "float32") is None]
SETTINGS = [(kind, settings) for kind in KINDS for settings in variants(kind)]
SMALL = Sizes(latent=5, hidden=0, observed=5, batch=6, steps=11)
SHAPES = [
    (Sizes(latent=1, hidden=1, observed=1, batch=1, steps=1), "one of everything"),
    (Sizes(latent=3, hidden=50, observed=3, batch=16, steps=8), "held, summed"),
    (Sizes(latent=3, hidden=300, observed=3, batch=5, steps=5), "in tiles, summed"),
    (Sizes(latent=17, hidden=33, observed=17, batch=19, steps=5), "held, multiplied"),
    (Sizes(latent=20, hidden=130, observed=20, batch=3, steps=7), "in tiles, multiplied"),
    (Sizes(latent=70, hidden=100, observed=70, batch=17, steps=3), "wide"),
]


def any_mask(sizes: Sizes) -> Floats:
    """Each time and unit its own, zeros and ones among them."""
    drawn = np.random.default_rng(1).uniform(-0.5, 1.5, (sizes.steps, sizes.latent))
    return np.clip(drawn, 0.0, 1.0)


MASKS: dict[str, Callable[[Sizes], Floats]] = {
    **{forcing.kind: lambda sizes, forcing=forcing: mask(forcing, sizes) for forcing in FORCINGS},
    "any": any_mask,
}


def run(by: Scan, of: Case, alpha: Floats, dtype: torch.dtype) -> dict[str, Tensor]:
    """z, and the gradient of everything that goes in, by name."""
    rng = np.random.default_rng(2)

    def leaf(array: Floats) -> Tensor:
        return torch.tensor(array, dtype=dtype, device=DEVICE, requires_grad=True)

    p = {name: leaf(array) for name, array in of.params.items()}
    rows = of.starts[:, None] + np.arange(of.sizes.steps)
    d, z0 = leaf(of.x[rows]), leaf(rng.standard_normal((of.sizes.batch, of.sizes.latent)))
    s = None if of.u is None else of.cell.drive(p, torch.tensor(of.u[rows + 1], dtype=dtype, device=DEVICE))
    z = by(of.cell, p, z0, d, alpha, s)
    weights = torch.tensor(rng.standard_normal(z.shape), dtype=dtype, device=DEVICE)
    (weights * z).sum().backward()
    inside = p | {"z0": z0, "d": d}
    gradients = {name: torch.zeros_like(x) if x.grad is None else x.grad for name, x in inside.items()}
    return {"z": z.detach()} | gradients


def assert_close(ours: Tensor, truth: Tensor, name: str) -> None:
    atol = TOLERANCE[truth.dtype] * max(float(truth.detach().abs().max()), 1e-30)
    torch.testing.assert_close(ours, truth, rtol=0, atol=atol, msg=lambda text: f"{name}: {text}")


def assert_equals_reference(of: Case, alpha: Floats, dtype: torch.dtype) -> None:
    ours, truth = (run(by, of, alpha, dtype) for by in (SCANS[Kernel.GPU], scan))
    for name, true in truth.items():
        assert_close(ours[name], true, name)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize(("kind", "settings"), SETTINGS, ids=str)
def test_values_and_gradients_equal_the_reference_for_every_cell_and_mask(
    kind: str, settings: dict[str, Any], name: str, dtype: torch.dtype
) -> None:
    assert_equals_reference(cell_case(kind, settings, sizes=SMALL, inputs=2), MASKS[name](SMALL), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("sizes", [sizes for sizes, _ in SHAPES], ids=[name for _, name in SHAPES])
def test_sizes_need_not_be_powers_of_two(sizes: Sizes, smoothing: float, dtype: torch.dtype) -> None:
    of = cell_case("clipped_shplrnn", {"hidden": sizes.hidden, "smoothing": smoothing}, sizes=sizes)
    assert_equals_reference(of, any_mask(sizes), dtype)


def test_the_shapes_above_take_every_way_through_the_programs() -> None:
    tiles = [(Tiles.of(sizes.latent, sizes.hidden), sizes.hidden) for sizes, _ in SHAPES]
    assert {(tile.sums, tile.hidden >= hidden) for tile, hidden in tiles} == {
        (sums, held) for sums in (True, False) for held in (True, False)
    }


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("latent", "batch"), [(3, 9), (17, 4)])
def test_jobs_side_by_side_are_the_single_jobs(latent: int, batch: int, dtype: torch.dtype) -> None:
    jobs, steps, rng = 3, 6, np.random.default_rng(0)
    cell = ClippedShPLRNN(latent=latent, hidden=11, smoothing=0.2)
    alpha = mask(Sparse(tau=4, anneal_from=None), Sizes(latent, 11, latent, batch, steps))

    def drawn(*shape: int) -> Tensor:
        return torch.tensor(0.3 * rng.standard_normal((jobs, *shape)), dtype=dtype, device=DEVICE)

    p = {name: drawn(*param.shape).requires_grad_() for name, param in cell.weights().items()}
    known, s = drawn(batch, steps, latent).requires_grad_(), drawn(batch, steps, latent).requires_grad_()
    z = fused_scan(as_shallow(cell, p), known, alpha, s)
    (z**2).sum().backward()
    leaves = [*p.values(), known, s]
    for job in range(jobs):
        alone = {name: value.detach()[job].clone().requires_grad_() for name, value in p.items()}
        d, drive = (part.detach()[job].clone().requires_grad_() for part in (known, s))
        z_alone = scan(cell, alone, d[:, 0], d, alpha, drive)
        (z_alone**2).sum().backward()
        assert_close(z[job], z_alone, "z")
        for name, together, single in zip([*p, "d", "s"], leaves, [*alone.values(), d, drive], strict=True):
            assert together.grad is not None and single.grad is not None
            assert_close(together.grad[job], single.grad, name)


def test_equal_inputs_give_equal_bits() -> None:
    of = cell_case("clipped_shplrnn", {"hidden": 7}, sizes=SMALL, inputs=1)
    first, second = (run(gpu.scan, of, any_mask(SMALL), torch.float32) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def wild(cell: Cell, memory: float, alpha: Floats) -> tuple[Tensor, Tensor]:
    """States of ours and of the reference for a cell whose memory explodes, on finite data."""
    rng = np.random.default_rng(0)
    p = {
        name: torch.tensor(rng.standard_normal(param.shape), dtype=torch.float32, device=DEVICE)
        for name, param in cell.weights().items()
    }
    p["A"] = torch.full_like(p["A"], memory)
    d = torch.tensor(rng.standard_normal((3, len(alpha), cell.latent)), dtype=torch.float32, device=DEVICE)
    ours, truth = (by(cell, p, d[:, 0], d, alpha, None) for by in (gpu.scan, scan))
    return ours, truth


@pytest.mark.parametrize("cell", [ShPLRNN(latent=3, hidden=5), ShPLRNN(latent=17, hidden=70)], ids=str)
def test_what_is_not_finite_stays_visible_and_ends_where_the_state_is_replaced(cell: ShPLRNN) -> None:
    alpha = np.zeros((9, cell.latent))
    alpha[[0, 6]] = 1.0
    ours, truth = wild(cell, 1e20, alpha)
    assert not truth[:, 3:6].isfinite().any()
    assert not ours[:, 3:6].isfinite().any()
    torch.testing.assert_close(ours[:, 6], truth[:, 6], rtol=1e-5, atol=0)
    assert ours[:, 6].isfinite().all()


def test_units_that_are_replaced_are_copied_and_free_ones_ignore_what_the_data_say() -> None:
    """0 * inf on either side would be NaN: a datum may be inf where alpha is 0, the state where alpha is 1."""
    cell = ShPLRNN(latent=2, hidden=3)
    p = {name: torch.zeros(param.shape, device=DEVICE) for name, param in cell.weights().items()}
    p["A"] = torch.tensor([1e30, 0.5], device=DEVICE)
    d = torch.ones(1, 4, 2, device=DEVICE)
    d[0, :, 1] = torch.inf
    alpha = np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    z0 = torch.ones(1, 2, device=DEVICE)
    z = gpu.scan(cell, p, z0, d, alpha)
    expected = [[1e30, 0.5], [torch.inf, 0.25], [1e30, 0.125], [torch.inf, 0.0625]]
    torch.testing.assert_close(z[0].cpu(), torch.tensor(expected))


def test_a_nan_parameter_gives_nan_states_and_gradients() -> None:
    of = cell_case("clipped_shplrnn", {"hidden": 7}, sizes=SMALL)
    h2 = of.params["h2"].copy()
    h2[3] = np.nan
    found = run(gpu.scan, Case(**{**vars(of), "params": of.params | {"h2": h2}}), any_mask(SMALL), torch.float32)
    assert found["z"].isnan().all()
    assert found["W2"].isnan().any()


def test_the_derivative_of_the_rectifier_at_zero_is_zero() -> None:
    cell = ShPLRNN(latent=1, hidden=1)
    p = {name: torch.ones(param.shape, device=DEVICE) for name, param in cell.weights().items()}
    p |= {"A": torch.zeros(1, device=DEVICE), "h2": torch.zeros(1, device=DEVICE, requires_grad=True)}
    z0 = torch.zeros(1, 1, device=DEVICE, requires_grad=True)
    gpu.scan(cell, p, z0, torch.zeros(1, 1, 1, device=DEVICE), np.ones((1, 1))).sum().backward()
    assert z0.grad is not None and p["h2"].grad is not None
    assert z0.grad.item() == p["h2"].grad.item() == 0.0


@pytest.mark.parametrize(("kind", "settings"), SETTINGS, ids=str)
def test_the_trial_that_a_gpu_has_to_pass_is_passed(kind: str, settings: dict[str, Any]) -> None:
    assert gpu.self_test(CELLS[kind].model_validate({"latent": 5, **settings}), DEVICE) is None


@pytest.mark.skipif(DEVICE == "cpu", reason="this machine has no CUDA")
def test_a_gpu_takes_the_fused_scan() -> None:
    assert gpu.refusal(ClippedShPLRNN(latent=3, hidden=50), "float32", "cuda") is None
