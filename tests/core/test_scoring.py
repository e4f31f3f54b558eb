"""Scores of two trajectories without a model, against what is known of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from chaos_core.errors import Inconsistent
from chaos_core.generation import generate
from chaos_core.metrics import METRICS, Score
from chaos_core.pipeline import evaluate
from chaos_core.scoring import mean_scores, score_series
from chaos_core.scoring_options import Scoring, check_dt
from chaos_core.selection import settled
from chaos_core.systems import lorenz63
from tests.core.test_pipeline import circle, turning


def test_a_series_against_itself_is_perfect() -> None:
    x = lorenz63(4000, dt=0.05).x
    scores = score_series(x, x, Scoring(generated_as="forecast_path", lambda_max_per_step=0.045))
    for name in ("d_stsp", "d_h", "correlation_dimension_difference", "mase", "smape"):
        assert scores[name].value == pytest.approx(0.0, abs=1e-9), name
    assert abs(scores["d_stsp_gmm"].value or 0.0) < 1e-9
    assert scores["power_spectrum_correlation"].value == pytest.approx(1.0)
    assert scores["valid_prediction_time"].value == pytest.approx(0.045 * 4000)
    assert scores["d_stsp"].floor is not None and scores["d_stsp"].floor > 0.5


@pytest.mark.parametrize("preset", ["dsr-v1", "gtf"])
def test_they_are_the_scores_of_the_jobs_own_evaluation(preset: str) -> None:
    model = replace(turning(), observation_noise=(0.05, 0.05))
    test = circle(4000, noise=0.05)
    own = evaluate(model, test, preset=preset)
    run = generate(model, 5000, test.x[0])
    how = Scoring(preset=preset, noise=model.observation_noise, discard_share=0.2)
    mine = score_series(test.x, run, how)
    for name in ("d_stsp", "d_h", "power_spectrum_correlation"):
        assert mine[name] == getattr(own, name), name
    kept = score_series(test.x, settled(run, 0.2), how.model_copy(update={"discard_share": 0.0}))
    assert kept == mine


def test_forecasts_have_their_analytic_errors() -> None:
    x = lorenz63(2000, dt=0.05).x
    ahead = score_series(x, x + 0.5, Scoring(generated_as="forecast_from_every_row", prediction_steps=7))
    assert ahead["prediction_error"].value == pytest.approx(0.25)
    assert ahead["prediction_error"].detail["n"] == 7
    assert {name for name, score in ahead.items() if score.value is not None} == {"prediction_error"}
    late = x.copy()
    late[100:] += 1000.0
    path = score_series(x, late, Scoring(generated_as="forecast_path", lambda_max_per_step=0.045))
    assert path["valid_prediction_time"].detail["rows_valid"] >= 100
    assert path["mase"].value is not None


def test_every_metric_has_a_value_or_a_reason_and_never_nan() -> None:
    x = lorenz63(1000, dt=0.05).x
    broken = x.copy()
    broken[500:] = np.nan
    for run in (x[:700], broken, np.zeros_like(x)):
        scores = score_series(x, run, Scoring())
        assert list(scores) == list(METRICS)
        assert all((score.value is None) != (score.reason is None) for score in scores.values())
        json.dumps({name: score.model_dump(mode="json") for name, score in scores.items()}, allow_nan=False)
    assert "trained model" in str(scores["lambda_ratio"].reason)
    assert "forecast_path" in str(scores["mase"].reason)
    assert "exponent" in str(score_series(x, x, Scoring(generated_as="forecast_path"))["valid_prediction_time"].reason)


def test_what_does_not_fit_together_is_refused() -> None:
    x = lorenz63(200, dt=0.05).x
    with pytest.raises(Inconsistent, match="columns"):
        score_series(x, x[:, :2], Scoring())
    with pytest.raises(Inconsistent, match="same rows"):
        score_series(x, x[:150], Scoring(generated_as="forecast_path"))
    with pytest.raises(Inconsistent, match="noise has 1"):
        score_series(x, x, Scoring(noise=(0.1,)))
    with pytest.raises(Inconsistent, match="dt"):
        check_dt(0.01, 0.02)
    for fine in ((None, 0.02), (0.01, None), (0.01, 0.01 * (1 + 1e-9))):
        check_dt(*fine)
    for words in ({"preset": "best"}, {"metrics": ["d_stps"]}, {"metrics": []}, {"embedding": {"dim": 0}}):
        with pytest.raises(ValidationError):
            Scoring.model_validate(words)
    with pytest.raises(ValidationError, match="discard_share"):
        Scoring(generated_as="forecast_path", discard_share=0.2)


def test_delay_coordinates_are_compared_where_asked() -> None:
    x = lorenz63(3000, dt=0.05).x[:, :1]
    shuffled = np.random.default_rng(0).permutation(x)
    plain = score_series(x, shuffled, Scoring(metrics=("d_stsp",)))["d_stsp"]
    embedded = Scoring.model_validate({"metrics": ["d_stsp"], "embedding": {"dim": 3, "lag": 3}})
    assert plain.value == pytest.approx(0.0, abs=1e-9), "the same rows in another order"
    assert (score_series(x, shuffled, embedded)["d_stsp"].value or 0.0) > 1


def test_several_runs_are_told_by_their_mean() -> None:
    one, two = ({"d_h": Score(value=value, floor=0.1, detail={"preset": "dsr-v1"})} for value in (0.2, 0.4))
    mean = mean_scores({0: one, 3: two})["d_h"]
    assert (mean.value, mean.floor) == (pytest.approx(0.3), 0.1)
    assert mean.detail == {"preset": "dsr-v1", "by_run": {"0": 0.2, "3": 0.4}}
    none = {"d_h": Score(value=None, floor=0.1, reason="it is not finite")}
    assert mean_scores({0: one, 3: none})["d_h"].reason == "run 3: it is not finite"
    assert mean_scores({0: none, 3: none})["d_h"].reason == "it is not finite"
