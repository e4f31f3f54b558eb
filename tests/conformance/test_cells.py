"""What every cell must do; a new file in chaos_core/cells is tested by itself."""

import json

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from chaos_core import cells
from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.cells import CELLS, AnyCell, AnyCellSpec, Cell
from chaos_core.cells.plrnn import PLRNN
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.initialise import INITIALISERS, draw
from chaos_core.observation import LinearObservation

SPECS = TypeAdapter(AnyCellSpec)


def small(kind: str, **words: object) -> Cell:
    spec = SPECS.validate_python({"kind": kind, "latent": 4, **words})
    return cells.fill(spec, observed=4)


def parameters(cell: Cell, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: value + 0.1 * rng.standard_normal(value.shape) for name, value in draw(cell.parameters(), rng).items()
    }


def tensors(params: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in params.items()}


VARIANTS: list[dict[str, object]] = [
    *({"kind": kind} for kind in sorted(CELLS)),
    {"kind": "clipped_shplrnn", "smoothing": 0.3, "bounded": True},
    {"kind": "dendplrnn", "centred": True},
    {"kind": "clipped_dendplrnn", "centred": True, "bounded": True},
    {"kind": "alrnn", "rectified": 0},
    {"kind": "lem", "dt": 0.3},
]


@pytest.fixture(params=VARIANTS, ids=lambda words: "-".join(map(str, words.values())))
def cell(request: pytest.FixtureRequest) -> Cell:
    return small(**request.param)


@pytest.fixture
def driven(cell: Cell) -> Cell:
    return cell.model_copy(update={"inputs": 2})


@pytest.mark.parametrize("lead", [(), (5,), (2, 5)])
def test_a_step_keeps_the_shape_and_the_number_type(cell: Cell, lead: tuple[int, ...]) -> None:
    for dtype in (torch.float32, torch.float64):
        p = {name: value.to(dtype) for name, value in tensors(parameters(cell)).items()}
        z = torch.randn(*lead, cell.state_size, dtype=dtype)
        after = cell.step(p, z)
        assert after.shape == z.shape
        assert after.dtype == dtype
        assert cell.jacobian(p, z).shape == (*lead, cell.state_size, cell.state_size)
        assert cell.jacobian(p, z).dtype == dtype


def test_a_step_repeats_itself_and_leaves_its_arguments_alone(cell: Cell) -> None:
    p, z = tensors(parameters(cell)), torch.randn(5, cell.state_size, dtype=torch.float64)
    before = {name: value.clone() for name, value in p.items()}, z.clone()
    first = cell.step(p, z)
    assert torch.equal(first, cell.step(p, z))
    assert torch.equal(first, cell.bind(p)(z))
    assert torch.equal(z, before[1])
    assert all(torch.equal(p[name], before[0][name]) for name in p)


def test_a_step_uses_all_parameters_and_ignores_foreign_names(cell: Cell) -> None:
    p = {name: value.requires_grad_() for name, value in tensors(parameters(cell)).items()}
    z = torch.randn(64, cell.state_size, dtype=torch.float64)
    cell.step({**p, "B": torch.zeros(1)}, z).square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in p.values())


def test_the_jacobian_equals_automatic_differentiation(cell: Cell) -> None:
    p = tensors(parameters(cell))
    for z in torch.randn(20, cell.state_size, dtype=torch.float64):
        by_torch = torch.func.jacrev(lambda state: cell.step(p, state))(z)
        torch.testing.assert_close(cell.jacobian(p, z), by_torch, rtol=0, atol=1e-12)


def test_a_drive_adds_to_the_bias_and_the_jacobian_knows_it(driven: Cell) -> None:
    params, rng = parameters(driven), np.random.default_rng(5)
    p, u = tensors(params), torch.tensor(rng.standard_normal((6, 2)))
    z = torch.tensor(rng.standard_normal((6, driven.state_size)))
    s = driven.drive(p, u)
    assert s.shape == (6, driven.drive_width)
    after = driven.step(p, z, s)
    for row in range(6):
        moved = {**p, driven.bias: p[driven.bias] + s[row]}
        torch.testing.assert_close(after[row], driven.step(moved, z[row]), rtol=0, atol=1e-14)
        by_torch = torch.func.jacrev(lambda state, moved=moved: driven.step(moved, state))(z[row])
        torch.testing.assert_close(driven.jacobian(p, z[row], s[row]), by_torch, rtol=0, atol=1e-12)
    np_p = as_arrays(params)
    np_s = driven.drive(np_p, as_array(u.numpy()))
    np.testing.assert_allclose(as_numpy(driven.step(np_p, as_array(z.numpy()), np_s)), after.numpy(), atol=1e-14)


def test_without_a_drive_a_driven_cell_is_the_undriven_one(cell: Cell, driven: Cell) -> None:
    p = tensors(parameters(driven))
    z = torch.randn(5, cell.state_size, dtype=torch.float64)
    assert torch.equal(driven.step(p, z), cell.step(p, z))
    assert set(driven.parameters()) - set(cell.parameters()) == {"C"}
    assert "C @ u" in driven.written()
    assert cell.written() == cell.equation


def test_a_proven_bound_holds_for_orbits_that_start_outside(cell: Cell) -> None:
    params = parameters(cell)
    if "A" in params and cell.limits():
        params["A"] = np.clip(params["A"], -0.95, 0.95)
    bound = cell.bound(params)
    if bound is None:
        return
    step, z = cell.bind(as_arrays(params)), as_array(2.0 * np.ones((4, cell.state_size)) * [[1], [-1], [2], [0]])
    for _ in range(2000):
        z = step(z)
    assert np.abs(as_numpy(z)).max() <= bound * (1 + 1e-9)


def test_which_cells_can_prove_their_bound() -> None:
    proven = {kind for kind in CELLS if small(kind).bound(_tame(kind)) is not None}
    assert proven == {"clipped_shplrnn", "clipped_dendplrnn", "rnn", "gru", "lstm", "lem"}
    for kind in ("clipped_shplrnn", "clipped_dendplrnn"):
        assert small(kind).bound(_tame(kind) | {"A": np.array([0.5, 0.5, 0.5, 1.0])}) is None


def test_no_jacobian_exceeds_the_bound_of_the_slopes(cell: Cell) -> None:
    params = parameters(cell)
    bound = cell.slope_bound(params)
    assert bound is not None or cell.kind in ("gru", "lstm", "lem")
    z = 3 * np.random.default_rng(2).standard_normal((500, cell.state_size))
    norms = np.linalg.norm(as_numpy(cell.jacobian(as_arrays(params), as_array(z))), ord=2, axis=(-2, -1))
    assert bound is None or norms.max() <= bound * (1 + 1e-12)


def _tame(kind: str) -> dict[str, np.ndarray]:
    params = parameters(small(kind))
    return params | ({"A": 0.5 * np.ones(4)} if "A" in params else {})


def test_at_a_kink_the_derivative_of_the_rectifier_is_zero(cell: Cell) -> None:
    p, origin = tensors(parameters(cell)), torch.zeros(cell.state_size, dtype=torch.float64)
    by_torch = torch.func.jacrev(lambda state: cell.step(p, state))(origin)
    torch.testing.assert_close(cell.jacobian(p, origin), by_torch, rtol=0, atol=1e-12)


def test_numpy_gives_what_torch_gives(cell: Cell) -> None:
    params, z = parameters(cell), np.random.default_rng(1).standard_normal((7, cell.state_size))
    p, state = tensors(params), torch.tensor(z)
    after = as_numpy(cell.step(as_arrays(params), as_array(z)))
    np.testing.assert_allclose(after, cell.step(p, state).numpy(), rtol=0, atol=1e-14)
    slopes = as_numpy(cell.jacobian(as_arrays(params), as_array(z)))
    np.testing.assert_allclose(slopes, cell.jacobian(p, state).numpy(), rtol=0, atol=1e-14)


def test_vmap_over_jobs_gives_each_job_its_own_step(cell: Cell) -> None:
    jobs = [tensors(parameters(cell, seed)) for seed in range(3)]
    stacked = {name: torch.stack([job[name] for job in jobs]) for name in jobs[0]}
    z = torch.randn(3, 5, cell.state_size, dtype=torch.float64)
    together = torch.func.vmap(cell.step)(stacked, z)
    slopes = torch.func.vmap(cell.jacobian)(stacked, z)
    for job in range(3):
        torch.testing.assert_close(together[job], cell.step(jobs[job], z[job]), rtol=0, atol=1e-14)
        torch.testing.assert_close(slopes[job], cell.jacobian(jobs[job], z[job]), rtol=0, atol=1e-14)


def test_a_state_that_is_not_a_number_stays_visible(cell: Cell) -> None:
    params = parameters(cell)
    z = np.full(cell.state_size, np.nan)
    assert np.isnan(as_numpy(cell.step(as_arrays(params), as_array(z)))).all()
    assert cell.step(tensors(params), torch.tensor(z)).isnan().all()


def test_start_values_have_the_declared_shape_and_come_again_from_the_same_seed(cell: Cell) -> None:
    declared = cell.parameters()
    assert all(param.init in INITIALISERS for param in declared.values())
    first, second = (draw(declared, np.random.default_rng(3)) for _ in range(2))
    assert list(first) == list(declared)
    for name, param in declared.items():
        assert first[name].shape == param.shape
        assert first[name].dtype == np.float64
        np.testing.assert_array_equal(first[name], second[name])


def test_the_parameter_count_is_the_number_of_numbers(cell: Cell) -> None:
    assert cell.parameter_count() == sum(
        value.size for value in draw(cell.parameters(), np.random.default_rng()).values()
    )


def test_a_cell_states_its_equation_and_its_source(cell: Cell) -> None:
    assert cell.equation.startswith("z' = ")
    assert all(name in cell.equation for name in cell.parameters())
    assert "doi:" in cell.citation or "arXiv:" in cell.citation


def test_settings_survive_json_and_come_back_as_the_same_class(cell: Cell) -> None:
    text = cell.model_dump_json()
    assert TypeAdapter(AnyCell).validate_json(text) == cell
    assert SPECS.validate_json(text).model_dump() == cell.model_dump()


@pytest.mark.parametrize("kind", sorted(CELLS))
def test_auto_fills_every_field_and_a_given_value_wins(kind: str) -> None:
    auto = cells.fill(SPECS.validate_python({"kind": kind}), observed=3)
    assert auto == cells.fill(
        SPECS.validate_python(dict.fromkeys(auto.model_dump(), "auto") | {"kind": kind}), observed=3
    )
    for name, value in auto.model_dump(exclude={"kind"}).items():
        other = not value if isinstance(value, bool) else value / 2 if name == "dt" else value + 1
        chosen = cells.fill(SPECS.validate_python({"kind": kind, name: other}), observed=3)
        assert chosen.model_dump()[name] == other


@pytest.mark.parametrize(
    "words",
    [
        {"kind": "lstm_9000"},
        {"latent": 3},
        {"kind": "plrnn", "latent": 0},
        {"kind": "plrnn", "latent": 10**9},
        {"kind": "plrnn", "hidden": 5},
        {"kind": "clipped_shplrnn", "hidden": "many"},
        {"kind": "clipped_shplrnn", "smoothing": -0.1},
        {"kind": "lem", "dt": 1.5},
        {"kind": "rnn", "inputs": -1},
    ],
)
def test_a_spec_with_a_wrong_word_is_refused(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SPECS.validate_python(words)


def test_the_schema_of_cells_is_a_discriminated_union_with_described_fields() -> None:
    schema = SPECS.json_schema()
    assert set(schema["discriminator"]["mapping"]) == set(CELLS)
    hidden = schema["$defs"]["ClippedShPLRNNSpec"]["properties"]["hidden"]
    assert hidden["description"] == "L, the number of hidden units."
    assert json.dumps(hidden["anyOf"]).count("auto") == 1


def test_without_nonlinearity_the_plrnn_is_the_linear_map_with_the_eigenvalues_put_in() -> None:
    """A = (0.9, -0.5), W = 0: after n steps z_i = A_i^n z_i(0)."""
    p = as_arrays({"A": np.array([0.9, -0.5]), "W": np.zeros((2, 2)), "h": np.zeros(2)})
    z, plrnn = as_array([2.0, 3.0]), PLRNN(latent=2)
    np.testing.assert_array_equal(as_numpy(plrnn.jacobian(p, z)), np.diag([0.9, -0.5]))
    for _ in range(10):
        z = plrnn.step(p, z)
    np.testing.assert_allclose(as_numpy(z), [2.0 * 0.9**10, 3.0 * 0.5**10], rtol=1e-14)


def test_the_plrnn_step_is_the_written_sum() -> None:
    p = {"A": np.array([0.5, 0.25]), "W": np.array([[0.0, 2.0], [3.0, 0.0]]), "h": np.array([1.0, -1.0])}
    after = PLRNN(latent=2).step(as_arrays(p), as_array([4.0, -8.0]))
    np.testing.assert_array_equal(as_numpy(after), [0.5 * 4 + 2 * 0 + 1, 0.25 * -8 + 3 * 4 - 1])


def test_the_diagonal_of_the_plrnn_matrix_does_not_count_and_starts_at_zero() -> None:
    plrnn = PLRNN(latent=4)
    p, z = tensors(parameters(plrnn)), torch.randn(4, dtype=torch.float64)
    changed = {**p, "W": p["W"] + 7.0 * torch.eye(4, dtype=torch.float64)}
    assert torch.equal(plrnn.step(p, z), plrnn.step(changed, z))
    assert torch.equal(plrnn.jacobian(p, z), plrnn.jacobian(changed, z))
    assert not np.diag(draw(plrnn.parameters(), np.random.default_rng(0))["W"]).any()


def test_without_thresholds_the_clipped_shplrnn_is_linear() -> None:
    """h2 = 0 makes both rectifiers equal, whatever W1 and W2 are."""
    cell = ClippedShPLRNN(latent=3, hidden=5)
    p = parameters(cell) | {"h2": np.zeros(5), "h1": np.zeros(3), "A": np.array([0.9, 0.5, -0.2])}
    z = np.array([1.0, -2.0, 3.0])
    np.testing.assert_allclose(as_numpy(cell.step(as_arrays(p), as_array(z))), p["A"] * z, rtol=0, atol=1e-15)


def test_the_clipped_shplrnn_stays_in_its_box_while_the_diagonal_is_below_one() -> None:
    """|z_i| <= (sum_l |W1_il h2_l| + |h1_i|) / (1 - |A_i|) in the long run, as each clipped unit is at most |h2|."""
    cell = ClippedShPLRNN(latent=3, hidden=20)
    p = parameters(cell) | {"A": np.array([0.9, -0.8, 0.5])}
    p["W2"] = 50.0 * p["W2"]
    box = (np.abs(p["W1"]) @ np.abs(p["h2"]) + np.abs(p["h1"])) / (1 - np.abs(p["A"]))
    step, z = cell.bind(as_arrays(p)), as_array(1e3 * np.ones(3))
    for _ in range(500):
        z = step(z)
    assert (np.abs(as_numpy(z)) <= box * (1 + 1e-9)).all()


def test_the_flat_order_of_the_clipped_shplrnn_is_the_one_of_the_native_kernel() -> None:
    assert list(ClippedShPLRNN(latent=3, hidden=5).parameters()) == ["A", "W1", "W2", "h1", "h2"]


@pytest.mark.parametrize(
    ("latent", "hidden", "observed", "published"),
    [(3, 50, 3, 365), (20, 100, 20, 4540), (5, 250, 5, 2785), (16, 512, 64, 17952)],
)
def test_sizes_agree_with_the_published_parameter_counts(
    latent: int, hidden: int, observed: int, published: int
) -> None:
    """Hess et al. (2023), table 1: the clipped shPLRNN with a linear read-out on Lorenz-63, Lorenz-96, ECG and EEG."""
    read_out = LinearObservation().parameters(latent, observed)["B"].size
    assert ClippedShPLRNN(latent=latent, hidden=hidden).parameter_count() + read_out == published


def test_the_automatic_width_follows_the_number_of_channels() -> None:
    widths = {n: ClippedShPLRNN.fill({}, observed=n, embedded=False).hidden for n in (1, 3, 4, 5, 7, 100)}
    assert widths == {1: 100, 3: 100, 4: 100, 5: 150, 7: 150, 100: 200}
    assert PLRNN.fill({}, observed=3, embedded=False).latent == 30
    assert PLRNN.fill({}, observed=40, embedded=False).latent == 40
