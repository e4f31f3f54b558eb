import math

import numpy as np
import pytest

from chaos_core.embedding import unit_variance
from chaos_core.lyapunov.growth import free_growth
from chaos_core.lyapunov.map_model import MapModel, fit_map
from chaos_core.lyapunov.measure import hellinger, planes
from chaos_core.lyapunov.neighbours import Orbit
from chaos_core.systems import lorenz63


def test_a_cloud_is_as_far_from_itself_as_nothing_and_from_one_elsewhere_as_can_be() -> None:
    cloud = np.random.default_rng(0).standard_normal((5000, 3))
    assert hellinger(cloud, cloud[::-1], planes(3, delayed=False)) == pytest.approx(0.0, abs=1e-6)
    assert hellinger(cloud, cloud + 100, planes(3, delayed=False)) == 1.0


@pytest.mark.parametrize("shift", [0.3, 1.0, 2.0])
def test_the_distance_of_two_normal_clouds_is_the_one_in_closed_form(shift: float) -> None:
    rng = np.random.default_rng(1)
    here, there = rng.standard_normal((2, 200_000, 2))
    there[:, 0] += shift
    expected = math.sqrt(1 - math.exp(-(shift**2) / 8))
    assert hellinger(here, there, [(0, 1)]) == pytest.approx(expected, rel=0.08)


def test_histories_are_compared_with_their_middle_and_end_states_in_all_planes() -> None:
    assert planes(8, delayed=True) == [(0, 4), (0, 7)]
    assert planes(2, delayed=True) == [(0, 1)]
    assert planes(3, delayed=False) == [(0, 1), (0, 2), (1, 2)]
    assert planes(1, delayed=False) == planes(1, delayed=True) == [(0, 0)]


def test_the_order_of_the_channels_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    here, there = rng.standard_normal((3000, 4)), 1.2 * rng.standard_normal((3000, 4))
    mixed = [2, 0, 3, 1]
    pairs = planes(4, delayed=False)
    assert hellinger(here, there, pairs) == pytest.approx(hellinger(here[:, mixed], there[:, mixed], pairs), rel=1e-12)


def test_runs_of_a_good_map_are_nearer_to_the_data_than_those_of_a_bent_one() -> None:
    orbit = Orbit.of([unit_variance(lorenz63(6000, 0.04).x)])
    good = fit_map(orbit, 1)
    weights = good.weights.copy()
    weights[4:] *= 0.9
    bent = MapModel(good.features, weights, 1, good.error, good.least_error, good.linear_error)
    distances = []
    for model in (good, bent):
        run = free_growth(orbit, model, steps=1500, burn_in=200)
        assert run is not None
        distances.append(hellinger(orbit.z, run.states, planes(3, delayed=False)))
    assert distances[0] < 0.12
    assert distances[1] > 1.5 * distances[0]
