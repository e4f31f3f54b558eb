import tracemalloc

import numpy as np
import pytest

from chaos_core.baselines.parroting import Parroting
from chaos_core.errors import BadShape, NotFinite, TooShort
from chaos_core.metrics import prediction_error
from chaos_core.systems import lorenz63
from chaos_core.typing import Floats


def parrot(context: Floats, steps: int) -> Floats:
    """Library and context are one: the series is continued from what it did before."""
    return Parroting().fit(context).run(context, steps)


def parrot_ahead(context: Floats, x: Floats, n: int) -> Floats:
    return Parroting().fit(context).ahead(context, x, n)


def test_a_periodic_series_is_continued_exactly_for_ever() -> None:
    t = np.arange(1000)
    wave = np.stack([np.sin(2 * np.pi * t / 40), np.cos(2 * np.pi * t / 40)], axis=1)
    assert np.abs(parrot(wave[:500], 500) - wave[500:]).max() < 1e-9


def test_the_continuation_is_a_literal_copy_of_what_followed_the_nearest_window() -> None:
    x = np.random.default_rng(0).standard_normal((200, 2))
    x[190:] = x[40:50] + 1e-3
    assert (parrot(x, 30) == x[50:80]).all()


def test_a_copy_that_runs_out_starts_again_at_the_match() -> None:
    x = np.random.default_rng(0).standard_normal(100)
    x[90:] = x[30:40] + 1e-3
    expected = np.concatenate([x[40:], x[40:], x[40:]])[:150]
    assert (parrot(x, 150)[:, 0] == expected).all()


def test_an_oversampled_flow_is_not_matched_with_its_own_last_rows() -> None:
    x = lorenz63(5000, dt=0.001).x
    continued = parrot(x, 500)
    assert continued.std(axis=0).min() > 0.05 * x.std(axis=0).min()
    assert len(np.unique(continued[:, 0])) == 500


def test_channels_count_equally_whatever_their_units() -> None:
    x = np.random.default_rng(0).standard_normal((300, 3))
    scale = np.array([1e-6, 1.0, 1e6])
    assert parrot(x * scale, 40) == pytest.approx(parrot(x, 40) * scale)


def test_the_direct_search_is_the_search_for_the_smallest_distance() -> None:
    x = np.random.default_rng(2).standard_normal((300, 2))
    scaled = x / x.std(axis=0)
    ends = range(10, 300 - 25 + 1)
    nearest = min(ends, key=lambda end: float(((scaled[end - 10 : end] - scaled[-10:]) ** 2).sum()))
    assert (parrot(x, 25) == x[nearest : nearest + 25]).all()


def test_memory_grows_with_the_context_and_not_with_its_square() -> None:
    x = np.random.default_rng(0).standard_normal((100_000, 1))
    tracemalloc.start()
    parrot(x, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * x.nbytes


def test_forecasts_n_steps_ahead_are_good_on_a_flow_and_aligned_for_the_metric() -> None:
    series = lorenz63(12_000).x
    context, test = series[:10_000], series[10_000:]
    forecast = parrot_ahead(context, test, 20)
    assert forecast.shape == test.shape
    assert np.isnan(forecast[:20]).all() and np.isfinite(forecast[20:]).all()
    relative = prediction_error(test, forecast, n=20).detail["relative"]
    assert isinstance(relative, float) and relative < 0.05


def test_forecasts_ahead_agree_with_parroting_from_the_same_past() -> None:
    series = np.random.default_rng(0).standard_normal((400, 2))
    context, test = series[:300], series[300:]
    forecast = parrot_ahead(context, test, 12)
    scaled, last = context / context.std(axis=0), series[321:331] / context.std(axis=0)
    ends = range(10, 300 - 12 + 1)
    nearest = min(ends, key=lambda end: float(((scaled[end - 10 : end] - last) ** 2).sum()))
    assert (forecast[30 + 12] == context[nearest - 1 + 12]).all()


def test_a_constant_context_is_continued_as_it_is() -> None:
    assert (parrot(np.ones(50), 7) == 1.0).all()


def test_misuse_is_an_error() -> None:
    with pytest.raises(TooShort):
        parrot(np.zeros(3), 5)
    with pytest.raises(TooShort):
        parrot_ahead(np.arange(20.0), np.arange(50.0), 19)
    with pytest.raises(BadShape):
        parrot(np.zeros((2, 50, 3)), 5)
    gap = np.arange(50.0)
    gap[7] = np.nan
    with pytest.raises(NotFinite):
        parrot(gap, 5)


def test_the_window_is_as_wide_as_asked_for() -> None:
    x = np.random.default_rng(2).standard_normal((300, 2))
    scaled = x / x.std(axis=0)
    ends = range(7, 300 - 25 + 1)
    nearest = min(ends, key=lambda end: float(((scaled[end - 7 : end] - scaled[-7:]) ** 2).sum()))
    assert (Parroting(window=7).fit(x).run(x, 25) == x[nearest : nearest + 25]).all()


def test_a_match_is_never_found_across_the_edge_of_two_pieces() -> None:
    x = np.random.default_rng(0).standard_normal((400, 1))
    context = np.concatenate([x[195:200], x[200:205]])
    across = Parroting(window=10).fit([x[:200], x[200:]]).run(context, 5)
    whole = Parroting(window=10).fit(x).run(context, 5)
    assert (whole == x[205:210]).all()
    assert not (across == whole).all()


def test_a_match_in_any_piece_is_found() -> None:
    x = np.random.default_rng(0).standard_normal((400, 2))
    fitted = Parroting(window=10).fit([x[:200], x[200:]])
    for start in (30, 260):
        assert (fitted.run(x[start : start + 10], 25) == x[start + 10 : start + 35]).all()
        forecast = fitted.ahead(x[start : start + 10], x[start + 10 : start + 30], 12)
        assert (forecast[12:] == x[start + 22 : start + 30]).all()
