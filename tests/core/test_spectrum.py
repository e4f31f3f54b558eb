"""Exponents of maps whose spectrum is exact, published, or must not depend on a setting."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import TypeAdapter

from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.cells import CELLS, AnyCellSpec, fill
from chaos_core.errors import BadShape, Inconsistent
from chaos_core.initialise import draw
from chaos_core.lyapunov.spectrum import Spectrum, cell_spectrum, lyapunov_spectrum

Floats = npt.NDArray[np.float64]
SPECS = TypeAdapter(AnyCellSpec)
STEP = 0.01


def linear(matrix: Floats, steps: int = 500, every: int | None = None) -> Spectrum:
    starts = np.random.default_rng(0).standard_normal((3, len(matrix)))
    return lyapunov_spectrum(
        lambda z: z @ matrix.T,
        lambda z: np.broadcast_to(matrix, (*z.shape, len(matrix))),
        starts,
        steps=steps,
        burn_in=200,
        every=every,
        bound=math.inf,
    )


def lorenz_field(s: Floats) -> Floats:
    x, y, z = np.moveaxis(s, -1, 0)
    return np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], axis=-1)


def lorenz_slope(s: Floats) -> Floats:
    x, y, z = np.moveaxis(s, -1, 0)
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = [[-10 * one, 10 * one, zero], [28 - z, -one, -x], [y, x, -8 / 3 * one]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def stages(s: Floats) -> list[Floats]:
    """The four states at which a Runge-Kutta step looks at the field."""
    states = [s]
    for share in (0.5, 0.5, 1.0):
        states.append(s + share * STEP * lorenz_field(states[-1]))
    return states


def lorenz_step(s: Floats) -> Floats:
    k1, k2, k3, k4 = (lorenz_field(state) for state in stages(s))
    return s + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def lorenz_jacobian(s: Floats) -> Floats:
    """The chain rule through the four stages."""
    unit = np.eye(3)
    slopes: list[Floats] = []
    for state, share in zip(stages(s), (0.0, 0.5, 0.5, 1.0), strict=True):
        inner = unit + share * STEP * slopes[-1] if slopes else unit
        slopes.append(lorenz_slope(state) @ inner)
    return unit + STEP / 6 * (slopes[0] + 2 * slopes[1] + 2 * slopes[2] + slopes[3])


def henon_step(z: Floats, a: float = 1.4, b: float = 0.3) -> Floats:
    return np.stack([1 - a * z[..., 0] ** 2 + z[..., 1], b * z[..., 0]], axis=-1)


def henon_jacobian(z: Floats, a: float = 1.4, b: float = 0.3) -> Floats:
    x, one = z[..., 0], np.ones_like(z[..., 0])
    return np.stack([np.stack([-2 * a * x, one], -1), np.stack([b * one, 0 * one], -1)], -2)


def henon(every: int | None = None, steps: int = 10_000) -> Spectrum:
    starts = np.random.default_rng(1).uniform(-0.1, 0.1, (20, 2))
    return lyapunov_spectrum(henon_step, henon_jacobian, starts, steps=steps, every=every)


def test_a_linear_map_has_the_logarithms_of_its_eigenvalues() -> None:
    basis = np.random.default_rng(3).standard_normal((3, 3))
    matrix = basis @ np.diag([1.3, 0.8, -0.2]) @ np.linalg.inv(basis)
    found = linear(matrix)
    assert found.exponents == pytest.approx(np.log([1.3, 0.8, 0.2]), abs=1e-9)
    assert found.lambda_max == pytest.approx(math.log(1.3), abs=1e-9)
    assert found.error == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)


def test_a_rotation_that_shrinks_has_one_exponent_twice() -> None:
    turn = 0.9 * np.array([[math.cos(1.0), -math.sin(1.0)], [math.sin(1.0), math.cos(1.0)]])
    assert linear(turn).exponents == pytest.approx([math.log(0.9)] * 2, abs=1e-12)


def test_a_map_that_flattens_a_direction_has_minus_infinity_and_no_nan() -> None:
    found = linear(np.diag([0.5, 0.0]), every=1)
    assert found.exponents is not None and found.error is not None
    assert found.exponents.tolist() == [pytest.approx(math.log(0.5)), -math.inf]
    assert np.isfinite(found.error).all()
    assert found.kaplan_yorke == 0.0


def test_henon_has_its_published_exponents_which_sum_to_the_area_contraction() -> None:
    """0.4192 and -1.6232 (Sprott 2003); ln 0.3 exactly for the sum."""
    found = henon()
    assert found.exponents is not None and found.error is not None
    assert found.exponents.sum() == pytest.approx(math.log(0.3), abs=1e-9)
    assert found.exponents == pytest.approx([0.4192, -1.6232], abs=0.004)
    assert abs(found.exponents[0] - 0.4192) < 4 * found.error[0]
    assert found.kaplan_yorke == pytest.approx(1.258, abs=0.004)


def test_the_exponents_do_not_depend_on_how_often_the_frame_is_made_orthonormal() -> None:
    assert henon(every=1, steps=1000).exponents == pytest.approx(henon(every=5, steps=1000).exponents, abs=1e-10)
    assert henon(every=7, steps=1000).exponents == pytest.approx(henon(every=1, steps=1000).exponents, abs=1e-8)


def test_lorenz_has_its_published_exponents() -> None:
    """0.9056, 0 and -14.5723 per time unit (Sprott 2003); they sum to the divergence, -(10 + 1 + 8/3),
    but for the integrator."""
    starts = np.random.default_rng(1).normal([0, 0, 25], [8, 8, 8], (40, 3))
    found = lyapunov_spectrum(lorenz_step, lorenz_jacobian, starts, steps=5000)
    assert found.exponents is not None and found.error is not None
    rates = found.exponents / STEP
    assert rates.sum() == pytest.approx(-(10 + 1 + 8 / 3), abs=1e-3)
    assert rates == pytest.approx([0.9056, 0.0, -14.5723], abs=0.02)
    assert np.all(np.abs(rates - [0.9056, 0.0, -14.5723]) < 5 * found.error / STEP + 0.002)
    assert found.kaplan_yorke == pytest.approx(2.062, abs=0.003)


def test_a_cycle_of_two_has_the_exponent_of_its_two_slopes() -> None:
    """Logistic map at r = 3.2: the product of the slopes over the cycle is 4 + 2 r - r^2 = 0.16."""
    found = lyapunov_spectrum(
        lambda z: 3.2 * z * (1 - z), lambda z: (3.2 - 6.4 * z)[..., None], np.array([[0.3], [0.4]]), steps=1000
    )
    assert found.exponents == pytest.approx([math.log(0.16) / 2], abs=1e-9)
    assert (found.rested, found.escaped, found.doubt) == (0, 0, None)


def test_a_run_that_comes_to_rest_is_counted() -> None:
    """Logistic map at r = 2.5: the fixed point 0.6 has the slope 2 - r = -0.5."""
    found = lyapunov_spectrum(
        lambda z: 2.5 * z * (1 - z), lambda z: (2.5 - 5 * z)[..., None], np.array([[0.3], [0.4]]), steps=100
    )
    assert (found.rested, found.escaped) == (2, 0)
    assert found.doubt == "2 of 2 runs came to rest at a fixed point"
    assert found.exponents == pytest.approx([math.log(0.5)], abs=1e-9)


def test_runs_that_leave_all_bounds_are_counted_and_do_not_spoil_the_others() -> None:
    starts = np.concatenate([np.random.default_rng(1).uniform(-0.1, 0.1, (5, 2)), [[50.0, 0.0], [9.0, 9.0]]])
    found = lyapunov_spectrum(henon_step, henon_jacobian, starts, steps=2000)
    assert found.escaped == 2 and found.by_start.shape == (5, 2)
    assert found.doubt == "2 of 7 runs left all bounds"
    assert found.exponents == pytest.approx([0.4192, -1.6232], abs=0.02)


def test_where_all_runs_leave_there_is_a_reason_and_no_number() -> None:
    found = lyapunov_spectrum(henon_step, henon_jacobian, np.array([[50.0, 0.0]]), steps=100)
    assert (found.exponents, found.error, found.lambda_max, found.kaplan_yorke) == (None, None, None, None)
    assert found.reason is not None and found.reason.startswith("all 1 runs left the bounds")
    assert found.doubt == found.reason


def test_a_single_start_has_no_standard_error() -> None:
    found = lyapunov_spectrum(henon_step, henon_jacobian, np.array([[0.1, 0.1]]), steps=2000)
    assert found.error is None and found.exponents is not None


@pytest.mark.parametrize("kind", sorted(CELLS))
def test_the_exponents_of_every_cell_sum_to_the_mean_logarithm_of_its_determinant(kind: str) -> None:
    """Volumes: whatever the frame, the exponents add up to the mean of ln |det J| along the run."""
    cell = fill(SPECS.validate_python({"kind": kind, "latent": 3}), observed=3)
    rng = np.random.default_rng(5)
    params = {name: v + 0.1 * rng.standard_normal(v.shape) for name, v in draw(cell.parameters(), rng).items()}
    start = 0.3 * rng.standard_normal((1, cell.state_size))
    found = cell_spectrum(cell, params, start, steps=60, burn_in=0, every=1)
    p, z, logs = as_arrays(params), as_array(start), []
    for _ in range(60):
        logs.append(np.linalg.slogdet(as_numpy(cell.jacobian(p, z)))[1])
        z = cell.step(p, z)
    assert found.exponents is not None and found.exponents.shape == (cell.state_size,)
    assert found.exponents.sum() == pytest.approx(np.mean(logs), rel=1e-9)


def test_runs_side_by_side_do_not_touch_each_other() -> None:
    cell = fill(SPECS.validate_python({"kind": "clipped_shplrnn", "latent": 3}), observed=3)
    rng = np.random.default_rng(0)
    params = draw(cell.parameters(), rng)
    starts = rng.standard_normal((10, cell.state_size))
    together = cell_spectrum(cell, params, starts, steps=200, every=5)
    alone = cell_spectrum(cell, params, starts[7:8], steps=200, every=5)
    assert together.by_start[7] == pytest.approx(alone.by_start[0], abs=1e-9)


def test_misuse_is_an_error() -> None:
    one = np.zeros((1, 2))
    for words in ({"steps": 0}, {"burn_in": -1}, {"every": 0}):
        with pytest.raises(Inconsistent):
            lyapunov_spectrum(henon_step, henon_jacobian, one, **words)
    for starts in (np.zeros(2), np.zeros((0, 2))):
        with pytest.raises(BadShape):
            lyapunov_spectrum(henon_step, henon_jacobian, starts)
