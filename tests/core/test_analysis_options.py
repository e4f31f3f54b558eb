import hashlib
import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from chaos_core import AnalysisOptions
from chaos_core.analysis import Analysis, analyse
from chaos_core.embedding import Embedding
from chaos_core.errors import Inconsistent, TooShort
from chaos_core.lyapunov.preparation import Prepared, prepare
from chaos_core.reconstruction import theiler_window
from chaos_core.series import Series
from chaos_core.systems import henon, lorenz63, with_noise


def options(**given: Any) -> AnalysisOptions:
    return AnalysisOptions.model_validate(given)


@pytest.fixture(scope="module")
def scalar() -> Series:
    """Fine enough to be thinned: some 75 rows a period."""
    return Series(lorenz63(3000, 0.025).x[:, 0], 0.025)


def test_nothing_asked_is_the_same_as_everything_auto(scalar: Series) -> None:
    words = dict.fromkeys(AnalysisOptions.model_fields, "auto")
    assert options() == options(**words)
    assert options().asked() == {}
    assert options().digest() == hashlib.sha256(b"{}").hexdigest()
    one, other = prepare(scalar), prepare(scalar, options(**words))
    np.testing.assert_array_equal(one.orbit.z, other.orbit.z)
    assert (one.embedding, one.period, one.notes) == (other.embedding, other.period, other.notes)


def test_equal_wishes_have_equal_digests_and_others_have_others() -> None:
    same = [options(period_steps=7), options(period_steps=7.0, denoise="auto")]
    assert len({wish.digest() for wish in same}) == 1
    assert options(embedding={"dim": 3}).digest() == options(embedding={"dim": 3, "lag": 1}).digest()
    others = [{}, {"denoise": "off"}, {"dynamics": "map"}, {"theiler_steps": 7}, {"period_steps": 7}]
    others += [{"embedding": {}}, {"neighbours": 7}]
    assert len({options(**wish).digest() for wish in others}) == len(others)


@pytest.mark.parametrize(
    "given",
    [{}, {"embedding": {"dim": 3, "lag": 8}, "dynamics": "flow", "denoise": "off"}, {"period_steps": 7.5}],
)
def test_options_survive_json(given: dict[str, Any]) -> None:
    wish = options(**given)
    assert wish.asked() == given
    assert AnalysisOptions.model_validate(json.loads(json.dumps(wish.asked()))) == wish
    assert AnalysisOptions.model_validate_json(wish.model_dump_json()) == wish


@pytest.mark.parametrize(
    "given",
    [
        {"period_steps": 1.9}, {"period_steps": float("inf")}, {"period_steps": "long"}, {"theiler_steps": 0},
        {"theiler_steps": 1.5}, {"dynamics": "chaos"}, {"denoise": "on"}, {"embedding": {"dim": 0}}, {"lag": 3},
        {"neighbours": 0}, {"neighbours": 51},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(**given)


def test_an_analysis_records_what_was_asked_and_follows_it(scalar: Series) -> None:
    wish = options(embedding={"dim": 3, "lag": 12}, dynamics="flow", denoise="off", period_steps=80, theiler_steps=90)
    found = analyse(scalar, wish)
    assert found.options == wish
    assert found.embedding == Embedding(dim=3, lag=12)
    assert (found.flow_or_map, found.period_steps, found.theiler_steps) == ("flow", 80.0, 90)
    assert (found.noise, found.smoothing_steps) == ((0.0,), 1)
    assert Analysis.model_validate_json(found.model_dump_json()) == found


def test_an_analysis_stored_before_there_were_options_can_be_read() -> None:
    found = analyse(henon(500))
    old = found.model_dump(mode="json")
    assert old.pop("options") == dict.fromkeys(AnalysisOptions.model_fields, "auto")
    assert Analysis.model_validate(old) == found


def test_as_many_neighbours_are_followed_as_are_asked_for() -> None:
    iterates = henon(1500)
    alone, several = analyse(iterates), analyse(iterates, options(neighbours=4))
    assert alone.curve is not None and several.curve is not None
    assert several.curve.s[0] > alone.curve.s[0] + 0.2
    assert alone == analyse(iterates, options(neighbours=1)).model_copy(update={"options": options()})


def test_a_given_embedding_makes_the_states(scalar: Series) -> None:
    made = prepare(scalar, options(embedding={"dim": 5, "lag": 8}))
    assert made.stride == 2
    assert made.orbit_embedding == Embedding(dim=5, lag=4)
    assert made.orbit.z.shape[1] == 5
    assert (made.full_state, made.maps_share_embedding) == (False, True)
    assert not prepare(scalar).maps_share_embedding


def test_a_dimension_of_one_takes_the_channels_as_the_state(scalar: Series) -> None:
    made = prepare(scalar, options(embedding={"dim": 1}))
    assert (made.full_state, made.directions, made.orbit.z.shape[1]) == (True, None, 1)


def test_a_full_state_can_be_embedded_all_the_same() -> None:
    made = prepare(lorenz63(3000), options(embedding={"dim": 2, "lag": 4}))
    assert (made.full_state, made.orbit.z.shape[1]) == (False, 6)


def test_a_lag_between_the_rows_of_a_thinned_series_is_rounded_and_told(scalar: Series) -> None:
    made = prepare(scalar, options(embedding={"dim": 3, "lag": 9}))
    assert made.orbit_embedding.lag in (4, 5)
    assert any("lag became" in note for note in made.notes)
    assert not any("lag became" in note for note in prepare(scalar, options(embedding={"dim": 3, "lag": 8})).notes)


def _clock(made: Prepared) -> tuple[bool, int, int]:
    return made.is_flow, made.stride, made.window


def test_dynamics_are_believed_whatever_the_period(scalar: Series) -> None:
    noisy = with_noise(scalar, 0.05)
    assert _clock(prepare(noisy))[0] and prepare(noisy).window > 1
    as_map = prepare(noisy, options(dynamics="map"))
    assert _clock(as_map) == (False, 1, 1)
    assert as_map.period > 50
    assert as_map.embedding.lag == 1
    assert as_map.maps_share_embedding
    iterates = henon(1000)
    assert not prepare(iterates).is_flow
    assert prepare(iterates, options(dynamics="flow")).is_flow
    assert analyse(iterates, options(dynamics="flow")).flow_or_map == "flow"


def test_without_denoising_the_rows_stay_as_they_were_sent(scalar: Series) -> None:
    noisy = with_noise(scalar, 0.05)
    assert prepare(noisy).levels[0] > 0.03
    made = prepare(noisy, options(denoise="off"))
    assert not made.denoised
    assert (made.levels, made.window) == (np.zeros(1), 1)
    np.testing.assert_array_equal(made.clean, noisy.x)
    scaled = (noisy.x - noisy.x.mean(axis=0)) / noisy.x.std(axis=0)
    np.testing.assert_allclose(made.runs[0], scaled[:: made.stride])
    assert any("neither looked for" in note for note in made.notes)


def test_a_given_period_is_the_clock(scalar: Series) -> None:
    made = prepare(scalar, options(period_steps=200))
    assert (made.period, made.stride, made.theiler_steps) == (200.0, 5, 200)
    assert made.theiler == theiler_window(made.orbit_period) == 40
    assert not prepare(scalar, options(period_steps=5)).is_flow


def test_the_window_of_a_point_can_be_given(scalar: Series) -> None:
    assert prepare(scalar).theiler_steps == theiler_window(prepare(scalar).period)
    made = prepare(scalar, options(theiler_steps=301))
    assert (made.theiler_steps, made.theiler) == (301, 151)
    assert prepare(scalar, options(theiler_steps=1)).theiler == 1


@pytest.mark.parametrize("name", ["period_steps", "theiler_steps"])
def test_what_the_series_does_not_hold_twice_is_refused(name: str) -> None:
    series = henon(1000)
    with pytest.raises(Inconsistent, match="1000 rows and must hold it twice") as caught:
        analyse(series, options(**{name: 501}))
    assert caught.value.fields == {"option": name, "value": 501, "limit": 500}
    analyse(series, options(**{name: 500}))


def test_an_embedding_longer_than_the_data_says_how_many_rows_are_needed() -> None:
    series = Series(henon(1000).x[:, 0])
    for lag in (401, 10**30):
        with pytest.raises(TooShort) as caught:
            analyse(series, options(embedding={"dim": 3, "lag": lag}))
        assert caught.value.fields == {"rows": 1000, "rows_needed": 2 * lag + 200}
    assert analyse(series, options(embedding={"dim": 3, "lag": 400})).embedding.lag == 400


def test_an_embedding_longer_than_what_is_kept_of_noisy_runs_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaos_core.lyapunov.cleaning.MOST_ROWS", 2000)
    x = np.concatenate([lorenz63(1500, 0.05, seed=seed).x[:, :1] for seed in range(4)])
    noisy = with_noise(Series(x, 0.05, stretch=np.repeat(range(4), 1500)), 0.05)
    with pytest.raises(TooShort) as caught:
        prepare(noisy, options(embedding={"dim": 2, "lag": 700}))
    assert caught.value.fields == {"rows": 500, "rows_needed": 900}


def test_an_embedding_of_too_many_coordinates_is_refused() -> None:
    with pytest.raises(Inconsistent, match="50 coordinates") as caught:
        analyse(henon(1000), options(embedding={"dim": 25}))
    assert caught.value.fields == {"option": "embedding", "value": 50, "limit": 48}
