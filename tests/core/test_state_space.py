import math

import numpy as np
import numpy.typing as npt
import pytest

from chaos_core.errors import BadShape, Inconsistent, NotReal, UnknownKind
from chaos_core.metrics import PRESETS, d_stsp, d_stsp_gmm
from chaos_core.metrics.presets import Binning

Floats = npt.NDArray[np.float64]


def dense_divergence(true: Floats, generated: Floats, rules: Binning) -> float:
    """Written from the definition, with all k^N cells and numpy's own histogram."""
    channels = true.shape[1]
    k = rules.bins[channels - 1]
    std = np.sqrt(((true - true.mean(0)) ** 2).sum(0) / (len(true) - 1))
    if rules.box == "zero":
        low, high = -rules.margin * std, rules.margin * std
    else:
        low, high = true.min(0) - rules.margin * std, true.max(0) + rules.margin * std
    edges = [np.linspace(a, b, k + 1) for a, b in zip(low, high, strict=True)]
    shares = []
    for x in (true, generated):
        place = k * (x - low) / (high - low) if rules.multiplies_first else (x - low) / (high - low) * k
        counts = np.histogramdd(x[(place < k).all(axis=1)], edges)[0]
        for axis in range(channels if rules.lowest_cell else 0):
            np.moveaxis(counts, axis, 0)[0] = 0
        shares.append((counts + rules.smoothing) / (counts.sum() + rules.smoothing * counts.size))
    p, q = shares
    return float((p * np.log(p / q)).sum())


def clouds(channels: int, rows: int = 4000, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((channels, channels))
    true = rng.standard_normal((rows, channels)) @ mix + 0.3
    return true, 1.2 * rng.standard_normal((rows + 500, channels)) @ mix


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_sparse_histogram_equals_a_dense_one_written_independently(preset: str, channels: int) -> None:
    true, generated = clouds(channels)
    score = d_stsp(true, generated, preset=preset)
    assert score.value == pytest.approx(dense_divergence(true, generated, PRESETS[preset].binning), rel=1e-9)


def test_five_channels_need_no_dense_array() -> None:
    true, generated = clouds(5)
    dense = dense_divergence(true, generated, PRESETS["dsr-v1"].binning)
    assert d_stsp(true, generated).value == pytest.approx(dense, rel=1e-9)
    assert d_stsp(true, generated, preset="gtf").value is not None


def test_three_points_give_the_divergence_computed_by_hand() -> None:
    """Truth 0, 0, 1: std is 1 / sqrt 3, so 30 cells span [-0.0577, 1.0577] and the points lie in cells 1 and 28."""
    a, cells = 1e-5, 30
    p, q = 3 + cells * a, 2 + cells * a
    by_hand = (2 + a) / p * math.log((2 + a) / p / ((1 + a) / q)) + (1 + a) / p * math.log((1 + a) / p / ((1 + a) / q))
    by_hand += (cells - 2) * a / p * math.log(q / p)
    assert d_stsp([0.0, 0.0, 1.0], [0.0, 1.0]).value == pytest.approx(by_hand, rel=1e-12)


def test_binned_gaussians_approach_the_analytic_divergence() -> None:
    """KL(N(0, 1) || N(m, s^2)) = ln s + (1 + m^2) / (2 s^2) - 1/2, less what the cells' width hides."""
    rng = np.random.default_rng(3)
    true, generated = rng.standard_normal(400_000), 0.5 + 1.5 * rng.standard_normal(400_000)
    analytic = math.log(1.5) + (1 + 0.25) / (2 * 1.5**2) - 0.5
    assert d_stsp(true, generated).value == pytest.approx(analytic, abs=0.02)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_series_has_no_divergence_from_itself_nor_from_its_shuffled_rows(preset: str) -> None:
    true, _ = clouds(3)
    assert d_stsp(true, true, preset=preset).value == 0.0
    shuffled = np.random.default_rng(1).permutation(true)
    assert d_stsp(true, shuffled, preset=preset).value == 0.0


def test_the_floor_is_the_metric_between_the_halves() -> None:
    true, generated = clouds(2, rows=1001)
    score = d_stsp(true, generated)
    assert score.floor == d_stsp(true[:500], true[500:]).value
    assert score.detail["floor_rows"] == [500, 501]
    assert (score.detail["rows_true"], score.detail["rows_other"]) == (1001, 1501)


def test_units_do_not_matter_where_the_box_follows_the_data() -> None:
    true, generated = clouds(3)
    scale, shift = np.array([1e-6, 3.0, 1e7]), np.array([5.0, -1e3, 1e8])
    moved = d_stsp(true * scale + shift, generated * scale + shift).value
    assert moved == pytest.approx(d_stsp(true, generated).value, rel=1e-3)


def test_one_column_and_a_flat_array_are_the_same() -> None:
    true, generated = clouds(1)
    assert d_stsp(true[:, 0], generated) == d_stsp(true, generated[:, 0])


def test_preset_chaosrnn_drops_points_beyond_two_deviations_of_zero() -> None:
    true, generated = clouds(2)
    far = d_stsp(true + 50.0, generated + 50.0, preset="chaosrnn")
    assert far.value is None
    assert far.reason == "no row of true lies in the histogram's box"
    assert d_stsp(true + 50.0, generated + 50.0).value is not None


def test_a_generated_run_outside_the_box_has_a_reason_instead_of_a_number() -> None:
    true, generated = clouds(2)
    score = d_stsp(true, generated + 1e3)
    assert (score.value, score.reason) == (None, "no row of generated lies in the histogram's box")
    assert score.floor is not None
    assert d_stsp(true, generated * 0 + 1e308).value is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_run_that_is_not_finite_is_named_by_row_and_column(bad: float) -> None:
    true, generated = clouds(2)
    generated[7, 1] = bad
    score = d_stsp(true, generated)
    assert score.value is None
    assert score.reason is not None and "row 7, column 1" in score.reason


def test_a_constant_run_has_a_large_value() -> None:
    true, _ = clouds(3)
    value = d_stsp(true, np.zeros_like(true)).value
    assert value is not None and value > 10


def test_a_constant_truth_has_a_reason() -> None:
    score = d_stsp(np.ones((50, 2)), np.ones((50, 2)))
    assert (score.value, score.floor) == (None, None)
    assert score.reason == "true is constant in column 0 (1 in every row)"


@pytest.mark.parametrize("preset", PRESETS)
def test_more_channels_than_the_preset_bins_are_compared_by_mixtures_or_have_a_reason(preset: str) -> None:
    true, generated = clouds(12, rows=200)
    score = d_stsp(true, generated, preset=preset)
    if PRESETS[preset].mixture is None:
        assert score.value is None
        assert score.reason is not None and score.reason.startswith(f"preset {preset} bins at most 10 channels")
    else:
        assert score == d_stsp_gmm(true, generated, preset=preset)
        assert score.detail["method"] == "mixture"


def test_misuse_is_an_error_and_not_a_score() -> None:
    true, generated = clouds(3, rows=100)
    with pytest.raises(Inconsistent, match="3 columns and generated has 2"):
        d_stsp(true, generated[:, :2])
    with pytest.raises(BadShape):
        d_stsp(true[None], generated)
    with pytest.raises(BadShape):
        d_stsp(np.zeros((5, 0)), np.zeros((5, 0)))
    with pytest.raises(NotReal):
        d_stsp(true.astype(complex), generated)
    with pytest.raises(UnknownKind) as raised:
        d_stsp(true, generated, preset="best")
    assert raised.value.fields["known"] == sorted(PRESETS)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_have_a_reason(rows: int) -> None:
    assert d_stsp(np.zeros((rows, 2)), np.zeros((5, 2))).value is None


def test_numbers_at_the_edge_of_floating_point_raise_no_warning() -> None:
    x = np.random.default_rng(0).standard_normal((100, 2))
    assert d_stsp(x * 1e307, x * 1e307).reason == "the true series is too large or too small for a box"
    assert d_stsp(x, x * 1e307).reason == "no row of generated lies in the histogram's box"
    assert d_stsp(x * 1e-150, x * 1e-150).value == 0.0
