"""The settings under which a number was or will be published: compare only numbers of one preset."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt

from chaos_core.errors import UnknownKind

__all__ = ["PRESETS", "Binning", "Preset", "SegmentSpectrum", "WholeSpectrum", "preset_named"]


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
        lowest_cell: first cell index that counts: 1 drops the lowest cell of every channel.
        smoothing: added to the count of every cell, also of the empty ones (Laplace).
    """

    bins: tuple[PositiveInt, ...]
    box: Literal["data", "zero"]
    margin: PositiveFloat
    lowest_cell: NonNegativeInt
    smoothing: PositiveFloat


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


class Preset(Settings):
    """A name, where it comes from, and the settings of its metrics.

    Args:
        matches_noise: whether whoever scores a trained model adds the data's estimated observation noise to the free
            run first, so that like is compared with like: truth with 5 % noise against a noise-free run of the very
            same system scores D_stsp 1.1 (20 000 rows), with equal noise 0.35. The metric functions add nothing.
    """

    name: str
    source: str
    matches_noise: bool
    binning: Binning
    spectrum: WholeSpectrum | SegmentSpectrum


GTF_SOURCE = "Hess, Monfared, Brenner, Durstewitz (2023), Generalized teacher forcing, arXiv:2306.04406"

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="dsr-v1",
            matches_noise=True,
            source=f"definitions of preset gtf ({GTF_SOURCE}); fewer cells per channel for N = 4 and 5",
            binning=Binning(bins=(30, 30, 30, 12, 8), box="data", margin=0.1, lowest_cell=0, smoothing=1e-5),
            spectrum=WholeSpectrum(sigma=20.0, radius=4.0),
        ),
        Preset(
            name="gtf",
            matches_noise=False,
            source=GTF_SOURCE,
            binning=Binning(bins=(30,) * 5, box="data", margin=0.1, lowest_cell=0, smoothing=1e-5),
            spectrum=WholeSpectrum(sigma=20.0, radius=4.0),
        ),
        Preset(
            name="chaosrnn",
            matches_noise=False,
            source="Mikhaeil, Monfared, Durstewitz (2022), On the difficulty of learning chaotic dynamics with RNNs, "
            "arXiv:2110.07238",
            binning=Binning(bins=(10,) * 5, box="zero", margin=2.0, lowest_cell=1, smoothing=1e-5),
            spectrum=SegmentSpectrum(segments=50, sigma=2.0, radius=5.0, cutoff=500),
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
