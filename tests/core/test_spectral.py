import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter1d

from chaos_core.errors import Inconsistent, UnknownKind
from chaos_core.metrics import PRESETS, d_h
from chaos_core.metrics.spectral import SpectralTruth, power_spectrum

WHOLE = [name for name, preset in PRESETS.items() if preset.spectrum.kind == "whole"]
Floats = npt.NDArray[np.float64]


def plain_hellinger(true: Floats, generated: Floats) -> float:
    """The whole-series definition, step by step, with scipy's smoothing (mirrored edges, radius 4 sigma)."""
    spectra = []
    for x in (true, generated):
        z = (x - x.mean(0)) / x.std(0, ddof=1)
        power = gaussian_filter1d(np.abs(np.fft.rfft(z, axis=0)) ** 2, 20.0, axis=0)
        spectra.append(power / power.sum(0))
    overlap = np.sqrt(spectra[0] * spectra[1]).sum(0)
    return float(np.sqrt(1 - overlap).mean())


def plain_segment_distance(true: Floats, generated: Floats) -> float:
    """The definition of preset chaosrnn as loops over channels and segments."""
    kernel = np.exp(-0.5 * (np.arange(-10, 11) / 2.0) ** 2)
    kernel /= kernel.sum()
    length = min(len(true), len(generated)) // 50
    distances = []
    for channel in range(true.shape[1]):
        spectra = []
        for x in (true, generated):
            own = len(x) // 50
            found = []
            for i in range(50):
                piece = x[i * own : i * own + length, channel]
                piece = (piece - piece.mean()) / piece.std(ddof=1)
                piece = piece[: length // 2 * 2]
                power = np.abs(np.fft.rfft(piece)) ** 2 / len(piece) * 2 / len(piece)
                found.append(np.convolve(power, kernel)[10:-10])
            spectra.append(np.mean(found, axis=0)[:500])
        f = np.sqrt(spectra[0] * spectra[1])
        distances.append(np.sqrt(max(0.0, 1 - ((f[1:] + f[:-1]) / 2).sum())))
    return float(np.mean(distances))


def coloured(rows: int, channels: int = 3, seed: int = 0, share: float = 0.9) -> Floats:
    noise = np.random.default_rng(seed).standard_normal((rows, channels))
    out = np.zeros_like(noise)
    for t in range(1, rows):
        out[t] = share * out[t - 1] + noise[t]
    return out * [1.0, 20.0, 0.01][:channels] + 5.0


@pytest.mark.parametrize("preset", WHOLE)
@pytest.mark.parametrize("rows", [5000, 4999, 401])
def test_whole_series_distance_equals_an_independent_implementation(preset: str, rows: int) -> None:
    true, generated = coloured(rows), coloured(rows, seed=1, share=0.6)
    value = d_h(true, generated, preset=preset).value
    assert value == pytest.approx(plain_hellinger(true, generated), rel=1e-9)


@pytest.mark.parametrize(("rows", "other"), [(5000, 5000), (5151, 6020), (7000, 5049)])
def test_segment_distance_equals_an_independent_implementation(rows: int, other: int) -> None:
    true, generated = coloured(rows), coloured(other, seed=1, share=0.6)
    value = d_h(true, generated, preset="chaosrnn").value
    assert value == pytest.approx(plain_segment_distance(true, generated), rel=1e-9)


@pytest.mark.parametrize("preset", WHOLE)
def test_a_series_has_no_distance_from_itself_in_any_unit(preset: str) -> None:
    x = coloured(3000)
    assert d_h(x, x, preset=preset).value == 0.0
    assert d_h(x, -3.0 * x + 100.0, preset=preset).value == pytest.approx(0.0, abs=1e-7)


def test_two_far_tones_have_distance_one() -> None:
    """Smoothing reaches 80 bins, so tones 400 bins apart share no frequency."""
    t = np.arange(4000)
    slow, fast = np.sin(2 * np.pi * 100 * t / 4000), np.sin(2 * np.pi * 500 * t / 4000)
    assert d_h(slow, fast).value == pytest.approx(1.0, abs=1e-6)


def test_two_near_tones_have_the_distance_of_two_gaussians() -> None:
    """Equal Gaussians of width s, d apart: H^2 = 1 - exp(-d^2 / (8 s^2)); here d = 40 = 2 s."""
    t = np.arange(8000)
    one, other = np.cos(2 * np.pi * 1000 * t / 8000), np.cos(2 * np.pi * 1040 * t / 8000)
    assert d_h(one, other).value == pytest.approx(np.sqrt(1 - np.exp(-0.5)), abs=2e-3)


def test_shuffling_a_series_with_slow_rhythms_is_seen_by_its_spectrum() -> None:
    true = np.cumsum(np.random.default_rng(0).standard_normal((20_000, 1)), axis=0)
    true -= np.linspace(true[0], true[-1], len(true))
    value = d_h(true, np.random.default_rng(1).permutation(true)).value
    assert value is not None and value > 0.8


def test_the_longer_series_is_cut_to_the_shorter() -> None:
    true, generated = coloured(3000), coloured(4000, seed=1)
    score = d_h(true, generated)
    assert score.value == d_h(true, generated[:3000]).value
    assert score.detail["rows_used"] == 3000
    assert d_h(generated, true).value == pytest.approx(score.value, rel=1e-12)


def test_the_floor_is_the_metric_between_the_halves() -> None:
    true = coloured(3001)
    score = d_h(true, coloured(3001, seed=2))
    assert score.floor == d_h(true[:1500], true[1500:]).value
    assert score.detail["floor_rows"] == [1500, 1501]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_constant_channel_has_no_spectrum(preset: str) -> None:
    true, generated = coloured(5000), coloured(5000, seed=1)
    generated[:, 1] = 3.0
    score = d_h(true, generated, preset=preset)
    assert score.value is None
    assert score.reason == "generated is constant in column 1 (3 in every row), so it has no power spectrum"


def test_a_run_that_moves_only_after_the_cut_has_no_spectrum() -> None:
    true, generated = coloured(1000), np.ones((2000, 3))
    generated[1500:] += coloured(500, seed=1)
    score = d_h(true, generated)
    assert score.value is None
    assert score.reason is not None and "of the first 1000" in score.reason


def test_a_run_that_stands_still_for_whole_segments_is_scored_on_the_others() -> None:
    true, generated = coloured(5000), coloured(5000, seed=1)
    generated[:1000] = generated[0]
    assert d_h(true, generated, preset="chaosrnn").value is not None
    generated[1:, 0] = generated[0, 0]
    generated[0, 0] += 1.0
    assert d_h(true, generated, preset="chaosrnn").value is not None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("preset", PRESETS)
def test_a_run_that_is_not_finite_has_a_reason(preset: str, bad: float) -> None:
    true, generated = coloured(5000), coloured(5000, seed=1)
    generated[-1, 0] = bad
    score = d_h(true, generated, preset=preset)
    assert score.value is None
    assert score.reason is not None and "row 4999, column 0" in score.reason


def test_short_series_say_what_they_lack() -> None:
    assert d_h(np.arange(3.0), np.arange(3.0)).value is None
    short = d_h(coloured(100), coloured(100, seed=1))
    assert "smoothing" in str(short.detail["warning"])
    few = d_h(coloured(2000), coloured(2000, seed=1), preset="chaosrnn")
    assert few.reason == "the preset needs 2100 rows: 50 segments of 42"


def test_enormous_and_tiny_numbers_raise_no_warning() -> None:
    x = coloured(500)
    assert d_h(x, x * 1e305).value == pytest.approx(0.0, abs=1e-7)
    assert d_h(x * 1e-300, x).value == pytest.approx(0.0, abs=1e-6)


def test_misuse_is_an_error_and_not_a_score() -> None:
    x = coloured(500)
    with pytest.raises(Inconsistent):
        d_h(x, x[:, :2])
    with pytest.raises(UnknownKind):
        d_h(x, x, preset="?")


def test_the_power_spectrum_of_a_tone_peaks_at_its_frequency() -> None:
    spectrum = power_spectrum(np.cos(2 * np.pi * 0.125 * np.arange(4000))[:, None], sigma=2.0)
    assert spectrum.shape == (2001, 1)
    assert int(spectrum.argmax()) == 500
    assert float(spectrum.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_truth_that_is_kept_gives_what_a_single_comparison_gives(preset: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(9000, 2)).cumsum(axis=0)
    kept = SpectralTruth(x, PRESETS[preset])
    runs = [rng.normal(size=(rows, 2)).cumsum(axis=0) for rows in (9000, 7000, 9000, 12_000, 7000, 3)]
    for run in (*runs, np.zeros((9000, 2)), np.full((9000, 2), np.nan)):
        found, alone = kept.distance(run), d_h(x, run, preset=preset, floor=False)
        assert (found.value, found.reason) == (alone.value, alone.reason)
        assert found.detail.items() <= alone.detail.items()
