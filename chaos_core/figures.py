"""Pictures of what was measured and learnt, as PNG and SVG bytes. No pyplot: figures are objects, never global."""

import io
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec
from matplotlib.ticker import MaxNLocator

from chaos_core.analysis import Analysis
from chaos_core.errors import BadShape
from chaos_core.metrics.spectral import power_spectrum
from chaos_core.typing import Floats

__all__ = ["attractor_figure", "divergence_figure"]

INK, ACCENT, PALE = "#2b303a", "#c2452d", "#9aa1ad"
TITLE, LABEL, TICK = 13, 9.5, 8.5
DPI = 160
MAX_PANELS = 3
"""Channels that get a panel of their own; spectra average over all."""

SERIES_ROWS, SERIES_PERIODS = 1000, 25
"""A series panel shows so many rows or periods, whichever is more: the laser's build-ups take 200 rows of 8 each."""

MAP_ROWS = 150
ORBIT_ROWS = 20_000
FLOW_PERIOD = 6
"""Rows per period from which on an orbit is drawn as a line; a map's rows are points."""

TEXT: dict[str, Any] = {"parse_math": False}
"""Names come from the user's file: a dollar sign in them is no formula."""


class Pair(NamedTuple):
    """Truth and free run, (T, N) each, as far as the run can be drawn; `period` in rows, of the truth."""

    true: Floats
    generated: Floats
    left_at: int | None
    names: tuple[str, ...]
    dt: float | None
    period: float


def attractor_figure(
    true: Floats, generated: Floats, names: Sequence[str] | None = None, dt: float | None = None, title: str = ""
) -> dict[str, bytes]:
    """Draws truth and free run beside each other: their series, their attractors, their power spectra.

    A free run of a chaotic system cannot follow the truth step by step, so the two are never laid over each other in
    time; axes are equal within each row. Three channels or more are drawn in space (the first three), two in the
    plane, one against its own past a quarter of a period ago.

    Args:
        true: (T, N) or (T,) observations.
        generated: (T', N) or (T',) free run in the same units. It is drawn up to the first row that is not finite or
            leaves the truth's range tenfold, and the picture says so.
        names: N channel names; x0, x1, ... if left out.
        dt: sampling step; the axes count steps where it is None.
        title: one line above.

    Returns:
        {"svg": ..., "png": ...}, the bytes of two files.

    Raises:
        BadShape: the channels do not match, or the truth is not finite or shorter than 4 rows.
    """
    pair = _pair(true, generated, names, dt)
    panels = min(MAX_PANELS, pair.true.shape[1])
    tall = 2.5 if panels == 1 else 0.35 + 1.05 * panels
    figure = Figure(figsize=(10, tall + 4.1), facecolor="white")
    top = 1 - (0.62 if title else 0.35) / (tall + 4.1)
    grid = figure.add_gridspec(
        2, 1, height_ratios=[tall, 3.2], left=0.075, right=0.975, top=top, bottom=0.075, hspace=0.27
    )
    if title:
        figure.text(0.075, 1 - 0.3 / (tall + 4.1), title, size=TITLE, weight="bold", color=INK, va="center", **TEXT)
    rows, columns = (2, 1) if panels == 1 else (panels, 2)
    series = GridSpecFromSubplotSpec(rows, columns, grid[0], hspace=0.4 if panels == 1 else 0.16, wspace=0.06)
    _draw_series(figure, series, pair)
    lower = GridSpecFromSubplotSpec(1, 2, grid[1], wspace=0.24 if panels >= 3 else 0.17, width_ratios=[2, 1])
    orbits = GridSpecFromSubplotSpec(1, 2, lower[0], wspace=0.12 if panels >= 3 else 0.22)
    space: dict[str, Any] = {"projection": "3d"} if panels >= 3 else {}
    _draw_orbit(figure.add_subplot(orbits[0], **space), pair, pair.true, INK, "true")
    _draw_orbit(figure.add_subplot(orbits[1], **space), pair, pair.generated, ACCENT, "generated")
    _draw_spectra(figure.add_subplot(lower[1]), pair)
    return _files(figure)


def divergence_figure(analysis: Analysis) -> dict[str, bytes]:
    """Draws the divergence curve, its scaling region, and the exponent and interval that follow from it.

    Args:
        analysis: what `analyse` found.

    Returns:
        {"svg": ..., "png": ...}; where there is no curve, a picture that says so.
    """
    figure = Figure(figsize=(8, 4.2), facecolor="white")
    axes = figure.add_axes((0.085, 0.125, 0.58, 0.74))
    figure.text(0.085, 0.93, "Divergence of neighbours", size=TITLE, weight="bold", color=INK, **TEXT)
    _plain(axes)
    if analysis.curve is None:
        axes.set_axis_off()
        axes.text(0, 0.5, "no neighbours could be followed", color=PALE, size=LABEL, transform=axes.transAxes)
    else:
        _draw_curve(axes, analysis)
    for place, (name, value) in enumerate(_facts(analysis)):
        figure.text(0.70, 0.84 - 0.105 * place, name, size=TICK, color=PALE, **TEXT)
        figure.text(0.70, 0.795 - 0.105 * place, value, size=LABEL, color=INK, **TEXT)
    return _files(figure)


def _pair(true: Floats, generated: Floats, names: Sequence[str] | None, dt: float | None) -> Pair:
    one, other = (np.asarray(x, np.float64) for x in (true, generated))
    one, other = (x[:, None] if x.ndim == 1 else x for x in (one, other))
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1]:
        raise BadShape(f"truth {one.shape} and free run {other.shape} do not have the same channels")
    if len(one) < 4 or not np.isfinite(one).all():
        raise BadShape(f"a truth of {len(one)} rows, or one with gaps, cannot be drawn", shape=list(one.shape))
    labels = tuple(names) if names is not None else tuple(f"x{i}" for i in range(one.shape[1]))
    middle, reach = one.mean(axis=0), 10 * np.maximum(np.ptp(one, axis=0), 1e-300)
    far = np.flatnonzero(~(np.abs(other - middle) <= reach).all(axis=1))
    left_at = int(far[0]) if far.size else None
    return Pair(one, other[:left_at], left_at, labels, dt, _period(one))


def _period(x: Floats) -> float:
    """Rows per mean frequency, averaged over the channels that move."""
    moving = x[:, np.ptp(x, axis=0) > 0]
    if moving.shape[1] == 0:
        return float(len(x))
    spectrum = power_spectrum(moving, sigma=1.0)
    mean = float((np.arange(len(spectrum))[:, None] * spectrum).sum(axis=0).mean()) / len(x)
    return 1 / max(mean, 1 / len(x))


def _draw_series(figure: Figure, grid: GridSpecFromSubplotSpec, pair: Pair) -> None:
    panels = min(MAX_PANELS, pair.true.shape[1])
    named = []
    for channel in range(panels):
        for side, (x, colour, name) in enumerate(((pair.true, INK, "true"), (pair.generated, ACCENT, "generated"))):
            axes = figure.add_subplot(grid[side, 0] if panels == 1 else grid[channel, side])
            _draw_channel(axes, pair, x[:, channel], channel, colour)
            if channel == 0:
                axes.set_title(name, loc="left", size=LABEL, color=colour, pad=4)
                if side == 1:
                    _say_where_it_left(axes, pair)
            if channel == panels - 1 and (panels > 1 or side == 1):
                axes.set_xlabel("step" if pair.dt is None else "time", size=LABEL, color=INK, labelpad=1)
            else:
                axes.tick_params(labelbottom=False)
            if panels > 1 and side == 1:
                axes.tick_params(labelleft=False)
            else:
                axes.set_ylabel(_short(pair.names[channel]), size=LABEL, color=INK, **TEXT)
                named.append(axes)
    figure.align_ylabels(named)


def _draw_channel(axes: Axes, pair: Pair, values: Floats, channel: int, colour: str) -> None:
    wanted = max(SERIES_ROWS, round(SERIES_PERIODS * pair.period)) if pair.period >= FLOW_PERIOD else MAP_ROWS
    rows, step = min(len(pair.true), wanted), pair.dt or 1.0
    values = values[:rows]
    mark: dict[str, Any] = {} if pair.period >= FLOW_PERIOD else {"marker": "o", "markersize": 1.8}
    axes.plot(step * np.arange(len(values)), values, color=colour, linewidth=0.8, **mark)
    _plain(axes)
    axes.set(xlim=(0, step * rows), ylim=_range(pair.true[:, channel]))
    axes.yaxis.set_major_locator(MaxNLocator(3))


def _say_where_it_left(axes: Axes, pair: Pair) -> None:
    if pair.left_at is not None:
        words = f"leaves the data's region at step {pair.left_at}"
        axes.text(0.99, 0.95, words, size=TICK, color=ACCENT, ha="right", va="top", transform=axes.transAxes)


def _draw_orbit(axes: Any, pair: Pair, x: Floats, colour: str, name: str) -> None:
    """The first three channels in space, two in the plane, or one against its past; equal axes for both."""
    lag = max(1, round(pair.period / 4))
    columns, labels = _coordinates(x[: ORBIT_ROWS + lag], pair, lag)
    limits = [_range(column) for column in _coordinates(pair.true, pair, lag)[0]]
    columns = [
        np.where((column >= low) & (column <= high), column, np.nan)
        for column, (low, high) in zip(columns, limits, strict=True)
    ]
    if pair.period >= FLOW_PERIOD:
        axes.plot(*columns, color=colour, linewidth=0.35, alpha=0.75, rasterized=True)
    else:
        axes.plot(*columns, ",", color=colour, alpha=0.9, rasterized=True)
    for axis, (low, high), label in zip("xyz", limits, labels, strict=False):
        getattr(axes, f"set_{axis}lim")(low, high)
        getattr(axes, f"set_{axis}label")(label, size=LABEL, color=INK, labelpad=-9 if len(labels) == 3 else 1, **TEXT)
    axes.set_title(name, loc="left", size=LABEL, color=colour, pad=4)
    if len(labels) == 3:
        _plain_space(axes)
    else:
        _plain(axes)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_locator(MaxNLocator(4))


def _coordinates(x: Floats, pair: Pair, lag: int) -> tuple[list[Floats], list[str]]:
    if x.shape[1] == 1:
        ago = f"{lag} step{'s' * (lag > 1)}" if pair.dt is None else f"{lag * pair.dt:.3g}"
        name = _short(pair.names[0])
        return [x[: max(0, len(x) - lag), 0], x[lag:, 0]], [f"{name}, {ago} ago", name]
    used = min(MAX_PANELS, x.shape[1])
    return [x[:, i] for i in range(used)], [_short(name) for name in pair.names[:used]]


def _draw_spectra(axes: Axes, pair: Pair) -> None:
    """Mean over channels of the spectra that sum to 1, as densities; tapered, for the eye wants the weak end too."""
    step = pair.dt or 1.0
    for x, colour, name, width in ((pair.true, INK, "true", 1.5), (pair.generated, ACCENT, "generated", 0.9)):
        moving = x[:, np.ptp(x, axis=0) > 0] if len(x) > 3 else x[:, :0]
        if moving.shape[1] == 0:
            continue
        tapered = (moving - moving.mean(axis=0)) * np.hanning(len(x))[:, None]
        power = power_spectrum(tapered, sigma=max(2.0, len(x) / 800)).mean(axis=1) * len(x) * step
        frequency = np.arange(len(power)) / (len(x) * step)
        shown = slice(1, None, max(1, len(power) // 4000))
        axes.plot(frequency[shown], power[shown], color=colour, linewidth=width, label=name)
        if x is pair.true:
            high = float(power[1:].max())
            axes.set_ylim(max(float(power[1:].min()), 1e-7 * high) / 3, high * 5)
            above = np.flatnonzero(power > 1e-6 * high)
            axes.set_xlim(0, min(0.5 / step, 1.15 * float(frequency[above[-1]]) + 1 / (len(x) * step)))
    _plain(axes)
    axes.set_yscale("log")
    axes.tick_params(which="minor", length=0)
    axes.set_xlabel("frequency, per step" if pair.dt is None else "frequency, per time unit", size=LABEL, color=INK)
    axes.set_title("power spectrum", loc="left", size=LABEL, color=INK, pad=4)
    if axes.lines:
        axes.legend(loc="upper right", frameon=False, fontsize=TICK, labelcolor="linecolor", handlelength=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))


def _draw_curve(axes: Axes, analysis: Analysis) -> None:
    curve = analysis.curve
    if curve is None:
        return
    k, s = np.asarray(curve.k, float), np.asarray(curve.s)
    axes.plot(k, s, color=INK, linewidth=1.4)
    axes.axhline(curve.saturation, color=PALE, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.annotate(
        "distance of random pairs", (k[-1], curve.saturation), (0, 3), textcoords="offset points", size=TICK,
        color=PALE, ha="right",
    )  # fmt: skip
    if curve.fit_start is not None and curve.fit_stop is not None:
        inside = (k >= curve.fit_start) & (k <= curve.fit_stop)
        axes.axvspan(curve.fit_start, curve.fit_stop, color=ACCENT, alpha=0.08, linewidth=0)
        slope, offset = np.polyfit(k[inside], s[inside], 1) if inside.sum() > 1 else (0.0, float(s.mean()))
        ends = np.array([curve.fit_start, curve.fit_stop], float)
        axes.plot(ends, slope * ends + offset, color=ACCENT, linewidth=2.0)
    axes.set_xlim(0, float(k[-1]))
    axes.set_xlabel("steps since the neighbours were found", size=LABEL, color=INK)
    axes.set_ylabel("mean log distance", size=LABEL, color=INK)
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _facts(analysis: Analysis) -> list[tuple[str, str]]:
    facts = [("verdict", analysis.verdict.value.replace("_", " "))]
    low, high = analysis.lambda_low_per_step, analysis.lambda_high_per_step
    if analysis.lambda_max_per_step is not None:
        value = f"{analysis.lambda_max_per_step:.3g} nats per step"
        facts.append(("largest Lyapunov exponent", value))
    if low is not None and high is not None:
        facts.append(("90 % interval", f"{low:.3g} to {high:.3g}"))
    if analysis.lambda_max is not None:
        facts.append(("in the data's time unit", f"{analysis.lambda_max:.3g} nats"))
    if analysis.predictability_time_steps is not None:
        facts.append(("ln 2 / exponent", f"{analysis.predictability_time_steps:.4g} steps"))
    if analysis.lambda_divergence_per_step is not None:
        facts.append(("slope of the line alone", f"{analysis.lambda_divergence_per_step:.3g} nats per step"))
    if analysis.kaplan_yorke is not None:
        facts.append(("Kaplan-Yorke dimension", f"{analysis.kaplan_yorke:.3g}"))
    if analysis.tau is not None:
        facts.append(("forcing interval", f"{analysis.tau} steps at most"))
    else:
        facts.append(("no interval from the exponent; instead", f"{analysis.fallback_tau} steps"))
    return facts


def _range(values: Floats) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or max(1.0, abs(high)) * 0.06
    return low - margin, high + margin


def _short(name: str) -> str:
    return name if len(name) <= 14 else name[:13] + "\N{HORIZONTAL ELLIPSIS}"


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(PALE)
        axes.spines[side].set_linewidth(0.7)
    axes.tick_params(colors=INK, labelsize=TICK, width=0.7, length=3, color=PALE)


def _plain_space(axes: Any) -> None:
    axes.set_box_aspect((1, 1, 0.95), zoom=1.16)
    axes.patch.set_visible(False)
    axes.view_init(elev=18, azim=-58)
    axes.grid(False)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.pane.set_visible(False)
        axis.line.set_color(PALE)
        axis.line.set_linewidth(0.7)
        axis.set_major_locator(MaxNLocator(3))
    axes.tick_params(colors=INK, labelsize=TICK - 1.5, pad=-3)


def _files(figure: Figure) -> dict[str, bytes]:
    """Equal figures give equal bytes: no date, no random names."""
    png, svg = io.BytesIO(), io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "chaos"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Glyph .* missing from")
        figure.savefig(png, format="png", dpi=DPI)
        figure.savefig(svg, format="svg", dpi=DPI, metadata={"Date": None})
    return {"svg": svg.getvalue(), "png": png.getvalue()}
