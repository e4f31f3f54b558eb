"""The registry's exponents against two neighbouring orbits of equations that are written here once more.

Each flow starts from rows of the system itself, disturbed a little so that orbits do not follow each other. Two
neighbours a ten-millionth apart grow apart, are drawn together again, and the mean rate of growth is the exponent
(G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn 1980, doi:10.1007/BF02128236), here over many orbits at once.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from chaos_core.errors import ConstantChannel
from chaos_core.systems import SYSTEMS, system
from chaos_core.typing import Floats

Field = Callable[[Floats, Floats], Floats]
APART = 1e-7
KICK = 0.05
"""Share of each channel's spread."""


def lorenz63(t: Floats, s: Floats) -> Floats:
    x, y, z = s.T
    return np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], 1)


def rossler(t: Floats, s: Floats) -> Floats:
    x, y, z = s.T
    return np.stack([-y - z, x + 0.2 * y, 0.2 + z * (x - 5.7)], 1)


def lorenz96(t: Floats, s: Floats) -> Floats:
    return (np.roll(s, -1, 1) - np.roll(s, 2, 1)) * np.roll(s, 1, 1) - s + 8


def chua(t: Floats, s: Floats) -> Floats:
    """As Sprott writes it: the resistor's slopes counted from the line y = x."""
    x, y, z = s.T
    a, b = 8 / 7, 5 / 7
    return np.stack([9 * (y - x + b * x + (a - b) / 2 * (abs(x + 1) - abs(x - 1))), x - y + z, -100 / 7 * y], 1)


def duffing(t: Floats, s: Floats) -> Floats:
    x, v = s.T
    return np.stack([v, 0.4 * np.cos(t) - 0.25 * v + x - x**3], 1)


def bursting_neuron(t: Floats, s: Floats) -> Floats:
    v, n, h = s.T
    m, n_end, h_end = (1 / (1 + np.exp((half - v) / k)) for half, k in ((-20, 15), (-25, 5), (-15, 5)))
    block = 1 / (1 + 0.33 * np.exp(-0.0625 * v))
    inward = 8 * (v + 80) + 20 * m * (v - 60) + 10 * n * (v + 90) + 25 * h * (v + 90) + 10.2 * block * v
    return np.stack([-inward / 6, n_end - n, (h_end - h) / 200], 1)


class Case(NamedTuple):
    field: Field
    orbits: int
    time: float
    h: float
    tolerance: float


CASES = {
    "lorenz63": Case(lorenz63, 64, 100.0, 0.01, 0.02),
    "rossler": Case(rossler, 128, 400.0, 0.05, 0.05),
    "lorenz96": Case(lorenz96, 16, 60.0, 0.025, 0.04),
    "chua": Case(chua, 192, 200.0, 0.02, 0.04),
    "duffing": Case(duffing, 192, 200.0, 0.025, 0.04),
}
"""The last number is the relative error that so many orbits leave, three standard errors or so."""


def _carried(field: Field, t: Floats, s: Floats, h: float) -> Floats:
    k1 = field(t, s)
    k2 = field(t + h / 2, s + h / 2 * k1)
    k3 = field(t + h / 2, s + h / 2 * k2)
    return s + h / 6 * (k1 + 2 * k2 + 2 * k3 + field(t + h, s + h * k3))


def _growth(field: Field, t: Floats, s: Floats, h: float, steps: int) -> float:
    """Nats per time unit; the first tenth only turns the difference into the fastest direction."""
    count, every = len(s), 10
    t2 = np.concatenate([t, t])
    away = np.random.default_rng(0).standard_normal(s.shape)
    away *= APART / np.linalg.norm(away, axis=1, keepdims=True)
    total, counted = 0.0, 0
    for step in range(1, steps + 1):
        both = _carried(field, t2, np.concatenate([s, s + away]), h)
        s, away, t2 = both[:count], both[count:] - both[:count], t2 + h
        if step % every == 0:
            length = np.linalg.norm(away, axis=1)
            away *= (APART / length)[:, None]
            if step > steps // 10:
                total, counted = total + float(np.log(length / APART).mean()), counted + every
    return total / (counted * h)


@pytest.mark.parametrize("name", CASES)
def test_orbits_of_each_flow_part_at_the_published_rate(name: str) -> None:
    case, stride = CASES[name], 40
    series = system(name).generate(case.orbits * stride)
    assert series.dt is not None
    t = series.dt * np.arange(0.0, series.length, stride)
    kicks = KICK * series.x.std(axis=0) * np.random.default_rng(1).standard_normal((case.orbits, series.channels))
    found = _growth(case.field, t, series.x[::stride] + kicks, case.h, round(case.time / case.h))
    assert found == pytest.approx(SYSTEMS[name].lambda_max, rel=case.tolerance)


@pytest.mark.parametrize("name", [*CASES, "bursting_neuron"])
def test_rows_of_each_flow_follow_the_equations(name: str) -> None:
    field = bursting_neuron if name == "bursting_neuron" else CASES[name].field
    dt = 0.01 if name == "bursting_neuron" else 0.001
    x = system(name, dt=dt).generate(2000).x
    t = dt * np.arange(2000.0)
    slope = (x[2:] - x[:-2]) / (2 * dt)
    expected = field(t[1:-1], x[1:-1])
    np.testing.assert_allclose(slope, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("name", CASES)
def test_a_row_is_the_row_before_carried_on(name: str) -> None:
    """Sixteen small steps of a second integrator from each row hit the next one."""
    made = system(name)
    x = made.generate(200).x
    t, s = made.sampling_step * np.arange(199.0), x[:-1]
    h = made.sampling_step / 16
    for _ in range(16):
        s, t = _carried(CASES[name].field, t, s, h), t + h
    rough = {"lorenz63": 1e-4, "rossler": 1e-4, "chua": 1e-4}
    np.testing.assert_allclose(s, x[1:], atol=rough.get(name, 1e-6))


def test_exponents_of_the_flows_add_up_to_the_mean_divergence() -> None:
    rossler_x = system("rossler").generate(20_000).x[:, 0]
    chua_x = system("chua").generate(20_000).x[:, 0]
    inner = np.abs(chua_x) < 1
    divergence = {
        "lorenz63": -(10 + 1 + 8 / 3),
        "rossler": 0.2 + rossler_x.mean() - 5.7,
        "chua": np.where(inner, -9 * (1 - 8 / 7), -9 * (1 - 5 / 7)).mean() - 1,
        "duffing": -0.25,
        "henon": np.log(0.3),
    }
    for name, expected in divergence.items():
        assert sum(SYSTEMS[name].spectrum or ()) == pytest.approx(expected, rel=0.05), name


def test_the_bursting_neuron_repeats_its_bursts() -> None:
    """Fifteen spikes, then a rest of 84 ms; a cycle's largest exponent is 0."""
    v = system("bursting_neuron", dt=0.1, transient=3000.0).generate(9000).x[:, 0]
    spikes = 0.1 * np.flatnonzero((v[1:] > -30) & (v[:-1] <= -30))
    rests = np.flatnonzero(np.diff(spikes) > 50)
    assert len(rests) >= 5
    assert set(np.diff(rests)) == {15}
    np.testing.assert_allclose(np.diff(spikes[rests]), np.diff(spikes[rests])[0], atol=0.3)


def test_tangent_vectors_of_mackey_and_glass_grow_at_the_rate_of_the_registry() -> None:
    """u' = f'(x(t - 17)) u(t - 17) - u / 10 beside the orbit, on a grid that keeps the middle of each step."""
    back, h, orbits, rounds = 200, 0.17, 96, 150
    rows = system("mackey_glass", dt=h / 2).generate(orbits * 100 + back).x[:, 0]
    kicks = 0.3 * rows.std() * np.random.default_rng(1).standard_normal(orbits)
    x = [np.stack([rows[k : k + orbits * 100 : 100] + kicks, np.ones(orbits)]) for k in range(back + 1)]

    def rate(now: Floats, old: Floats) -> Floats:
        q = old[0] ** 10
        return np.stack([0.2 * old[0] / (1 + q), 0.2 * (1 - 9 * q) / (1 + q) ** 2 * old[1]]) - 0.1 * now

    total = 0.0
    for turn in range(rounds):
        for _ in range(back // 2):
            start, middle, end = x[-back - 1], x[-back], x[-back + 1]
            k1 = rate(x[-1], start)
            k2 = rate(x[-1] + h / 2 * k1, middle)
            k3 = rate(x[-1] + h / 2 * k2, middle)
            k4 = rate(x[-1] + h * k3, end)
            after = x[-1] + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            slope = rate(after, end)
            x += [(x[-1] + after) / 2 + h / 8 * (k1 - slope), after]
        x = x[-back - 1 :]
        length = np.sqrt(sum(part[1] ** 2 for part in x))
        x = [np.stack([part[0], part[1] / length]) for part in x]
        if turn >= rounds // 10:
            total += float(np.log(length).mean())
    found = total / (17.0 * (rounds - rounds // 10))
    assert found == pytest.approx(SYSTEMS["mackey_glass"].lambda_max, rel=0.06)


def _jacobians(name: str, x: Floats) -> Floats:
    if name == "logistic":
        return (4 - 8 * x[:, :, None]).reshape(-1, 1, 1)
    if name == "henon":
        return np.array([[[-2.8 * a, 1.0], [0.3, 0.0]] for a, _ in x])
    z = x[:, 0] + 1j * x[:, 1]
    r = 1 + np.abs(z) ** 2
    turned = 0.9 * np.exp(1j * (0.4 - 6 / r))
    dx, dy = (turned * (unit + z * 12j / r**2 * part) for unit, part in ((1, z.real), (1j, z.imag)))
    return np.stack([np.stack([dx.real, dy.real], 1), np.stack([dx.imag, dy.imag], 1)], 1)


@pytest.mark.parametrize("name", ["logistic", "henon", "ikeda"])
def test_tangent_vectors_of_each_map_grow_at_the_published_rate(name: str) -> None:
    jacobians = _jacobians(name, system(name).generate(20_000).x)
    vector, total = np.ones(jacobians.shape[-1]), 0.0
    for jacobian in jacobians:
        vector = jacobian @ vector
        length = float(np.linalg.norm(vector))
        vector, total = vector / length, total + np.log(length)
    assert total / len(jacobians) == pytest.approx(SYSTEMS[name].lambda_max, rel=0.02)


def test_areas_of_the_henon_map_shrink_by_b_in_each_step() -> None:
    """Where rows come close to each other, they and what follows them span triangles of ratio b."""
    now, after = (system("henon").generate(20_000).x[part] for part in (slice(None, -1), slice(1, None)))
    ratios = []
    for place in range(0, 2000, 20):
        near = np.argsort(np.linalg.norm(now - now[place], axis=1))[1:3]
        areas = [np.linalg.det(rows[near] - rows[place]) for rows in (now, after)]
        if abs(areas[0]) > 1e-8:
            ratios.append(areas[1] / areas[0])
    assert len(ratios) > 10
    assert np.median(ratios) == pytest.approx(-0.3, rel=0.01)


def test_a_henon_map_that_folds_little_rests_at_its_fixed_point() -> None:
    with pytest.raises(ConstantChannel) as rests:
        system("henon", a=0.2).generate(100)
    assert rests.value.fields["value"] == pytest.approx((-0.7 + np.sqrt(0.49 + 0.8)) / 0.4)


def test_the_force_of_duffing_is_what_its_rows_feel() -> None:
    made = system("duffing", dt=0.001, omega=1.3, gamma=0.5, force_known=True)
    series = made.generate(2000)
    x, v = series.x.T
    stiffness = (x[1:] + x[:-1]) / 2 - ((x[1:] + x[:-1]) / 2) ** 3
    felt = np.diff(v) / 0.001 + 0.25 * (v[1:] + v[:-1]) / 2 - stiffness
    assert series.input_names == ("force",)
    np.testing.assert_allclose(felt, series.inputs[1:, 0], atol=1e-5)
    np.testing.assert_array_equal(series.inputs, made.drive(2000))
    assert system("duffing").generate(100).driven_by == 0
