import numpy as np
import pytest
from sklearn.preprocessing import PolynomialFeatures

from chaos_core.baselines.monomials import MOST_TERMS, Monomials
from chaos_core.baselines.ngrc import NGRC
from chaos_core.errors import SpecTooLarge
from chaos_core.systems import henon, lorenz63

LORENZ_TIME = 1 / 0.9056


def test_the_quadratic_map_of_henon_is_recovered_to_a_millionth() -> None:
    x = henon(2000).x
    fitted = NGRC(delays=1, degree=2, ridge=1e-12).fit(x[:1500])
    assert np.abs(fitted.ahead(x[:1500], x[1500:], 1)[1:] - x[1501:]).max() < 1e-6


def test_the_search_finds_settings_as_good_for_henon_without_being_told_any() -> None:
    x = henon(2000).x
    fitted = NGRC().fit(x[:1500])
    assert np.abs(fitted.ahead(x[:1500], x[1500:], 1)[1:] - x[1501:]).max() < 1e-6


def test_lorenz_is_forecast_for_five_lyapunov_times() -> None:
    series = lorenz63(6000)
    known, truth = series.x[:5000], series.x[5000:]
    run = NGRC().fit(known).run(known, len(truth))
    wrong = np.abs(run - truth).max(axis=1) > 0.4 * truth.std(axis=0).max()
    assert (int(np.argmax(wrong)) if wrong.any() else len(truth)) * 0.01 > 5 * LORENZ_TIME


@pytest.mark.parametrize(("coordinates", "degree"), [(1, 3), (3, 1), (4, 2), (5, 3), (2, 5)])
def test_monomials_are_those_of_an_independent_program(coordinates: int, degree: int) -> None:
    u = np.random.default_rng(0).standard_normal((20, coordinates))
    theirs = PolynomialFeatures(degree, include_bias=False).fit_transform(u)
    np.testing.assert_allclose(Monomials.of(coordinates, degree)(u), theirs, rtol=1e-12)


def test_too_many_products_are_refused_before_they_are_made() -> None:
    assert len(Monomials.of(61, 2).terms) == 61 + 61 * 62 // 2 <= MOST_TERMS
    with pytest.raises(SpecTooLarge):
        Monomials.of(62, 2)
    with pytest.raises(SpecTooLarge):
        NGRC(delays=40).fit(np.random.default_rng(0).standard_normal((500, 3)))
