"""External inputs: from the series through training to free runs and forecasts."""

import numpy as np
import pytest

from chaos_core.analysis import Analysis, analyse
from chaos_core.arrays import as_arrays
from chaos_core.cells.plrnn import PLRNN
from chaos_core.embedding import Embedding
from chaos_core.errors import BadShape, Inconsistent, NotFinite
from chaos_core.fitted import Fitted, from_safetensors, to_safetensors
from chaos_core.generation import generate
from chaos_core.observation import IdentityObservation
from chaos_core.pipeline import evaluate, fit
from chaos_core.planning import plan
from chaos_core.run import free_run, predict_ahead
from chaos_core.series import Scaling, Series
from chaos_core.spec import Plan, Spec
from chaos_core.training import Trainer

ROWS = 4000


def damped(rows: int = ROWS) -> Series:
    """x_t = 0.9 R x_{t-1} + (u_t, 0): a damped rotation kept moving by a random telegraph signal alone."""
    rng = np.random.default_rng(0)
    u = np.repeat(rng.choice([-1.0, 1.0], rows // 10 + 1), 10)[:rows]
    turn = 0.9 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    x, state = np.empty((rows, 2)), np.zeros(2)
    for t in range(rows):
        state = turn @ state + [u[t], 0.0]
        x[t] = state
    return Series(x, 1.0, names=("a", "b"), inputs=u, input_names=("stimulus",))


@pytest.fixture(scope="module")
def series() -> Series:
    return damped()


@pytest.fixture(scope="module")
def analysis(series: Series) -> Analysis:
    return analyse(series)


def made(analysis: Analysis, **training: object) -> Plan:
    """A cell without rectified units is linear, so it can become the rule of `damped` exactly."""
    words = {"updates": 800, "sequence_length": 30, "batch_size": 16, "validations": 4}
    words |= {"optimiser": "adam", "learning_rate": 1e-2, "clip_norm": 1.0, **training}
    cell = {"kind": "alrnn", "latent": 2, "rectified": 0}
    parts = {"cell": cell, "forcing": {"kind": "sparse", "tau": 10}}
    spec = {**parts, "training": words, "embedding": {"dim": 1}}
    return plan(Spec.model_validate(spec), analysis)


@pytest.fixture(scope="module")
def fitted(series: Series, analysis: Analysis) -> Fitted:
    return fit(series, made(analysis), 0)


def test_a_drive_moves_the_state_in_the_step_of_its_own_row() -> None:
    """z' = 0.5 z + u: row t of the inputs belongs to row t of the run."""
    params = {"A": np.array([0.5]), "W": np.zeros((1, 1)), "h": np.zeros(1), "C": np.array([[1.0]])}
    cell = PLRNN(latent=1, inputs=1)
    z = free_run(cell, params, [0.0], 4, np.array([[1.0], [0.0], [0.0], [2.0]]))
    np.testing.assert_array_equal(z[:, 0], [1.0, 0.5, 0.25, 2.125])


def test_forecasts_from_each_row_use_the_inputs_after_it(series: Series) -> None:
    turn = 0.9 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    off = turn - np.diag(np.diag(turn))
    shift = 100.0
    params = {"A": np.diag(turn).copy(), "W": off, "h": -off @ np.full(2, shift) + (shift - np.diag(turn) * shift)}
    params["C"] = np.array([[1.0], [0.0]])
    ahead = predict_ahead(PLRNN(latent=2, inputs=1), IdentityObservation(), params, series.x + shift, 7, series.inputs)
    np.testing.assert_allclose(ahead - shift, series.x[7:], atol=1e-9)


def test_a_plan_takes_the_inputs_of_the_series_unless_told_otherwise(analysis: Analysis) -> None:
    assert made(analysis).cell.inputs == 1
    deaf = plan(Spec.model_validate({"cell": {"kind": "plrnn", "inputs": 0}}), analysis)
    assert deaf.cell.inputs == 0
    with pytest.raises(Inconsistent):
        plan(Spec.model_validate({"cell": {"kind": "plrnn", "inputs": 3}}), analysis)


def test_a_driven_cell_learns_what_the_drive_does(series: Series, fitted: Fitted) -> None:
    test = series.split()[2]
    assert fitted.input_names == ("stimulus",)
    error = evaluate(fitted, test).prediction_error
    assert error.value is not None and error.detail["relative"] is not None
    assert float(error.detail["relative"]) < 0.01
    run = generate(fitted, test.length - 1, test.x[0], test.inputs[1:])
    assert np.abs(run - test.x[1:]).mean() < 0.05 * series.x.std()


def test_a_run_without_its_inputs_or_with_others_is_refused(fitted: Fitted) -> None:
    with pytest.raises(Inconsistent, match="stimulus"):
        generate(fitted, 10)
    with pytest.raises(Inconsistent, match="10 steps"):
        generate(fitted, 10, inputs=np.zeros((9, 1)))
    with pytest.raises(Inconsistent):
        generate(fitted, 10, inputs=np.zeros((10, 2)))
    undriven = Fitted(
        cell=PLRNN(latent=1),
        observation=IdentityObservation(),
        params={"A": np.zeros(1), "W": np.zeros((1, 1)), "h": np.zeros(1)},
        scaling=Scaling((0.0,), (1.0,)),
        embedding=Embedding(),
        dt=None,
        names=("x",),
        latent_start=np.zeros(1),
    )
    with pytest.raises(Inconsistent):
        generate(undriven, 3, inputs=np.zeros((3, 1)))


def test_a_driven_model_survives_its_file(fitted: Fitted) -> None:
    again = from_safetensors(to_safetensors(fitted))
    u = np.sin(np.arange(50.0))[:, None]
    np.testing.assert_array_equal(generate(again, 50, inputs=u), generate(fitted, 50, inputs=u))
    assert (again.input_names, again.input_scaling) == (fitted.input_names, fitted.input_scaling)


def test_a_driven_training_resumes_to_the_same_bits(series: Series, analysis: Analysis) -> None:
    the_plan = made(analysis, updates=40, validations=2, input_noise=0.1)
    straight = Trainer(series, the_plan, 1)
    for _ in straight:
        pass
    half = Trainer(series, the_plan, 1)
    for event in half:
        if event.update >= 20:
            break
    resumed = Trainer(series, the_plan, 1, half.checkpoint())
    for _ in resumed:
        pass
    first, second = (as_arrays(trainer.fitted().params) for trainer in (straight, resumed))
    assert all((np.asarray(first[name]) == np.asarray(second[name])).all() for name in first)


def test_inputs_are_checked_as_data_are() -> None:
    x = np.random.default_rng(0).standard_normal((50, 2))
    with pytest.raises(BadShape):
        Series(x, inputs=np.zeros(49))
    with pytest.raises(BadShape):
        Series(x, names=("a", "b"), inputs=np.zeros(50), input_names=("a",))
    with pytest.raises(NotFinite) as caught:
        Series(x, inputs=np.where(np.arange(50) == 7, np.nan, 0.0), missing="mask")
    assert caught.value.fields["row"] == 7
    assert caught.value.fields["column"] == "u0"


def test_a_series_keeps_its_inputs_through_pieces_files_and_digests(series: Series) -> None:
    again = Series.from_npz(series.to_npz())
    np.testing.assert_array_equal(again.inputs, series.inputs)
    assert again.input_names == ("stimulus",)
    assert again.digest() == series.digest()
    undriven = Series(series.x, 1.0, names=series.names)
    assert undriven.digest() != series.digest()
    np.testing.assert_array_equal(series.rows(10, 20).inputs, series.inputs[10:20])


def test_recordings_of_one_system_join_without_touching(series: Series) -> None:
    whole = Series.joined([series.rows(0, 100), series.rows(500, 560), series.rows(900, 1000)])
    assert [(run.start, run.stop) for run in whole.runs()] == [(0, 100), (100, 160), (160, 260)]
    np.testing.assert_array_equal(whole.inputs[100:160], series.inputs[500:560])
    with pytest.raises(BadShape, match="names"):
        Series.joined([series, Series(series.x)])
    with pytest.raises(BadShape):
        Series.joined([])
