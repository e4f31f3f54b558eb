"""Estimated against true exponents."""

import io

import numpy as np
from matplotlib.figure import Figure

from tests.bench.lyapunov.scores import Estimate

__all__ = ["against_truth"]

INK, ACCENT, PALE = "#2f3b46", "#b5442e", "#c9d1d6"


def against_truth(panels: dict[str, list[Estimate]]) -> bytes:
    """One panel for each list, on logarithmic axes, with a band of 20 % either side; as PNG.

    Answers that are missing or not positive stand as hollow marks on the lower edge: none is left out.
    """
    figure = Figure(figsize=(3.6 * len(panels), 3.9), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    true = np.array([estimate.true for found in panels.values() for estimate in found])
    low, high = true.min() / 3, true.max() * 8
    for panel, (title, found) in zip(axes, panels.items(), strict=True):
        panel.fill_between([low, high], [0.8 * low, 0.8 * high], [1.2 * low, 1.2 * high], color=PALE, linewidth=0)
        values = np.array([estimate.value or 0.0 for estimate in found])
        truth, there = np.array([estimate.true for estimate in found]), values > low
        colour = ACCENT if "nolds" in title else INK
        panel.plot(truth[there], np.minimum(values[there], high), "o", color=colour, markersize=4, markeredgewidth=0)
        panel.plot(truth[~there], np.full((~there).sum(), low * 1.1), "o", color=colour, markersize=4, fillstyle="none")
        error = np.median([estimate.error for estimate in found])
        panel.set_title(f"{title}\nmedian error {error:.0%}", fontsize=10, color=INK)
        panel.set(xscale="log", yscale="log", xlim=(low, true.max() * 1.5), ylim=(low, high))
        panel.set_xlabel("true exponent, nats per row", fontsize=9, color=INK)
    axes[0].set_ylabel("estimate", fontsize=9, color=INK)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110)
    return png.getvalue()
