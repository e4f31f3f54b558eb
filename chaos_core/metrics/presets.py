"""The settings under which a number was or will be published: compare only numbers of one preset."""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    NegativeFloat,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from chaos_core.errors import UnknownKind

__all__ = [
    "PRESETS",
    "Binning",
    "Correlation",
    "Mixture",
    "Preset",
    "PresetName",
    "ScaledError",
    "SegmentSpectrum",
    "WholeSpectrum",
    "preset_named",
]


class Settings(BaseModel):
    """Frozen settings; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Binning(Settings):
    """How state space is cut into cells for D_stsp.

    Args:
        bins: cells per channel for N = 1, 2, ... channels; its length is the largest N that is binned. Memory does
            not limit it (histograms are sparse), but cells without data do: with k^N far above T every cell is empty.
        box: "data" spans [min - margin * std, max + margin * std] of the truth; "zero" spans +-margin * std around
            zero, whatever the mean.
        margin: see `box`; std with T - 1 in the denominator.
        multiplies_first: whether a row's cell is k (x - low) / (high - low) or ((x - low) / (high - low)) k. It matters
            at margin 0, where rounding decides whether the greatest value of the truth lies in the box.
        lowest_cell: first cell index that counts: 1 drops the lowest cell of every channel.
        smoothing: added to the count of every cell, also of the empty ones (Laplace).
    """

    bins: tuple[PositiveInt, ...]
    box: Literal["data", "zero"]
    margin: NonNegativeFloat
    multiplies_first: bool = False
    lowest_cell: NonNegativeInt
    smoothing: PositiveFloat


class Mixture(Settings):
    """D_stsp between two mixtures of equal Gaussians, one around each row; used above the channels that are binned.

    Args:
        variance: of every Gaussian in every channel.
        scaled: whether both series are first divided by the standard deviations of the truth, so that `variance` is
            a share of the data's; otherwise it is in squared units of the data, and the data must be standardised.
        most_rows: only the first so many rows of each series count.
        samples: random points of the Monte Carlo estimate.
        drawn_from: the mixture that the points come from: "true" gives KL(true || generated), "generated" gives
            KL(generated || true), "both" the mean of the two.
        underflow: a point is left out where a likelihood has a natural logarithm below this, since it is 0 in the
            source's arithmetic; None leaves nothing out.
    """

    variance: PositiveFloat
    scaled: bool
    most_rows: PositiveInt
    samples: PositiveInt
    drawn_from: Literal["true", "generated", "both"]
    underflow: NegativeFloat | None


class WholeSpectrum(Settings):
    """D_H on the periodogram of the whole series.

    Args:
        sigma: width of the Gaussian that smooths over frequencies, in bins.
        radius: reach of that Gaussian in units of sigma; the edges are mirrored.
    """

    kind: Literal["whole"] = "whole"
    sigma: PositiveFloat
    radius: PositiveFloat


class SegmentSpectrum(Settings):
    """D_H on the mean periodogram of equal segments.

    Args:
        segments: number of segments; the sources cut 100 000 rows into 50.
        sigma: width of the smoothing Gaussian, in bins; the spectrum counts as zero beyond its edges.
        radius: reach of the Gaussian in units of sigma.
        cutoff: only the lowest so many frequencies count.
    """

    kind: Literal["segments"] = "segments"
    segments: PositiveInt
    sigma: PositiveFloat
    radius: PositiveFloat
    cutoff: PositiveInt


class Correlation(Settings):
    """Correlation of power spectra.

    Args:
        scale: "decibel" correlates 20 log10 of the amplitudes, then smoothed; "linear" the smoothed power.
        absolute: whether the sign is dropped.
        sigma: width of the smoothing Gaussian, in bins.
        radius: reach of the Gaussian in units of sigma. Beyond its edges a spectrum in decibels counts as zero, one
            of power is mirrored.
        cutoff: only the lowest so many frequencies count; None counts all.
    """

    scale: Literal["decibel", "linear"]
    absolute: bool
    sigma: PositiveFloat
    radius: PositiveFloat
    cutoff: PositiveInt | None


class ScaledError(Settings):
    """MASE: the error of a forecast over that of the naive forecast.

    Args:
        steps: only the first so many rows of the forecast count; None counts all.
        lag: the naive forecast repeats the value so many steps ago.
        scale: the series whose naive error divides, "true" or "generated".
        guard: added to the naive error, against division by zero.
    """

    steps: PositiveInt | None
    lag: PositiveInt
    scale: Literal["true", "generated"]
    guard: NonNegativeFloat


class Preset(Settings):
    """A name, where it comes from, and the settings of its metrics; None where the source has no such metric.

    Args:
        matches_noise: whether whoever scores a trained model adds the data's estimated observation noise to the free
            run first, so that like is compared with like: truth with 5 % noise against a noise-free run of the very
            same system scores D_stsp 1.1 (20 000 rows), with equal noise 0.35. The metric functions add nothing.
    """

    name: str
    source: str
    matches_noise: bool
    binning: Binning
    mixture: Mixture | None
    spectrum: WholeSpectrum | SegmentSpectrum
    correlation: Correlation | None
    mase: ScaledError | None


GTF_SOURCE = "Hess, Monfared, Brenner, Durstewitz (2023), Generalized teacher forcing, arXiv:2306.04406"

SINGLE = -103.97
DOUBLE = -745.13
"""ln of half the smallest number above zero, in single and in double precision: what is smaller becomes 0."""

SMOOTH = WholeSpectrum(sigma=20.0, radius=4.0)
LOUDNESS = Correlation(scale="decibel", absolute=True, sigma=20.0, radius=5.0, cutoff=20_000)
POWER = Correlation(scale="linear", absolute=False, sigma=20.0, radius=4.0, cutoff=None)
FROM_TRUTH = Mixture(variance=1.0, scaled=False, most_rows=10_000, samples=1000, drawn_from="true", underflow=SINGLE)
INSIDE = Binning(bins=(30,) * 10, box="data", margin=0.0, multiplies_first=True, lowest_cell=1, smoothing=1e-5)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="dsr-v1",
            matches_noise=True,
            source=f"definitions of preset gtf ({GTF_SOURCE}); fewer cells per channel for N = 4 and 5; a mixture that "
            "follows the data's units and leaves no point out",
            binning=Binning(bins=(30, 30, 30, 12, 8), box="data", margin=0.1, lowest_cell=0, smoothing=1e-5),
            mixture=FROM_TRUTH.model_copy(update={"scaled": True, "underflow": None}),
            spectrum=SMOOTH,
            correlation=LOUDNESS,
            mase=ScaledError(steps=None, lag=1, scale="true", guard=0.0),
        ),
        Preset(
            name="gtf",
            matches_noise=False,
            source=GTF_SOURCE,
            binning=Binning(bins=(30,) * 5, box="data", margin=0.1, lowest_cell=0, smoothing=1e-5),
            mixture=FROM_TRUTH,
            spectrum=SMOOTH,
            correlation=POWER,
            mase=None,
        ),
        Preset(
            name="chaosrnn",
            matches_noise=False,
            source="Mikhaeil, Monfared, Durstewitz (2022), On the difficulty of learning chaotic dynamics with RNNs, "
            "arXiv:2110.07238",
            binning=Binning(bins=(10,) * 5, box="zero", margin=2.0, lowest_cell=1, smoothing=1e-5),
            mixture=Mixture(
                variance=0.1, scaled=False, most_rows=5000, samples=1000, drawn_from="generated", underflow=DOUBLE
            ),
            spectrum=SegmentSpectrum(segments=50, sigma=2.0, radius=5.0, cutoff=500),
            correlation=None,
            mase=None,
        ),
        Preset(
            name="dend",
            matches_noise=False,
            source="Brenner, Hess, Mikhaeil, Bereska, Monfared, Kuo, Durstewitz (2022), Tractable dendritic RNNs for "
            "reconstructing nonlinear dynamical systems, arXiv:2207.02542; it has no D_H, that of preset gtf stands in",
            binning=Binning(
                bins=(30,) * 4, box="zero", margin=2.0, multiplies_first=True, lowest_cell=1, smoothing=1e-5
            ),
            mixture=FROM_TRUTH.model_copy(update={"drawn_from": "both"}),
            spectrum=SMOOTH,
            correlation=LOUDNESS,
            mase=None,
        ),
        Preset(
            name="alrnn",
            matches_noise=False,
            source="Brenner, Hemmer, Monfared, Durstewitz (2024), Almost-linear RNNs yield highly interpretable "
            "symbolic codes in dynamical systems reconstruction, arXiv:2410.14240; binning of its Python code, the "
            "rest of its Julia code",
            binning=INSIDE,
            mixture=FROM_TRUTH,
            spectrum=SMOOTH,
            correlation=POWER,
            mase=None,
        ),
        Preset(
            name="dynamix",
            matches_noise=False,
            source="Hemmer, Durstewitz (2025), True zero-shot inference of dynamical systems preserving long-term "
            "statistics, arXiv:2505.13192",
            binning=INSIDE,
            mixture=None,
            spectrum=SMOOTH,
            correlation=None,
            mase=ScaledError(steps=10, lag=1, scale="generated", guard=1e-8),
        ),
    )
}


def preset_named(name: str) -> Preset:
    """Looks a preset up by its name.

    Raises:
        UnknownKind: with the names that there are in `known`.
    """
    if name not in PRESETS:
        raise UnknownKind(f"there is no metric preset '{name}'", kind=name, known=sorted(PRESETS))
    return PRESETS[name]


def _known(name: str) -> str:
    if name not in PRESETS:
        raise ValueError(f"there is no metric preset '{name}'; known: {', '.join(sorted(PRESETS))}")
    return name


PresetName = Annotated[str, AfterValidator(_known)]
