import math
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from chaos_core.analysis import analyse
from chaos_core.errors import ConstantChannel, Inconsistent, TooLarge, TooShort, UnknownColumn, UnknownKind
from chaos_core.readers import ReadOptions, read
from chaos_core.series import Series
from chaos_core.systems import (
    SYSTEMS,
    AnySystem,
    System,
    ar1,
    ar2,
    as_csv,
    henon,
    integrate,
    logistic,
    lorenz63,
    record,
    rossler,
    sine,
    surrogate,
    system,
    table,
    two_torus,
    with_noise,
)
from chaos_core.systems.base import Meter
from chaos_core.systems.flows import Lorenz63
from chaos_core.systems.integration import solve_delayed


@pytest.mark.parametrize("name", SYSTEMS)
def test_each_system_gives_a_series_of_the_asked_length_and_the_same_one_twice(name: str) -> None:
    first, second = system(name).generate(300), system(name).generate(300)
    assert isinstance(first, Series)
    assert (first.length, first.names) == (300, system(name).names)
    assert first.dt == system(name).sampling_step > 0
    np.testing.assert_array_equal(first.x, second.x)


SPIKY = {"bursting_neuron"}
"""A cycle of spikes that 6000 rows leave rough: the analysis takes it for weak chaos (0.001 per ms)."""


@pytest.mark.parametrize("name", sorted(set(SYSTEMS) - SPIKY))
def test_each_system_is_what_the_registry_says_it_is(name: str) -> None:
    assert analyse(system(name).generate(6000)).verdict == SYSTEMS[name].nature


@pytest.mark.parametrize("name", SYSTEMS)
def test_each_system_says_what_is_known_of_it(name: str) -> None:
    kind = SYSTEMS[name]
    assert kind.equation and kind.citation and kind.lambda_source and "Source:" in (kind.__doc__ or "")
    assert (kind.lambda_max is None) == (kind.nature == "stochastic")
    assert (kind.lambda_max is not None and kind.lambda_max > 0) == (kind.nature == "chaotic")
    if kind.spectrum is not None:
        assert kind.spectrum[0] == kind.lambda_max
        assert sorted(kind.spectrum, reverse=True) == list(kind.spectrum)
    fields = kind.model_json_schema()["properties"]
    assert [field for field in fields if field != "kind" and not fields[field].get("description")] == []


@pytest.mark.parametrize("name", SYSTEMS)
def test_settings_survive_the_way_through_json(name: str) -> None:
    made = system(name)
    adapter: TypeAdapter[System] = TypeAdapter(AnySystem)
    assert adapter.validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize("name", [name for name in SYSTEMS if "seed" in SYSTEMS[name].model_fields])
def test_seeds_give_different_orbits(name: str) -> None:
    assert not np.allclose(system(name, seed=0).generate(200).x, system(name, seed=1).generate(200).x)


def test_the_functions_are_the_systems() -> None:
    np.testing.assert_array_equal(
        lorenz63(100, 0.02, rho=38.0, seed=2).x, Lorenz63(dt=0.02, rho=38, seed=2).generate(100).x
    )
    np.testing.assert_array_equal(henon(100, a=1.3).x, system("henon", a=1.3).generate(100).x)


def test_an_unknown_system_or_setting_is_named() -> None:
    with pytest.raises(UnknownKind, match="no system 'lorentz'; known: ar1, ar2") as unknown:
        system("lorentz")
    assert "lorenz63" in unknown.value.fields["known"]
    with pytest.raises(match="'lorenz63' cannot have these settings: sigm: Extra inputs"):
        system("lorenz63", sigm=10)
    for settings in ({"dt": 0.0}, {"dt": float("nan")}, {"transient": -1.0}, {"seed": -1}, {"rho": float("inf")}):
        with pytest.raises(match=next(iter(settings))):
            system("lorenz63", **settings)
    with pytest.raises(match=r"'surrogate' .* of"):
        system("surrogate", of={"kind": "surrogate"})


def test_parameters_that_run_away_or_rest_are_refused() -> None:
    with pytest.raises(Inconsistent, match=r"'henon' runs to infinity before its first row with a=2"):
        system("henon", a=2.0).generate(100)
    with pytest.raises(Inconsistent, match="'logistic' runs to infinity at row"):
        system("logistic", r=4.5, transient=0).generate(100)
    with pytest.raises(Inconsistent, match="cannot be integrated"):
        system("duffing", beta=-1.0, alpha=-1.0).generate(100)
    with pytest.raises(ConstantChannel):
        system("logistic", r=2.5).generate(100)
    with pytest.raises(Inconsistent, match="no channel 'w'; it has x, y, z"):
        system("surrogate", channel="w").generate(100)
    with pytest.raises(TooShort):
        system("sine").generate(31)


@pytest.mark.parametrize("name", SYSTEMS)
def test_work_has_a_limit(name: str) -> None:
    with pytest.raises(TooLarge) as refused:
        system(name).generate(1000, limit=99)
    assert refused.value.fields["limit"] == 99


def test_the_integrator_is_of_fourth_order() -> None:
    def error(h: float) -> float:
        rows = integrate(lambda s: (s[1], -s[0]), (0.0, 1.0), 11, 1.0, h, burn_in=0.0)
        return float(np.abs(rows[:, 0] - np.sin(np.arange(11))).max())

    assert error(0.1) / error(0.05) == pytest.approx(16, rel=0.1)
    assert error(0.05) < 1e-6


def test_the_delay_solver_follows_the_exact_solution() -> None:
    """x' = -x - x(t - d) / 2 after a constant past of 1, by variation of constants in the first two delays.

    With u = t and u = t - d: x = 3/2 exp(-u) - 1/2, then x = c exp(-u) - (3/4) u exp(-u) + 1/4.
    """
    delay = 0.97

    def exact(t: float) -> float:
        if t <= delay:
            return 1.5 * math.exp(-t) - 0.5
        u, reached = t - delay, 1.5 * math.exp(-delay) - 0.5
        return (reached - 0.25) * math.exp(-u) - 0.75 * u * math.exp(-u) + 0.25

    def error(h_max: float) -> float:
        made = solve_delayed(
            lambda x, before: -x - before / 2, 1.0, delay, 38, 0.05, h_max=h_max, transient=0.0, meter=Meter()
        )
        return float(np.abs(made - [exact(0.05 * i) for i in range(38)]).max())

    assert error(0.1) / error(0.05) == pytest.approx(16, rel=0.25)
    assert error(0.05) < 1e-6


def test_rows_of_lorenz_follow_its_equations() -> None:
    series = lorenz63(2000, 0.001)
    x, y, z = series.x[1:-1].T
    slope = (series.x[2:] - series.x[:-2]) / 0.002
    np.testing.assert_allclose(slope, np.c_[10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], atol=0.05)


def test_rows_of_rossler_follow_its_equations() -> None:
    series = rossler(1000, 0.005)
    x, y, z = series.x[1:-1].T
    slope = (series.x[2:] - series.x[:-2]) / 0.01
    np.testing.assert_allclose(slope, np.c_[-y - z, x + 0.2 * y, 0.2 + z * (x - 5.7)], atol=0.02)


def test_rows_of_the_maps_follow_their_rules() -> None:
    x, y = henon(500).x.T
    np.testing.assert_allclose(x[1:], 1 - 1.4 * x[:-1] ** 2 + y[:-1], atol=1e-14)
    np.testing.assert_allclose(y[1:], 0.3 * x[:-1], atol=1e-14)
    v = logistic(500, r=3.8).x[:, 0]
    np.testing.assert_allclose(v[1:], 3.8 * v[:-1] * (1 - v[:-1]), atol=1e-14)


def test_lorenz_stays_in_the_published_box_and_visits_both_wings() -> None:
    x, _, z = lorenz63(5000).x.T
    assert np.abs(x).max() < 20
    assert z.min() > 0
    assert z.max() < 50
    assert 0.2 < (x > 0).mean() < 0.8


def test_autoregressive_noise_has_its_theoretical_spread_and_memory() -> None:
    x = ar1(200_000, memory=0.9).x[:, 0]
    assert x.std() == pytest.approx(1 / np.sqrt(1 - 0.81), rel=0.02)
    assert np.corrcoef(x[1:], x[:-1])[0, 1] == pytest.approx(0.9, abs=0.01)
    v = ar2(200_000, period=40.0, memory=0.98).x[:, 0]
    expected = 2 * 0.98 * np.cos(2 * np.pi / 40) / (1 + 0.98**2)
    assert np.corrcoef(v[1:], v[:-1])[0, 1] == pytest.approx(expected, abs=0.005)


def test_a_surrogate_keeps_the_values_and_nearly_the_spectrum() -> None:
    x = Series(lorenz63(2000, 0.04).x[:, 0], 0.04)
    y = surrogate(x)
    np.testing.assert_allclose(np.sort(y.x[:, 0]), np.sort(x.x[:, 0]))
    power_x, power_y = (np.abs(np.fft.rfft(s.x[:, 0] - s.x.mean())) for s in (x, y))
    assert np.linalg.norm(power_x - power_y) < 0.05 * np.linalg.norm(power_x)
    assert not np.allclose(x.x, y.x, atol=0.5)


def test_added_noise_has_the_asked_share_in_each_channel_and_keeps_gaps() -> None:
    clean = lorenz63(20_000)
    noise = with_noise(clean, 0.05).x - clean.x
    np.testing.assert_allclose(noise.std(axis=0) / clean.x.std(axis=0), 0.05, rtol=0.05)
    gappy = clean.x[:100].copy()
    gappy[10, 1] = np.nan
    assert with_noise(Series(gappy, missing="mask"), 0.05).mask[10, 1]


def test_waves_have_their_periods() -> None:
    assert sine(1000, period=50.0).x[50, 0] == pytest.approx(0.0, abs=1e-12)
    x = two_torus(1000, period=20.0, second=0.0).x[:, 0]
    np.testing.assert_allclose(x[20:], x[:-20], atol=1e-12)


def test_a_system_surrogate_is_the_twin_of_one_channel() -> None:
    made = system("surrogate", of={"kind": "rossler", "dt": 0.2}, channel="z").generate(500)
    z = rossler(500, 0.2).x[:, 2]
    assert (made.names, made.dt) == (("z",), 0.2)
    np.testing.assert_array_equal(np.sort(made.x[:, 0]), np.sort(z))


def test_a_recording_has_the_asked_channels_and_noise() -> None:
    full, part = (record(Lorenz63(), 500, noise=0.1, channels=names) for names in (None, ["z", "x"]))
    np.testing.assert_array_equal(part.x, full.x[:, [2, 0]])
    np.testing.assert_array_equal(full.x, with_noise(lorenz63(500), 0.1).x)
    assert part.names == ("z", "x")
    with pytest.raises(UnknownColumn, match="no channel 'w'"):
        record(Lorenz63(), 500, channels=["w"])


def test_a_recording_keeps_the_external_inputs() -> None:
    made = record(system("duffing", force_known=True), 100, noise=0.1, channels=["v"])
    np.testing.assert_array_equal(made.inputs, system("duffing").drive(100))
    assert as_csv(made).splitlines()[0] == b"v,force"


def test_a_csv_reads_back_equal(tmp_path: Path) -> None:
    series = record(Lorenz63(), 200, noise=0.01)
    (tmp_path / "orbit.csv").write_bytes(as_csv(series))
    again = read(tmp_path / "orbit.csv", options=ReadOptions(dt=0.01))
    assert again.digest() == series.digest()


def test_the_page_of_systems_is_that_of_the_registry() -> None:
    page = (Path(__file__).parents[2] / "docs" / "systems.md").read_text()
    shown = page.split("<!-- systems -->\n")[1].split("<!-- /systems -->")[0]
    assert shown == table(), "put what `chaos_core.systems.table()` returns between the two marks"
