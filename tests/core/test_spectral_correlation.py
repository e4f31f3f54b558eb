import numpy as np
import numpy.typing as npt
import pytest

from chaos_core.metrics import power_spectrum_correlation

Floats = npt.NDArray[np.float64]


def coloured(rows: int, seed: int = 0, share: float = 0.9, channels: int = 2) -> Floats:
    noise = np.random.default_rng(seed).standard_normal((rows, channels))
    out = np.zeros_like(noise)
    for t in range(1, rows):
        out[t] = share * out[t - 1] + noise[t]
    return out + 5.0


def plain_decibel(true: Floats, generated: Floats) -> float:
    """From the definition, frequency by frequency and with a sum over the kernel."""
    found = []
    for channel in range(true.shape[1]):
        smooth = []
        for x in (true[:, channel], generated[:, channel]):
            x = ((x - x.mean()) / x.std())[: len(x) // 2 * 2]
            loud = 20 * np.log10(2 * np.abs(np.fft.rfft(x))[1:])
            kernel = np.exp(-0.5 * (np.arange(-100, 101) / 20.0) ** 2)
            kernel /= kernel.sum()
            padded = np.concatenate([np.zeros(100), loud, np.zeros(100)])
            smooth.append(np.array([padded[i : i + 201] @ kernel for i in range(len(loud))]))
        found.append(abs(np.corrcoef(*smooth)[0, 1]))
    return float(np.mean(found))


@pytest.mark.parametrize("rows", [3000, 2999])
def test_it_equals_an_independent_implementation(rows: int) -> None:
    true, generated = coloured(rows), coloured(rows, 1, 0.5)
    value = power_spectrum_correlation(true, generated, preset="dend").value
    assert value == pytest.approx(plain_decibel(true, generated), rel=1e-9)


@pytest.mark.parametrize("preset", ["dsr-v1", "dend", "gtf", "alrnn"])
def test_a_series_correlates_fully_with_itself_in_any_unit(preset: str) -> None:
    x = coloured(2000)
    assert power_spectrum_correlation(x, x, preset=preset).value == pytest.approx(1.0)
    assert power_spectrum_correlation(x, -1e-5 * x + 7, preset=preset).value == pytest.approx(1.0, abs=1e-6)


def test_red_noise_correlates_with_red_noise_and_not_with_white() -> None:
    """A falling spectrum against a falling one, and against one without any slope."""
    red, other, white = coloured(20_000), coloured(20_000, 1), coloured(20_000, 2, 0.0)
    same, different = (power_spectrum_correlation(red, x).value for x in (other, white))
    assert same is not None and same > 0.98
    assert different is not None and different < 0.3


def test_only_the_linear_scale_keeps_the_sign() -> None:
    """The spectra of x_t = +-0.6 x_{t-1} + e_t are 1 / (1.36 -+ 1.2 cos(2 pi f))."""
    slow, fast = coloured(20_000, 0, 0.6), coloured(20_000, 1, -0.6)
    wave = 1.2 * np.cos(np.linspace(0, np.pi, 1001))
    analytic = np.corrcoef(1 / (1.36 - wave), 1 / (1.36 + wave))[0, 1]
    linear = power_spectrum_correlation(slow, fast, preset="gtf").value
    decibel = power_spectrum_correlation(slow, fast, preset="dend").value
    assert linear == pytest.approx(analytic, abs=0.03)
    assert linear is not None and linear < 0
    assert decibel is not None and decibel > 0.5


def test_only_frequencies_below_the_cutoff_count() -> None:
    """Of 50 000 rows the spectrum has 25 001 bins; the preset counts 20 000."""
    true, generated = coloured(50_000, channels=1), coloured(50_000, 1, channels=1)
    fast = np.cos(2 * np.pi * 23_000 * np.arange(50_000) / 50_000)[:, None]
    moved = generated + 1e-3 * (fast - fast.mean())
    one, other = (power_spectrum_correlation(true, x, floor=False).value for x in (generated, moved))
    assert one == pytest.approx(other, abs=1e-6)


def test_pure_tones_of_whole_periods_give_a_number_though_their_spectrum_is_rounding() -> None:
    x = np.tile([1.0, 0.0, -1.0, 0.0], 500)
    score = power_spectrum_correlation(x, x)
    assert score.value == pytest.approx(1.0)


def test_what_has_no_spectrum_has_a_reason() -> None:
    x = coloured(500)
    assert "constant" in str(power_spectrum_correlation(x, x * 0).reason)
    assert "has no correlation of spectra" in str(power_spectrum_correlation(x, x, preset="chaosrnn").reason)
    assert "too few" in str(power_spectrum_correlation(x[:3], x).reason)
    late = np.ones((1000, 2))
    late[700:] += coloured(300)
    assert "of the first 500" in str(power_spectrum_correlation(x, late).reason)
