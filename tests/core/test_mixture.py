import math
import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest

from chaos_core.metrics import PRESETS, d_stsp, d_stsp_gmm
from chaos_core.metrics.mixture import mixture_divergence

Floats = npt.NDArray[np.float64]


def cloud(rows: int, channels: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> Floats:
    return shift + scale * np.random.default_rng(seed).standard_normal((rows, channels))


def value(true: Floats, generated: Floats, *, preset: str = "gtf", seed: int = 0, **changes: object) -> float:
    """The divergence in a preset with another mixture."""
    rules = PRESETS[preset].mixture
    assert rules is not None
    changed = PRESETS[preset].model_copy(update={"mixture": rules.model_copy(update=changes)})
    found = mixture_divergence(true, generated, changed, seed).value
    assert found is not None
    return found


def test_two_single_gaussians_have_the_analytic_divergence() -> None:
    """KL of unit Gaussians d apart is d^2 / 2; each series is one point, given twice since the truth must move."""
    true, generated = np.array([[0.0, 0.0], [0.0, 1e-9]]), np.array([[1.2, -0.5]])
    true[0, 0] = 1e-9
    assert value(true, generated, samples=200_000) == pytest.approx((1.2**2 + 0.5**2) / 2, abs=0.01)


def test_long_normal_series_approach_the_divergence_of_normal_laws() -> None:
    """A cloud N(m, s^2) with Gaussians of variance v around its rows is N(m, s^2 + v)."""
    true, generated = cloud(3000, 1, 0), cloud(3000, 1, 1, 1.5, 0.7)
    p, q = 1.0 + 1.0, 1.5**2 + 1.0
    analytic = 0.5 * (math.log(q / p) + (p + 0.7**2) / q - 1)
    assert value(true, generated, samples=4000) == pytest.approx(analytic, abs=0.05)
    backward = 0.5 * (math.log(p / q) + (q + 0.7**2) / p - 1)
    assert value(true, generated, samples=4000, drawn_from="generated") == pytest.approx(backward, abs=0.05)
    both = value(true, generated, samples=4000, drawn_from="both")
    assert both == pytest.approx((analytic + backward) / 2, abs=0.05)


def test_the_sum_over_rows_equals_a_plain_loop() -> None:
    true, generated = cloud(50, 7, 0, 2.0, 3.0), cloud(60, 7, 1, 2.0, 3.5)
    rng = np.random.default_rng(4)
    rows = true[np.floor(rng.random(1000) * 50).astype(int)]
    points = rows + math.sqrt(0.3) * rng.standard_normal(rows.shape)
    gains = []
    for point in points:
        p, q = (np.exp(-((point - x) ** 2).sum(axis=1) / 0.6).mean() for x in (true, generated))
        gains.append(math.log(p) - math.log(q))
    assert value(true, generated, variance=0.3, seed=4, underflow=None) == pytest.approx(np.mean(gains), rel=1e-9)


@pytest.mark.parametrize("preset", [name for name in PRESETS if PRESETS[name].mixture is not None])
def test_a_series_has_no_distance_from_itself_nor_from_its_shuffled_self(preset: str) -> None:
    x = cloud(500, 8, 0)
    assert d_stsp_gmm(x, x, preset=preset).value == 0.0
    shuffled = d_stsp_gmm(x, np.random.default_rng(1).permutation(x), preset=preset, seed=3)
    assert shuffled.value == pytest.approx(0.0, abs=3 * shuffled.detail["standard_error"] + 1e-9)


def test_the_seed_repeats_a_score_and_another_seed_moves_it_within_its_error() -> None:
    true, generated = cloud(800, 6, 0), cloud(800, 6, 1, 1.3)
    scores = [d_stsp_gmm(true, generated, seed=seed, floor=False) for seed in range(8)]
    assert scores[0] == d_stsp_gmm(true, generated, floor=False)
    values = [score.value for score in scores]
    assert np.std(values, ddof=1) == pytest.approx(scores[0].detail["standard_error"], rel=0.8)
    assert d_stsp_gmm(true, generated, seed=np.random.default_rng(0), floor=False) == scores[0]


def test_dsr_v1_does_not_depend_on_units_and_the_papers_presets_do() -> None:
    true, generated = cloud(400, 6, 0), cloud(400, 6, 1, 1.3)
    scale, shift = 10.0 ** np.arange(-3, 3), 1e4
    moved = d_stsp_gmm(true * scale + shift, generated * scale + shift).value
    assert moved == pytest.approx(d_stsp_gmm(true, generated).value, rel=1e-6)
    assert d_stsp_gmm(true * 10, generated * 10, preset="gtf").value != pytest.approx(
        d_stsp_gmm(true, generated, preset="gtf").value, rel=0.1
    )


def test_a_far_run_is_far_in_dsr_v1_and_loses_all_points_in_the_papers_presets() -> None:
    """In single precision a likelihood beyond 14.4 deviations is 0; the points that are left flatter the run."""
    true = cloud(500, 6, 0)
    far = d_stsp_gmm(true, true + 40.0)
    assert far.value is not None and far.value > 1000 and far.detail["left_out"] == 0
    lost = d_stsp_gmm(true, true + 40.0, preset="gtf")
    assert (lost.value, lost.detail["left_out"]) == (None, 1000)
    half = d_stsp_gmm(true, np.concatenate([true[:, :5], true[:, 5:] + 15.0], axis=1), preset="gtf")
    assert half.value is not None and 0 < half.detail["left_out"] < 1000
    assert half.value < d_stsp_gmm(true, true + np.array([0, 0, 0, 0, 0, 15.0])).value


def test_only_the_first_rows_count() -> None:
    true, generated = cloud(6000, 2, 0), cloud(6000, 2, 1)
    generated[5000:] = 50.0
    found = d_stsp_gmm(true, generated, preset="chaosrnn", floor=False)
    assert found.value == d_stsp_gmm(true[:5000], generated[:5000], preset="chaosrnn", floor=False).value
    assert found.detail["rows_used"] == [5000, 5000]


def test_ten_thousand_rows_need_less_than_a_hundred_megabytes() -> None:
    true, generated = cloud(10_000, 10, 0), cloud(10_000, 10, 1)
    tracemalloc.start()
    try:
        d_stsp(true, generated, floor=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100e6


def test_what_cannot_be_compared_has_a_reason() -> None:
    x = cloud(100, 6, 0)
    assert "no mixture" in str(d_stsp_gmm(x, x, preset="dynamix").reason)
    assert "constant in column 0" in str(d_stsp_gmm(np.ones((9, 2)), np.ones((9, 2))).reason)
    assert "too few for mixtures" in str(d_stsp_gmm(x[:1], x).reason)
    assert "farther apart than numbers reach" in str(d_stsp_gmm(x, x * 1e200).reason)
    assert "not finite" in str(d_stsp_gmm(x, x * np.inf).reason)
