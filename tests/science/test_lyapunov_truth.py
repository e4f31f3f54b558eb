"""Exponents against exact and published values, and against Benettin's method run here on the equations themselves."""

import math

import numpy as np
import pytest

from chaos_core.analysis import Verdict, analyse
from chaos_core.series import Series
from chaos_core.systems import (
    ar1,
    ar2,
    henon,
    ikeda,
    integrate,
    logistic,
    lorenz63,
    rossler,
    sine,
    surrogate,
    two_torus,
    white_noise,
    with_noise,
)
from chaos_core.systems.flows import Field, State

ROWS = 8000


def halvorsen(s: State) -> State:
    x, y, z = s
    return (
        -1.4 * x - 4 * y - 4 * z - y * y,
        -1.4 * y - 4 * z - 4 * x - z * z,
        -1.4 * z - 4 * x - 4 * y - x * x,
    )


def chen(s: State) -> State:
    x, y, z = s
    return 35 * (y - x), -7 * x - x * z + 28 * y, x * y - 3 * z


def sprott_b(s: State) -> State:
    x, y, z = s
    return y * z, x - y, 1 - x * y


def shimizu_morioka(s: State) -> State:
    x, y, z = s
    return y, x - 0.85 * y - x * z, -0.5 * z + x * x


def lorenz_stenflo(s: State) -> State:
    x, y, z, w = s
    return 2 * (y - x) + 1.5 * w, x * (26 - z) - y, x * y - 0.7 * z, -x - 2 * w


FLOWS: dict[str, tuple[Field, State, float]] = {
    "halvorsen": (halvorsen, (-5.0, 0.0, 0.5), 0.037),
    "chen": (chen, (-10.0, 0.1, 37.0), 0.0147),
    "sprott_b": (sprott_b, (0.05, 0.1, -0.1), 0.276),
    "shimizu_morioka": (shimizu_morioka, (0.1, 0.2, 0.2), 0.3),
    "lorenz_stenflo": (lorenz_stenflo, (1.0, 2.0, 10.0, 0.5), 0.097),
}


def benettin(field: Field, start: State, dt: float, steps: int) -> float:
    """Mean log growth per row of a difference that is brought back to 1e-8 after each row."""
    size = len(start)

    def pair(s: State) -> State:
        return (*field(s[:size]), *field(s[size:]))

    state = np.asarray(integrate(field, start, 2, dt, dt / 10, 200 * dt)[-1])
    offset = np.full(size, 1e-8 / np.sqrt(size))
    growth = []
    for _ in range(steps):
        after = integrate(pair, (*state.tolist(), *(state + offset).tolist()), 2, dt, dt / 10, 0.0)[-1]
        state, offset = after[:size], after[size:] - after[:size]
        growth.append(math.log(float(np.linalg.norm(offset)) / 1e-8))
        offset *= 1e-8 / np.linalg.norm(offset)
    return float(np.mean(growth[steps // 10 :]))


@pytest.fixture(scope="module", params=FLOWS)
def flow(request: pytest.FixtureRequest) -> tuple[Series, float]:
    field, start, dt = FLOWS[request.param]
    series = Series(integrate(field, start, ROWS, dt, dt / 10, 200 * dt), dt)
    return series, benettin(field, start, dt, 12_000)


def test_all_coordinates_of_a_flow_give_its_exponent_within_15_per_cent(flow: tuple[Series, float]) -> None:
    series, truth = flow
    found = analyse(series)
    assert found.verdict is Verdict.CHAOTIC
    assert found.lambda_max_per_step == pytest.approx(truth, rel=0.15)


def test_the_first_coordinate_of_a_flow_gives_its_exponent_within_40_per_cent(flow: tuple[Series, float]) -> None:
    series, truth = flow
    found = analyse(Series(series.x[:, 0], series.dt))
    assert found.verdict is Verdict.CHAOTIC
    assert found.lambda_max_per_step == pytest.approx(truth, rel=0.40)


def test_two_per_cent_of_noise_cost_no_more_than_40_per_cent(flow: tuple[Series, float]) -> None:
    series, truth = flow
    found = analyse(with_noise(series, 0.02, seed=5))
    assert found.lambda_max_per_step == pytest.approx(truth, rel=0.40)


@pytest.mark.parametrize(
    ("series", "truth", "tolerance"),
    [
        pytest.param(logistic(ROWS), math.log(2), 0.03, id="logistic"),
        pytest.param(henon(ROWS), 0.4192, 0.04, id="henon"),
        pytest.param(ikeda(ROWS), 0.507, 0.04, id="ikeda"),
        pytest.param(Series(henon(ROWS).x[:, 0]), 0.4192, 0.03, id="henon, first coordinate"),
        pytest.param(Series(ikeda(ROWS).x[:, 0]), 0.507, 0.15, id="ikeda, first coordinate"),
        pytest.param(lorenz63(20_000, 0.02), 0.9056 * 0.02, 0.05, id="lorenz"),
        pytest.param(rossler(20_000, 0.1), 0.0714 * 0.1, 0.20, id="rossler"),
        pytest.param(with_noise(lorenz63(40_000), 0.05), 0.9056 * 0.01, 0.15, id="lorenz, 5 % noise"),
        pytest.param(Series(lorenz63(40_000).x[:, 0]), 0.9056 * 0.01, 0.20, id="lorenz, first coordinate"),
    ],
)
def test_exact_and_published_exponents_are_found(series: Series, truth: float, tolerance: float) -> None:
    found = analyse(series)
    assert found.verdict is Verdict.CHAOTIC
    assert found.lambda_max_per_step == pytest.approx(truth, rel=tolerance)
    assert found.lambda_low_per_step is not None
    assert found.lambda_high_per_step is not None
    assert found.lambda_low_per_step <= truth <= found.lambda_high_per_step


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("seed", range(4))
def test_no_control_is_called_chaotic(seed: int, noise: float) -> None:
    controls = {
        "sine": (sine(ROWS, period=[40.3, 7.7, 3.3, 250.7][seed], phase=seed), Verdict.PERIODIC),
        "torus": (two_torus(ROWS, period=[40.3, 8.1, 25.5, 90.0][seed]), Verdict.QUASI_PERIODIC),
        "white": (white_noise(ROWS, seed=seed), Verdict.STOCHASTIC),
        "red": (ar1(ROWS, seed=seed), Verdict.STOCHASTIC),
        "oscillator": (ar2(ROWS, seed=seed), Verdict.STOCHASTIC),
        "surrogate": (surrogate(Series(lorenz63(ROWS, 0.0375, seed=seed).x[:, 0])), Verdict.STOCHASTIC),
    }
    noisy = {name: with_noise(s, noise, seed=seed) if noise else s for name, (s, _) in controls.items()}
    found = {name: analyse(series).verdict for name, series in noisy.items()}
    assert found == {name: verdict for name, (_, verdict) in controls.items()}
