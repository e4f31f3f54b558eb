"""Diagnoses of models whose exponents, fixed points and gradients are known exactly or published."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from chaos_core.cells.shplrnn import ShPLRNN
from chaos_core.diagnostics import Diagnosis, diagnose, usual_steps
from chaos_core.embedding import Embedding
from chaos_core.fitted import Fitted
from chaos_core.observation import IdentityObservation
from chaos_core.series import Scaling
from tests.api.living import a_fitted
from tests.conformance.test_cells import small
from tests.core.test_pipeline import turning

A, B = 1.7, 0.5


def lozi() -> Fitted:
    """x' = 1 - a |x| + b y, y' = x, written with four hidden units: relu of x, -x, y and -y."""
    params = {
        "A": np.zeros(2),
        "W1": np.array([[-A, -A, B, -B], [1.0, -1.0, 0.0, 0.0]]),
        "W2": np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]),
        "h1": np.array([1.0, 0.0]),
        "h2": np.zeros(4),
    }
    scaling = Scaling((10.0, -3.0), (2.0, 0.5))
    cell, start = ShPLRNN(latent=2, hidden=4), np.array([0.1, 0.1])
    return Fitted(
        cell,
        IdentityObservation(),
        params,
        scaling,
        Embedding(),
        0.5,
        ("x", "y"),
        start,
        lambda_per_step=(0.48, 0.45, 0.51),
    )


@pytest.fixture(scope="module")
def found() -> Diagnosis:
    return diagnose(lozi(), growth_steps=300)


def test_the_spectrum_of_the_lozi_map_is_the_published_one(found: Diagnosis) -> None:
    """J. C. Sprott (2003), Chaos and Time-Series Analysis, table A: 0.47023, -1.16338 (a = 1.7, b = 0.5)."""
    spectrum = found.exponents
    assert spectrum.per_step is not None and spectrum.error is not None and spectrum.per_time is not None
    assert spectrum.per_step == pytest.approx([0.47023, -1.16338], abs=0.004)
    assert sum(value or 0.0 for value in spectrum.per_step) == pytest.approx(math.log(B), abs=1e-9), "the determinant"
    assert spectrum.per_time[0] == pytest.approx(2 * (spectrum.per_step[0] or 0.0))
    assert 0 < spectrum.error[0] < 0.004
    assert (spectrum.reason, spectrum.doubt, spectrum.escaped, spectrum.rested) == (None, None, 0, 0)


def test_its_dimension_and_its_exponent_stand_beside_the_datas(found: Diagnosis) -> None:
    assert found.kaplan_yorke.value == pytest.approx(1.40419, abs=0.004)
    assert found.kaplan_yorke.error is not None and found.kaplan_yorke.error < 0.004
    largest = found.lambda_max
    assert (largest.data, largest.data_low, largest.data_high, largest.within) == (0.48, 0.45, 0.51, True)
    assert largest.value is not None and largest.ratio == pytest.approx(largest.value / 0.48)


def test_its_fixed_points_are_the_exact_ones(found: Diagnosis) -> None:
    points = found.fixed_points.points
    assert points is not None and found.fixed_points.converged >= 60
    exact = sorted([1 / (1 + A - B), 1 / (1 - A - B)])
    assert sorted(point.z[0] for point in points) == pytest.approx(exact, abs=1e-9)
    right = max(points, key=lambda point: point.z[0])
    assert right.z[1] == pytest.approx(right.z[0], abs=1e-9)
    assert right.x == pytest.approx([10 + 2 * right.z[0], -3 + 0.5 * right.z[1]])
    assert right.largest_multiplier == pytest.approx((A + math.sqrt(A * A + 4 * B)) / 2)
    assert (right.unstable_directions, right.residual < 1e-9) == (1, True)


def test_gradients_grow_with_the_largest_exponent(found: Diagnosis) -> None:
    growth = found.gradient_growth
    assert growth.at is not None and [row.steps for row in growth.at] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert growth.rate_per_step == pytest.approx(0.47, abs=0.03)
    assert all(row.ln_low <= row.ln_median <= row.ln_high for row in growth.at)


def test_a_rotation_neither_grows_nor_shrinks() -> None:
    told = diagnose(turning(), growth_steps=20)
    assert told.exponents.per_step == pytest.approx([0.0, 0.0], abs=1e-9)
    assert told.gradient_growth.at is not None
    assert [row.ln_high for row in told.gradient_growth.at] == pytest.approx([0.0] * 6, abs=1e-9)
    assert told.lambda_max.data is None and told.lambda_max.ratio is None
    assert told.fixed_points.points is not None
    assert told.fixed_points.points[0].z == pytest.approx([5.0, 5.0])


def test_a_model_that_rests_has_a_doubt_and_no_dimension() -> None:
    resting = lozi()
    told = diagnose(replace(resting, params={**resting.params, "W1": 0.1 * resting.params["W1"]}))
    assert told.exponents.doubt == "10 of 10 runs came to rest at a fixed point"
    assert told.kaplan_yorke.value is told.lambda_max.value is None
    assert told.kaplan_yorke.reason == told.lambda_max.reason == told.exponents.doubt
    assert told.fixed_points.points is not None and told.fixed_points.points[0].unstable_directions == 0


def test_a_model_that_escapes_and_one_that_is_driven_have_reasons() -> None:
    wild = lozi()
    escaping = diagnose(replace(wild, params={**wild.params, "A": np.full(2, 3.0)}))
    driven = diagnose(a_fitted(small("plrnn").model_copy(update={"inputs": 1})))
    for told, word in ((escaping, "leaves all bounds"), (driven, "driven")):
        for part in dict(told).values():
            assert word in str(part.reason)
        json.dumps(told.model_dump(mode="json"), allow_nan=False)


@pytest.mark.parametrize("kind", ["gru", "lstm", "alrnn", "clipped_shplrnn", "mean_centred_plrnn", "lem"])
def test_every_cell_can_be_diagnosed(kind: str) -> None:
    told = diagnose(a_fitted(small(kind)), steps=300, runs=3, growth_steps=5)
    json.dumps(told.model_dump(mode="json"), allow_nan=False)
    assert told.exponents.per_step is not None or told.exponents.reason


def test_large_states_get_fewer_steps() -> None:
    assert [usual_steps(size) for size in (3, 40, 500)] == [10_000, 2500, 1000]
