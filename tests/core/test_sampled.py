import numpy as np

from chaos_core.baselines.sampled import Sampled, sampled_weights
from chaos_core.systems import lorenz63

LORENZ_TIME = 1 / 0.9056


def test_a_chaotic_sine_map_is_learnt() -> None:
    """x' = sin(pi x) on [0, 1]."""
    x = np.empty(1500)
    x[0] = 0.3
    for t in range(1, len(x)):
        x[t] = np.sin(np.pi * x[t - 1])
    fitted = Sampled(units=100).fit(x[:1000])
    assert np.nanmax(np.abs(fitted.ahead(x[:1000], x[1000:], 1)[1:, 0] - x[1001:])) < 1e-4
    run = fitted.run(x[:1000], 500)[:, 0]
    assert run.min() > -0.01 and run.max() < 1.01
    assert abs(run.std() - x.std()) < 0.05


def test_a_unit_is_minus_a_half_at_one_point_of_its_pair_and_a_half_at_the_other() -> None:
    x = np.random.default_rng(0).standard_normal((40, 3))
    w, b = sampled_weights(x, x**2, 25, np.random.default_rng(1))
    levels = np.tanh(x @ w + b)
    assert (np.abs(levels + 0.5).min(axis=0) < 1e-12).all()
    assert (np.abs(levels - 0.5).min(axis=0) < 1e-12).all()


def test_pairs_are_drawn_where_the_target_is_steep() -> None:
    x = np.linspace(-1, 1, 400)[:, None]
    step = np.tanh(x / 0.02)
    w, b = sampled_weights(x, step, 200, np.random.default_rng(0))
    centres = -b / w[0]
    assert np.median(np.abs(centres)) < 0.25


def test_points_that_are_all_equal_give_units_that_are_constant() -> None:
    w, b = sampled_weights(np.ones((30, 2)), np.zeros((30, 2)), 5, np.random.default_rng(0))
    assert not w.any() and not b.any()


def test_lorenz_is_forecast_for_at_least_three_lyapunov_times() -> None:
    series = lorenz63(6000)
    known, truth = series.x[:5000], series.x[5000:]
    run = Sampled().fit(known).run(known, len(truth))
    wrong = np.sqrt(((run - truth) ** 2).mean(axis=1)) > 0.4 * np.sqrt(truth.var(axis=0).mean())
    assert (int(np.argmax(wrong)) if wrong.any() else len(truth)) * 0.01 >= 3 * LORENZ_TIME
