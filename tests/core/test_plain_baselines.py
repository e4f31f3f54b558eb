"""Persistence and mean, whose forecasts can be written down."""

import numpy as np
import pytest

from chaos_core.baselines.mean import Mean
from chaos_core.baselines.persistence import Persistence
from chaos_core.comparison import compare
from chaos_core.metrics import prediction_error
from chaos_core.systems import ar1, lorenz63


def test_persistence_repeats_the_last_row_and_the_mean_the_average() -> None:
    x = np.random.default_rng(0).standard_normal((60, 2))
    assert (Persistence().fit(x).run(x, 7) == x[-1]).all()
    np.testing.assert_allclose(Mean().fit([x[:40], x[40:]]).run(x[:3], 7), np.tile(x.mean(axis=0), (7, 1)))


def test_persistence_ahead_is_the_row_n_steps_earlier() -> None:
    x = np.random.default_rng(0).standard_normal((100, 2))
    assert (Persistence().fit(x).ahead(x, x, 9)[9:] == x[:-9]).all()


def test_errors_are_those_that_theory_gives_for_an_autoregression() -> None:
    """PE(n) is the variance for the mean and 2 (1 - r_n) variances for persistence, r_n being the autocorrelation."""
    x = ar1(60_000).x
    r = float(np.corrcoef(x[30_000:-3, 0], x[30_003:, 0])[0, 1])
    relative = {}
    for kind in (Mean(), Persistence()):
        forecast = kind.fit(x[:30_000]).ahead(x[:30_000], x[30_000:], 3)
        relative[type(kind)] = prediction_error(x[30_000:], forecast, n=3).detail["relative"]
    assert relative[Mean] == pytest.approx(1.0, abs=0.02)
    assert relative[Persistence] == pytest.approx(2 * (1 - r), rel=0.01)


def test_the_score_of_persistence_is_the_persistence_that_the_metric_itself_reports() -> None:
    series = lorenz63(2000)
    error = compare(Persistence(), series.rows(0, 1600), series.rows(1600, 2000)).scores.prediction_error
    assert error.value == pytest.approx(error.detail["persistence"], rel=1e-12)
