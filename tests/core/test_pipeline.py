import json
from dataclasses import replace

import numpy as np
import pytest

from chaos_core.analysis import analyse
from chaos_core.cells.plrnn import PLRNN
from chaos_core.embedding import Embedding
from chaos_core.errors import TooShort
from chaos_core.fitted import Fitted
from chaos_core.observation import IdentityObservation
from chaos_core.pipeline import evaluate, fit
from chaos_core.planning import plan
from chaos_core.series import Scaling, Series
from chaos_core.spec import Evaluation, Spec
from chaos_core.systems import lorenz63
from chaos_core.training import Validated

ANGLE = 0.1 * np.sqrt(2)
CENTRE = 5.0


def turning() -> Fitted:
    """The exact map of a rotation about (5, 5): all states are positive, so the rectifier never acts."""
    c, s = np.cos(ANGLE), np.sin(ANGLE)
    turn = np.array([[c, -s], [s, c]])
    params = {"A": np.full(2, c), "W": np.array([[0.0, -s], [s, 0.0]]), "h": CENTRE - turn @ np.full(2, CENTRE)}
    start, scaling = np.array([CENTRE + 1.0, CENTRE]), Scaling((0.0, 0.0), (1.0, 1.0))
    return Fitted(PLRNN(latent=2), IdentityObservation(), params, scaling, Embedding(), None, ("u", "v"), start)


def circle(steps: int, noise: float = 0.0) -> Series:
    t = ANGLE * np.arange(steps)
    x = CENTRE + np.stack([np.cos(t), np.sin(t)], axis=1)
    return Series(x + noise * np.random.default_rng(0).standard_normal(x.shape), names=("u", "v"))


def test_the_true_map_scores_like_the_truth() -> None:
    scores = evaluate(turning(), circle(4000))
    assert scores.prediction_error.value == pytest.approx(0.0, abs=1e-20)
    assert scores.d_stsp.value is not None
    assert scores.d_stsp.floor is not None
    assert scores.d_stsp.value < max(0.01, 2 * scores.d_stsp.floor)
    assert scores.d_h.value is not None
    assert scores.d_h.value < 0.05


def test_a_wrong_map_scores_badly_and_never_nan() -> None:
    slow = turning()
    halved = replace(slow, params={**slow.params, "A": np.full(2, 0.5), "W": np.zeros((2, 2))})
    scores = evaluate(halved, circle(4000))
    assert scores.d_stsp.value is None or scores.d_stsp.value > 5
    json.dumps(scores.model_dump(mode="json"), allow_nan=False)


def test_a_run_without_bounds_has_reasons_instead_of_values() -> None:
    wild = replace(turning(), params={**turning().params, "A": np.full(2, 3.0)})
    scores = evaluate(wild, circle(2000))
    assert scores.d_stsp.value is None
    assert scores.d_stsp.reason
    assert scores.d_h.value is None
    json.dumps(scores.model_dump(mode="json"), allow_nan=False)


def test_measuring_noise_is_matched_in_dsr_v1_and_nowhere_else() -> None:
    noisy = replace(turning(), observation_noise=(0.05, 0.05))
    matched = evaluate(noisy, circle(8000, noise=0.05)).d_stsp
    plain = evaluate(noisy, circle(8000, noise=0.05), preset="gtf").d_stsp
    assert matched.value is not None
    assert plain.value is not None
    assert matched.value < 0.2 * plain.value
    assert matched.detail["value_without_noise"] == pytest.approx(plain.value)
    assert matched.detail["observation_noise"] == [0.05, 0.05]
    assert "observation_noise" not in plain.detail


def test_delay_embedded_models_are_scored_in_delay_coordinates() -> None:
    """x_{t+1} = 2 cos(angle) x_t - x_{t-1} is the sine's own recurrence, in two delay coordinates."""
    c = 2 * np.cos(ANGLE)
    up = 3.0
    params = {"A": np.array([c, 0.0]), "W": np.array([[0.0, -1.0], [1.0, 0.0]]), "h": np.array([(2 - c) * up, 0.0])}
    x = up + np.sin(ANGLE * np.arange(4000))
    scaling, start = Scaling((0.0,), (1.0,)), np.array([x[1], x[0]])
    model = Fitted(PLRNN(latent=2), IdentityObservation(), params, scaling, Embedding(dim=2), None, ("x0",), start)
    scores = evaluate(model, Series(x))
    assert scores.d_stsp.value is not None
    assert scores.d_stsp.value < 0.1
    assert len(scores.d_stsp.detail["box_low"]) == 2
    assert scores.prediction_error.value == pytest.approx(0.0, abs=1e-16)


def test_of_a_test_piece_with_long_gaps_the_longest_run_is_scored() -> None:
    x = circle(3000).x.copy()
    x[:991][np.arange(991) % 30 < 20] = np.nan
    scores = evaluate(turning(), Series(x, names=("u", "v"), missing="mask"))
    assert scores.prediction_error.detail["rows_true"] == 2020


def test_a_piece_without_a_state_is_too_short() -> None:
    with pytest.raises(TooShort):
        evaluate(turning(), circle(100).rows(0, 1))


def test_fit_gives_the_best_judged_state_and_tells_of_each_event() -> None:
    series = lorenz63(3000)
    words = {"cell": {"kind": "clipped_shplrnn", "hidden": 30}, "training": {"updates": 2000, "validations": 4}}
    made = plan(Spec.model_validate(words), analyse(series))
    events = []
    fitted = fit(series, made, seed=0, on_event=events.append)
    judged = [event for event in events if isinstance(event, Validated)]
    assert [event.update for event in judged] == [500, 1000, 1500, 2000]
    best = [event for event in judged if event.best][-1]
    validation = fitted.provenance["validation"]
    assert (validation["d_stsp"], validation["d_h"]) == (best.d_stsp, best.d_h)
    assert fitted.provenance["update"] == best.update
    assert fitted.latent_start.tolist() == fitted.scaling.apply(series.split()[2].x[0]).tolist()
    found = evaluate(fitted, series.split()[2], evaluation=Evaluation(prediction_steps=5))
    assert found.prediction_error.detail["n"] == 5
