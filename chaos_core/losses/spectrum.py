"""Power spectra of predicted windows shall be those of the data."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from chaos_core.losses.base import Ground, Loss, Pass, Term, torch_of
from chaos_core.typing import Floats, Tensor

__all__ = ["PowerSpectrum"]

FLOOR = 1e-6


class PowerSpectrum(Loss, frozen=True):
    """mean over channels of the squared Hellinger distance, sum_f (sqrt p_f - sqrt q_f)^2 / 2, of power spectra.

    p belongs to the predicted windows and q to the data at the same places: mean taken off each window, Hann taper,
    power of the Fourier transform at frequencies 1 / T to 1 / 2 per step, averaged over the windows of the batch,
    smoothed by a Gaussian of `smoothing` frequency bins, scaled to sum 1. A millionth of the data's mean power is
    added to both, so that the root has a slope everywhere. Entries that were not measured count as their window's
    mean in both.

    It sees shape alone, neither size nor phase, and only periods below the window length T.

    Source: D_H of Mikhaeil, Monfared, Durstewitz (2022), arXiv:2110.07238, and Hess et al. (2023), arXiv:2306.04406,
        here as a loss; spectra as a loss for chaotic data, with logarithms and in space: Chakraborty, Mohan, Maulik
        (2025), arXiv:2502.00472; averaged tapered windows: Welch (1967), doi:10.1109/TAU.1967.1161901.
    Differs: D_H is the root of this number (its slope at 0 is infinite), of one long series instead of windows, and
        without a taper; 20 bins wide there for 10 000 rows, here narrower since windows have few bins.
    """

    citation: ClassVar[str] = (
        "Mikhaeil, Monfared, Durstewitz (2022), On the difficulty of learning chaotic dynamics with RNNs, "
        "arXiv:2110.07238 (the distance D_H)"
    )

    kind: Literal["power_spectrum"] = "power_spectrum"
    weight: float = Field(0.1, gt=0.0, le=1e9, description="Factor of the term, which itself lies in [0, 1].")
    smoothing: float = Field(
        1.0, ge=0.0, le=100.0, description="Width of the Gaussian, bins of 1 / T per step; 0: none."
    )

    def bind(self, ground: Ground) -> Term:
        """The distance of the windows' spectra."""

        def term(done: Pass) -> Tensor:
            true = done.x[:, 1:]
            present = (
                done.present[:, 1:].to(true.dtype) if done.present is not None else true.new_ones(()).expand_as(true)
            )
            power = [_power(windows, present) for windows in (done.predicted, true)]
            smooth = ground.tensor(_smoother(len(power[1]), self.smoothing))
            floor = FLOOR * power[1].mean()
            p, q = (_shares(smooth @ one + floor) for one in power)
            return ((p.sqrt() - q.sqrt()).square().sum(0) / 2).mean()

        return term


def _power(windows: Tensor, present: Tensor) -> Tensor:
    """(F, N) mean power of windows (B, T, N) at the F = T // 2 frequencies above zero."""
    mean = (windows * present).sum(1, keepdim=True) / present.sum(1, keepdim=True).clamp(min=1.0)
    rows = windows.shape[1]
    taper = windows.new_tensor(np.sin(np.pi * (np.arange(rows) + 0.5) / rows) ** 2)
    change = torch_of().fft.rfft((windows - mean) * present * taper[:, None], dim=1)
    power: Tensor = (change.real.square() + change.imag.square()).mean(0)[1:]
    return power


def _shares(power: Tensor) -> Tensor:
    return power / power.sum(0, keepdim=True)


def _smoother(bins: int, width: float) -> Floats:
    """(F, F) matrix whose row k is a Gaussian about bin k, scaled to sum 1; the identity for width 0."""
    if not width:
        return np.eye(bins)
    apart = np.subtract.outer(np.arange(bins), np.arange(bins)) / width
    kernel = np.exp(-0.5 * apart**2)
    smoother: Floats = kernel / kernel.sum(axis=1, keepdims=True)
    return smoother
