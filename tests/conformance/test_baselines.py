"""What every baseline must do; a new file in chaos_core/baselines is tested by itself."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from chaos_core.baselines import BASELINES, AnyBaseline, Baseline, Forecaster
from chaos_core.comparison import compare, score_baselines
from chaos_core.embedding import Embedding
from chaos_core.errors import BadShape, BadStep, EmptyData, Inconsistent, NotFinite, NotReal, TooShort
from chaos_core.series import Series
from chaos_core.systems import lorenz63

ROOT = Path(__file__).parents[2]
LORENZ = lorenz63(4000, dt=0.02)
KNOWN, TEST = LORENZ.rows(0, 3200), LORENZ.rows(3200, 4000)
FIXED = {
    "ngrc": {"lag": 1, "degree": 2, "ridge": 1e-8},
    "reservoir": {"units": 60, "spectral_radius": 0.5, "leak": 1.0, "input_scaling": 0.3, "ridge": 1e-8, "washout": 40},
    "sampled": {"units": 80, "ridge": 1e-8},
    "sindy": {"threshold": 0.01, "smoothing": 0},
}


def quick(kind: str) -> Baseline:
    """Settings that leave nothing to search, so that a test takes a blink."""
    return BASELINES[kind](**FIXED.get(kind, {}))


@pytest.fixture(params=sorted(BASELINES))
def baseline(request: pytest.FixtureRequest) -> Baseline:
    return quick(request.param)


@pytest.fixture
def fitted(baseline: Baseline) -> Forecaster:
    return baseline.fit(KNOWN.x, dt=KNOWN.dt)


def test_the_registry_holds_the_seven_kinds() -> None:
    kinds = ["mean", "ngrc", "parroting", "persistence", "reservoir", "sampled", "sindy"]
    assert list(BASELINES) == kinds


@pytest.mark.parametrize("kind", BASELINES)
def test_every_kind_works_with_its_default_settings(kind: str) -> None:
    forecaster = BASELINES[kind]().fit(KNOWN.x[:600], dt=KNOWN.dt)
    assert np.isfinite(forecaster.run(KNOWN.x[:600], 50)).all()


@pytest.mark.parametrize("steps", [0, 1, 25, 400])
def test_a_run_has_the_steps_and_channels_asked_for(fitted: Forecaster, steps: int) -> None:
    run = fitted.run(KNOWN.x, steps)
    assert run.shape == (steps, 3)
    assert run.dtype == np.float64
    assert np.isfinite(run).all()


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_number_of_channels_goes(baseline: Baseline, channels: int) -> None:
    x = np.random.default_rng(0).standard_normal((400, channels)).cumsum(axis=0) * 0.1
    fitted = baseline.fit(x)
    assert fitted.run(x, 3).shape == (3, channels)
    assert fitted.ahead(x, x[:50], 7).shape == (50, channels)


def test_forecasts_are_aligned_with_the_piece_and_begin_n_rows_into_it(fitted: Forecaster) -> None:
    forecast = fitted.ahead(KNOWN.x, TEST.x[:100], 12)
    assert forecast.shape == (100, 3)
    assert np.isnan(forecast[:12]).all()
    assert np.isfinite(forecast[12:]).all()


def test_a_piece_shorter_than_the_horizon_has_no_forecast(fitted: Forecaster) -> None:
    assert np.isnan(fitted.ahead(KNOWN.x, TEST.x[:12], 12)).all()


def test_a_forecast_from_a_row_is_where_a_run_from_that_row_arrives(fitted: Forecaster) -> None:
    context, piece = KNOWN.x[-150:], TEST.x[:40]
    forecast = fitted.ahead(context, piece, 12)
    for row in (12, 25, 39):
        past = np.concatenate([context, piece[: row - 12 + 1]])
        np.testing.assert_allclose(forecast[row], fitted.run(past, 12)[-1], rtol=1e-9, atol=1e-9)


def test_the_same_data_and_settings_give_the_same_numbers(baseline: Baseline) -> None:
    first, second = (baseline.fit(KNOWN.x, dt=KNOWN.dt).run(KNOWN.x, 60) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", ["reservoir", "sampled"])
def test_another_seed_gives_other_numbers(kind: str) -> None:
    other = quick(kind).model_copy(update={"seed": 1})
    first, second = (one.fit(KNOWN.x).run(KNOWN.x, 60) for one in (quick(kind), other))
    assert not np.array_equal(first, second)


def test_the_unit_of_a_channel_does_not_matter(baseline: Baseline) -> None:
    scale, shift = np.array([1e-3, 1.0, 1e4]), np.array([5.0, -20.0, 0.0])
    first = baseline.fit(KNOWN.x).run(KNOWN.x, 30)
    second = baseline.fit(KNOWN.x * scale + shift).run(KNOWN.x * scale + shift, 30)
    np.testing.assert_allclose((second - shift) / scale, first, rtol=1e-3, atol=1e-2)


def test_settings_survive_json_and_come_back_as_the_same_class(baseline: Baseline) -> None:
    text = baseline.model_dump_json()
    back = TypeAdapter(AnyBaseline).validate_json(text)
    assert back == baseline
    assert type(back) is type(baseline)


def test_a_kind_or_setting_that_there_is_not_is_refused() -> None:
    for words in ({"kind": "oracle"}, {"kind": "mean", "window": 3}, {"kind": "parroting", "window": 0}):
        with pytest.raises(ValidationError):
            TypeAdapter(AnyBaseline).validate_python(words)


def test_every_setting_says_what_it_is(baseline: Baseline) -> None:
    fields = {name: field for name, field in type(baseline).model_fields.items() if name != "kind"}
    assert [name for name, field in fields.items() if not field.description] == []


def test_a_baseline_states_its_source(baseline: Baseline) -> None:
    assert "doi:" in baseline.citation or "arXiv:" in baseline.citation
    assert "Source:" in (inspect.getdoc(type(baseline)) or "")


def test_gaps_are_refused_with_their_place(baseline: Baseline, fitted: Forecaster) -> None:
    x = KNOWN.x.copy()
    x[7, 1] = np.nan
    for call in (lambda: baseline.fit(x), lambda: fitted.run(x, 5), lambda: fitted.ahead(KNOWN.x, x, 5)):
        with pytest.raises(NotFinite) as caught:
            call()
        assert caught.value.fields == {"row": 7, "column": "x1"}


def test_too_few_rows_are_an_error(baseline: Baseline, fitted: Forecaster) -> None:
    with pytest.raises(TooShort):
        baseline.fit(KNOWN.x[:20])
    with pytest.raises(TooShort):
        fitted.run(KNOWN.x[: fitted.context_rows - 1], 5)


def test_misuse_is_an_error(baseline: Baseline, fitted: Forecaster) -> None:
    with pytest.raises(EmptyData):
        baseline.fit([])
    with pytest.raises(BadShape):
        baseline.fit(np.zeros((2, 50, 3)))
    with pytest.raises(BadShape):
        baseline.fit([KNOWN.x, KNOWN.x[:, :2]])
    with pytest.raises(NotReal):
        baseline.fit(np.full((50, 1), "a"))
    with pytest.raises(BadStep):
        baseline.fit(KNOWN.x, dt=0.0)
    with pytest.raises(BadShape):
        fitted.run(KNOWN.x[:, :2], 5)
    with pytest.raises(Inconsistent):
        fitted.run(KNOWN.x, -1)
    with pytest.raises(Inconsistent):
        fitted.ahead(KNOWN.x, TEST.x, 0)


def test_a_constant_channel_stays_what_it_is(baseline: Baseline) -> None:
    x = np.column_stack([KNOWN.x, np.full(len(KNOWN.x), 4.5)])
    run = baseline.fit(x).run(x, 40)
    assert np.isfinite(run).all()
    np.testing.assert_allclose(run[:, 3], 4.5, rtol=1e-6)


def test_nothing_is_learnt_across_the_edge_of_two_pieces(baseline: Baseline) -> None:
    """The second piece is far away: a pair of rows across the edge would be the largest step of all, by far."""
    pieces = [KNOWN.x[:1600], KNOWN.x[:1600]]
    twice = baseline.fit(pieces).run(KNOWN.x[:1600], 20)
    backwards = baseline.fit(pieces[::-1]).run(KNOWN.x[:1600], 20)
    np.testing.assert_allclose(twice, backwards, rtol=1e-6, atol=1e-6)
    away = [KNOWN.x[:1600], KNOWN.x[1600:]]
    truth = KNOWN.x[1600:1605]
    one_step = baseline.fit(away).run(KNOWN.x[:1600], 5)
    if baseline.model_dump()["kind"] in FIXED:
        np.testing.assert_allclose(one_step, truth, atol=0.05)


@pytest.mark.parametrize("kind", ["ngrc", "sampled", "sindy"])
def test_kinds_without_a_memory_see_the_delay_coordinates_of_the_embedding(kind: str) -> None:
    x = LORENZ.x[:, :1]
    settings = {name: value for name, value in FIXED[kind].items() if name != "lag"}
    kinds = [
        BASELINES[kind](**settings).fit(x[:3200], embedding=embedding)
        for embedding in (Embedding(), Embedding(dim=5, lag=3))
    ]
    assert kinds[1].context_rows == 13
    without, with_past = (float(np.nanmean((one.ahead(x[:3200], x[3200:], 1) - x[3200:]) ** 2)) for one in kinds)
    assert with_past < 0.5 * without


def test_a_run_that_escapes_is_reported_by_the_scores_and_raises_nothing(baseline: Baseline) -> None:
    """Doubling numbers: maps that extrapolate leave all bounds, and the others miss the growth."""
    growing = Series(2.0 ** (np.arange(900) / 10.0)[:, None] * [1.0, -1.0])
    found = compare(baseline, growing.rows(0, 600), growing.rows(600, 900))
    scores = found.scores.model_dump()
    assert all((score["value"] is None) == bool(score["reason"]) for score in scores.values() if score)
    if not np.isfinite(found.run).all():
        assert "not finite" in (found.scores.d_stsp.reason or "")


def test_scores_of_all_kinds_come_by_kind_with_a_value_or_a_reason() -> None:
    found = score_baselines(KNOWN, TEST, baselines=[quick(kind) for kind in BASELINES])
    assert list(found) == list(BASELINES)
    for kind, scores in found.items():
        for score in (scores.d_stsp, scores.d_h, scores.prediction_error, scores.power_spectrum_correlation):
            assert score is not None
            assert (score.value is None) == (score.reason is not None), kind
    assert "constant" in (found["persistence"].d_h.reason or "")


def test_a_baseline_that_the_data_do_not_allow_has_the_reason_in_place_of_its_scores() -> None:
    found = score_baselines(KNOWN.rows(0, 60), TEST, baselines=[quick("reservoir"), quick("mean")])
    assert "washout" in (found["reservoir"].d_h.reason or "")
    assert found["mean"].d_stsp.value is not None


def test_noise_is_added_to_runs_that_are_free_of_it_and_not_to_copies_of_data() -> None:
    found = score_baselines(KNOWN, TEST, baselines=[quick("ngrc"), quick("parroting")], noise=(0.5, 0.5, 0.5))
    assert found["ngrc"].d_stsp.detail["observation_noise"] == [0.5, 0.5, 0.5]
    assert "observation_noise" not in found["parroting"].d_stsp.detail


def test_a_long_gap_in_the_known_data_is_not_crossed_and_a_test_piece_with_one_uses_its_longest_run() -> None:
    x = LORENZ.x.copy()
    x[1000:1200] = np.nan
    x[3300:3500] = np.nan
    holed = Series(x, LORENZ.dt, missing="mask")
    found = compare(quick("ngrc"), holed.rows(0, 3200), holed.rows(3200, 4000))
    relative = found.scores.prediction_error.detail["relative"]
    assert isinstance(relative, float) and relative < 1e-3
    assert found.scores.d_h.detail["rows_true"] == 500


def _loaded(code: str, *unwanted: str) -> list[str]:
    show = f"; import sys; print(*[name for name in {unwanted!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + show], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_the_registry_is_imported_without_heavy_libraries() -> None:
    heavy = ("torch", "scipy", "sklearn", "pysindy", "reservoirpy", "matplotlib")
    assert _loaded("import chaos_core.baselines", *heavy) == []


def test_fitting_and_scoring_need_no_torch() -> None:
    code = (
        "from chaos_core.comparison import score_baselines; from chaos_core.systems import lorenz63; "
        "s = lorenz63(400, dt=0.02); score_baselines(s.rows(0, 190), s.rows(190, 400))"
    )
    assert _loaded(code, "torch") == []
