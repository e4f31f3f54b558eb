"""What every term of a loss must do; a new file in chaos_core/losses is tested by itself."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from chaos_core import losses
from chaos_core.cells import CELLS
from chaos_core.errors import Inconsistent
from chaos_core.losses import LOSSES, AnyLoss, AnyLossSpec, Loss
from tests.core.grounds import LAMBDA, SMALL, Params, Scene, scene

SPECS = TypeAdapter(AnyLossSpec)
SHORT: dict[str, dict[str, object]] = {
    "flossing": {"settle": 10, "steps": 12, "orbits": 4, "every": 1, "start": 0.0, "until": 1.0},
    "invariant_measure": {"samples": 12, "steps": 10, "through": 4},
}
"""Settings that make a term quick, and on in each update."""

VARIANTS: list[dict[str, object]] = [
    *({"kind": kind} for kind in sorted(LOSSES)),
    {"kind": "parameter_norm", "order": 1},
    {"kind": "manifold", "units": "first", "order": 1},
    {"kind": "manifold", "form": "norms"},
    {"kind": "flossing", "target": None, "exponents": 3},
    {"kind": "flossing", "through_orbit": True},
    {"kind": "power_spectrum", "smoothing": 0},
]


def filled(**words: object) -> Loss:
    words = SHORT.get(str(words["kind"]), {}) | words
    return losses.fill(SPECS.validate_python(words), lambda_max_per_step=LAMBDA)


def able(term: Loss, place: Scene) -> bool:
    try:
        term.check(place.cell, place.observation)
    except Inconsistent:
        return False
    return True


@pytest.fixture(params=VARIANTS, ids=lambda words: "-".join(map(str, words.values())))
def term(request: pytest.FixtureRequest) -> Loss:
    return filled(**request.param)


PAIRS = [(words, name) for words in VARIANTS for name in sorted(SMALL) if able(filled(**words), scene(name))]
"""Each term with each scene that it does not refuse."""

acting = pytest.mark.parametrize(
    ("term", "place"),
    PAIRS,
    indirect=["term"],
    ids=["-".join(map(str, [*words.values(), name])) for words, name in PAIRS],
)


def test_every_term_acts_somewhere() -> None:
    assert [words for words in VARIANTS if words not in [pair[0] for pair in PAIRS]] == []


def value_and_gradient(term: Loss, place: Scene, **done: Any) -> tuple[float, Params]:
    p = place.tensors()
    value = term.bind(place.ground())(replace(place.done(p), **done))
    assert value.shape == ()
    if value.requires_grad:
        value.backward()
    return value.item(), {name: torch.zeros_like(q) if q.grad is None else q.grad for name, q in p.items()}


@acting
def test_a_term_gives_a_finite_number_and_a_gradient_that_is_finite_and_not_zero(term: Loss, place: str) -> None:
    there = scene(place)
    value, gradient = value_and_gradient(term, there)
    assert np.isfinite(value)
    assert all(bool(g.isfinite().all()) for g in gradient.values())
    assert max(float(g.abs().max()) for g in gradient.values()) > 0


@pytest.mark.parametrize("name", sorted(SMALL))
@pytest.mark.parametrize("kind", sorted(LOSSES))
def test_a_term_works_in_single_precision_and_agrees_with_double(kind: str, name: str) -> None:
    term = filled(kind=kind)
    if not able(term, scene(name)):
        return
    single = value_and_gradient(term, scene(name, dtype=torch.float32))[0]
    double = value_and_gradient(term, scene(name))[0]
    assert single == pytest.approx(double, rel=1e-3, abs=1e-5)


@acting
def test_the_same_randomness_gives_the_same_term(term: Loss, place: str) -> None:
    there = scene(place)
    bound, p = term.bind(there.ground()), there.tensors()
    first, second = (bound(there.done(p, seed=3)).item() for _ in range(2))
    assert first == second
    assert first == term.bind(there.ground())(there.done(p, seed=3)).item()


@acting
def test_a_term_leaves_parameters_and_pass_alone(term: Loss, place: str) -> None:
    there = scene(place)
    p = there.tensors()
    done = there.done(p)
    before = [tensor.detach().clone() for tensor in (*p.values(), done.x, done.z, done.predicted)]
    term.bind(there.ground())(done)
    after = (*p.values(), done.x, done.z, done.predicted)
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


@acting
def test_what_was_filled_into_missing_entries_does_not_matter(term: Loss, place: str) -> None:
    there = scene(place)
    shape = there.done(there.tensors()).x.shape
    present = torch.as_tensor(np.random.default_rng(1).random(shape) > 0.3)
    found = []
    for filling in (0.0, 7.0):
        x = there.done(there.tensors()).x.where(present, torch.tensor(filling, dtype=there.dtype))
        found.append(value_and_gradient(term, there, x=x, present=present))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(found[0][1][name], found[1][1][name]) for name in found[0][1])


DIFFERENTIABLE: list[dict[str, object]] = [
    {"kind": "parameter_norm"},
    {"kind": "manifold"},
    {"kind": "manifold", "form": "norms"},
    {"kind": "conditioning"},
    {"kind": "jacobian_matching"},
    {"kind": "power_spectrum"},
    {"kind": "invariant_measure", "steps": 0},
    {"kind": "flossing", "settle": 0, "through_orbit": True},
    {"kind": "flossing", "settle": 0, "through_orbit": True, "target": None, "exponents": 3},
]


@pytest.mark.parametrize("name", sorted(SMALL))
@pytest.mark.parametrize("words", DIFFERENTIABLE, ids=lambda words: "-".join(map(str, words.values())))
def test_the_gradient_equals_finite_differences(words: dict[str, object], name: str) -> None:
    """Along one random direction of each parameter, 1e-6 of the largest such slope."""
    term, place = filled(**words), scene(name)
    if not able(term, place):
        return
    bound, gradient = term.bind(place.ground()), value_and_gradient(term, place)[1]
    rng, found = np.random.default_rng(2), []
    # Orbits of flossing start at constants: how the start depends on the observation is no part of its gradient.
    names = list(place.cell.weights()) if words["kind"] == "flossing" else list(place.params)
    for key in names:
        way = rng.standard_normal(place.params[key].shape)
        slope = central_difference(bound, place, key, way)
        found.append((float((gradient[key] * torch.as_tensor(way)).sum()), slope))
    analytic, numeric = np.array(found).T
    assert np.abs(numeric).max() > 0
    np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-6 * np.abs(numeric).max())


def central_difference(bound: Callable[..., torch.Tensor], place: Scene, key: str, way: np.ndarray) -> float:
    """Steps of 1e-6: so small because rectifiers have kinks, between which gradients jump."""
    h, at = 1e-6, []
    for step in (-h, h):
        moved = replace(place, params=place.params | {key: place.params[key] + step * way})
        with torch.no_grad():
            at.append(bound(moved.done(moved.tensors())).item())
    return (at[1] - at[0]) / (2 * h)


def test_a_term_states_its_weight_and_its_source(term: Loss) -> None:
    assert term.weight > 0
    assert "doi:" in term.citation or "arXiv:" in term.citation
    assert (type(term).__doc__ or "").count("Source:") == 1
    assert all(field.description for name, field in type(term).model_fields.items() if name != "kind")


def test_settings_survive_json_and_come_back_as_the_same_class(term: Loss) -> None:
    assert TypeAdapter(AnyLoss).validate_json(term.model_dump_json()) == term
    assert SPECS.validate_python(term.model_dump()).model_dump() == term.model_dump()


@pytest.mark.parametrize("kind", sorted(LOSSES))
def test_auto_fills_every_field_and_a_given_value_wins(kind: str) -> None:
    auto = losses.fill(SPECS.validate_python({"kind": kind}), lambda_max_per_step=LAMBDA)
    literal = {name for name, value in SPECS.validate_python({"kind": kind}).model_dump().items() if value != "auto"}
    said = dict.fromkeys(auto.model_dump(exclude=literal), "auto") | {"kind": kind}
    assert auto == losses.fill(SPECS.validate_python(said), lambda_max_per_step=LAMBDA)
    chosen = losses.fill(SPECS.validate_python({"kind": kind, "weight": 0.625}), lambda_max_per_step=LAMBDA)
    assert chosen == auto.model_copy(update={"weight": 0.625})


@pytest.mark.parametrize(
    "words",
    [
        {"kind": "entropy"},
        {"weight": 1.0},
        {"kind": "manifold", "weight": 0.0},
        {"kind": "manifold", "share": 1.5},
        {"kind": "conditioning", "order": 2},
        {"kind": "jacobian_matching", "points": 0},
        {"kind": "power_spectrum", "smoothing": -1.0},
    ],
)
def test_a_spec_with_a_wrong_word_is_refused(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SPECS.validate_python(words)


def test_the_schema_of_losses_is_a_discriminated_union() -> None:
    assert set(SPECS.json_schema()["discriminator"]["mapping"]) == set(LOSSES)


@pytest.mark.parametrize("name", sorted(CELLS))
def test_a_term_that_cannot_act_on_a_cell_says_so_at_once_and_acts_on_all_others(term: Loss, name: str) -> None:
    cell = scene("clipped_shplrnn").cell if "shplrnn" in name else CELLS[name].fill({}, observed=4, embedded=False)
    place = scene("smooth") if "shplrnn" in name else replace(scene("plrnn"), cell=cell)
    try:
        term.check(cell, place.observation)
    except Inconsistent as refusal:
        assert term.model_dump()["kind"] in refusal.detail
        with pytest.raises(Inconsistent):
            term.bind(replace(place.ground(), cell=cell))
    else:
        term.bind(replace(place.ground(), cell=cell))
