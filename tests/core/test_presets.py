"""Every preset against the metric code of its paper, on twelve pairs.

`peers/metrics.json` keeps what the peers' own functions said, with their commits; where we differ on purpose, the row
says what we answer and why. The Julia code of presets gtf and alrnn does not run here: its equations are written anew
below, plainly, and compared on the same pairs.
"""

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from chaos_core.errors import UnknownKind
from chaos_core.metrics import METRICS, PRESETS, Score, mse_curve
from chaos_core.metrics.presets import preset_named
from tests.core.pairs import PAIRS, Pair

Floats = npt.NDArray[np.float64]
KEPT: dict[str, Any] = json.loads((Path(__file__).parent / "peers" / "metrics.json").read_text())
ROWS: list[dict[str, Any]] = KEPT["rows"]


def named(row: dict[str, Any]) -> str:
    return f"{row['preset']}-{row['metric']}-{row['pair']}"


def ours(metric: str, preset: str, pair: Pair) -> Score:
    true, generated = pair
    if metric == "mse_curve":
        n, starts = 20, len(true) - 20
        return mse_curve(true, np.array([generated[k : k + starts] for k in range(1, n + 1)]), preset=preset)
    return METRICS[metric].measure(true, generated, preset=preset, floor=False)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_we_say_what_the_peers_own_code_says_or_the_row_tells_why_not(row: dict[str, Any]) -> None:
    score = ours(row["metric"], row["preset"], PAIRS[row["pair"]]())
    expected = row["differs"]["ours"] if "differs" in row else row["value"]
    if expected is None:
        assert score.value is None and score.reason
    elif row["metric"] == "mse_curve":
        assert score.detail["curve"] == pytest.approx(expected, rel=1e-6)
    else:
        assert score.value == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_every_row_whose_peer_has_no_number_tells_why_we_differ() -> None:
    silent = [named(row) for row in ROWS if not isinstance(row["value"], float | list) and "differs" not in row]
    assert silent == []
    assert all(row["differs"]["why"] for row in ROWS if "differs" in row)


def test_the_kept_values_cover_every_pair_and_name_the_commits() -> None:
    assert {row["pair"] for row in ROWS} == set(PAIRS)
    assert {row["preset"] for row in ROWS} == set(KEPT["peers"]) == set(PRESETS) - {"dsr-v1", "gtf"}
    assert all(len(peer["commit"]) == 40 for peer in KEPT["peers"].values())


def test_leaving_out_the_zero_frequency_moves_the_peers_correlation_by_little() -> None:
    """The largest change is that of 40 rows, whose whole spectrum is narrower than the smoothing."""
    moved = {
        row["pair"]: abs(row["value"] - row["as_their_code_is"])
        for row in ROWS
        if row["metric"] == "power_spectrum_correlation" and isinstance(row["as_their_code_is"], float)
    }
    assert max(moved.values()) == moved.pop("short") < 0.11
    assert max(moved.values()) < 0.04


def julia_binned(true: Floats, generated: Floats) -> float:
    """30 cells a channel over the truth's range and a tenth of its deviation on either side, p ln(p / q)."""
    bins, channels = 30, true.shape[1]
    margin = 0.1 * true.std(axis=0, ddof=1)
    low, high = true.min(axis=0) - margin, true.max(axis=0) + margin
    edges = [np.linspace(a, b, bins + 1) for a, b in zip(low, high, strict=True)]
    counts = []
    for x in (true, generated):
        inside = x[((x >= low) & (x < high)).all(axis=1)]
        counts.append(
            Counter(zip(*(np.searchsorted(e, inside[:, i], "right") for i, e in enumerate(edges)), strict=True))
        )
    cells, (truth, run) = bins**channels, counts
    if not run.total():
        return math.nan
    p_total, q_total = truth.total() + 1e-5 * cells, run.total() + 1e-5 * cells
    occupied = truth.keys() | run.keys()
    shares = [((truth[c] + 1e-5) / p_total, (run[c] + 1e-5) / q_total) for c in sorted(occupied)]
    empty = (cells - len(occupied)) * 1e-5 / p_total * math.log(q_total / p_total)
    return math.fsum(p * math.log(p / q) for p, q in shares) + empty


def julia_divergence(true: Floats, generated: Floats) -> float:
    """Histograms below six channels, mixtures above."""
    return (julia_binned if true.shape[1] < 6 else julia_mixture)(true, generated)


def julia_mixture(true: Floats, generated: Floats) -> float:
    """1000 points around rows of the truth, unit variance; points that are 0 in single precision are left out."""
    rng = np.random.default_rng(0)
    rows = true[np.floor(rng.random(1000) * len(true)).astype(int)]
    points = rows + rng.standard_normal(rows.shape)
    p, q = np.zeros(1000), np.zeros(1000)
    for i, point in enumerate(points):
        p[i] = np.exp(-0.5 * ((point - true) ** 2).sum(axis=1)).mean()
        q[i] = np.exp(-0.5 * ((point - generated) ** 2).sum(axis=1)).mean()
    seen = (np.float32(p) > 0) & (np.float32(q) > 0)
    return float((np.log(p[seen]) - np.log(q[seen])).mean()) if seen.any() else math.nan


def julia_spectra(x: Floats) -> Floats:
    """Standardised, squared amplitudes, smoothed by sigma 20 over 161 bins with mirrored edges, sum 1."""
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    power = np.abs(np.fft.rfft(z, axis=0)) ** 2
    kernel = np.exp(-0.5 * (np.arange(-80, 81) / 20.0) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(power, ((80, 80), (0, 0)), mode="symmetric")
    smooth = np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1)
    return smooth / smooth.sum(axis=0)


def julia_hellinger(true: Floats, generated: Floats) -> float:
    p, q = julia_spectra(true), julia_spectra(generated)
    return float((np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum(axis=0)) / math.sqrt(2)).mean())


def julia_correlation(true: Floats, generated: Floats) -> float:
    p, q = julia_spectra(true), julia_spectra(generated)
    return float(np.mean([np.corrcoef(p[:, i], q[:, i])[0, 1] for i in range(p.shape[1])]))


TRANSCRIBED: dict[str, Callable[[Floats, Floats], float]] = {
    "d_stsp": julia_divergence,
    "d_stsp_gmm": julia_mixture,
    "d_h": julia_hellinger,
    "power_spectrum_correlation": julia_correlation,
}


@pytest.mark.parametrize("metric", TRANSCRIBED)
@pytest.mark.parametrize("pair", PAIRS)
def test_preset_gtf_equals_an_independent_transcription_of_its_julia_code(metric: str, pair: str) -> None:
    true, generated = PAIRS[pair]()
    score = ours(metric, "gtf", (true, generated))
    with np.errstate(all="ignore"):
        expected = TRANSCRIBED[metric](true, generated)
    if pair == "nan_run" or math.isnan(expected):
        assert score.value is None and score.reason
    else:
        assert score.value == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("preset", ["gtf", "alrnn", "dend", "dsr-v1"])
def test_presets_that_share_a_definition_share_its_value(preset: str) -> None:
    """d_h is one definition in four code bases; the Julia code of AL-RNN is that of GTF but for the histograms."""
    pair = PAIRS["noisy"]()
    assert ours("d_h", preset, pair).value == ours("d_h", "gtf", pair).value
    assert ours("d_stsp_gmm", "alrnn", pair).value == ours("d_stsp_gmm", "gtf", pair).value


def test_d_stsp_chooses_histograms_or_mixtures_as_each_code_base_does() -> None:
    rng = np.random.default_rng(0)
    methods = {
        name: [
            ours("d_stsp", name, (rng.standard_normal((60, n)), rng.standard_normal((60, n)))).detail.get("method")
            for n in (4, 5, 6, 10, 11)
        ]
        for name in PRESETS
    }
    b, m = "binned", "mixture"
    assert methods == {
        "dsr-v1": [b, b, m, m, m],
        "gtf": [b, b, m, m, m],
        "chaosrnn": [b, b, m, m, m],
        "dend": [b, m, m, m, m],
        "alrnn": [b, b, b, b, m],
        "dynamix": [b, b, b, b, None],
    }


def test_an_unknown_preset_is_an_error_that_lists_those_there_are() -> None:
    with pytest.raises(UnknownKind) as raised:
        preset_named("best")
    assert raised.value.fields["known"] == sorted(PRESETS)
