"""The tables of docs/metrics.md say what the code says."""

from pathlib import Path

from chaos_core.metrics import METRICS, PRESETS, Metric, Preset

TEXT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
NEEDS = {
    "free_run": "a free run",
    "forecast_from_every_row": "forecasts from every row",
    "forecast_curve": "forecasts of 1 to n steps",
    "forecast_path": "one forecast",
    "exponents": "the cell's exponents",
}


def histogram(preset: Preset) -> str:
    rules = preset.binning
    cells = ", ".join(map(str, rules.bins)) if len(set(rules.bins)) > 1 else str(rules.bins[0])
    wide = f"truth's range and {rules.margin:g} std" if rules.margin else "truth's range"
    box = wide if rules.box == "data" else f"{rules.margin:g} std either side of 0"
    lowest = "; without the lowest cell" if rules.lowest_cell else ""
    return f"{cells} cells, up to {len(rules.bins)} channels; {box}{lowest}"


def mixture(preset: Preset) -> str:
    rules = preset.mixture
    if rules is None:
        return "-"
    unit = " of the truth's" if rules.scaled else ""
    lost = {None: "all points", -103.97: "single precision", -745.13: "double precision"}[rules.underflow]
    return f"variance {rules.variance:g}{unit}, {rules.most_rows} rows, points from {rules.drawn_from}, {lost}"


def spectrum(preset: Preset) -> str:
    rules = preset.spectrum
    if rules.kind == "whole":
        return f"whole series, sigma {rules.sigma:g}"
    return f"{rules.segments} segments, sigma {rules.sigma:g}, {rules.cutoff} bins"


def correlation(preset: Preset) -> str:
    rules = preset.correlation
    if rules is None:
        return "-"
    cut = "" if rules.cutoff is None else f", {rules.cutoff} bins"
    return f"{rules.scale}, {'absolute r' if rules.absolute else 'r'}, sigma {rules.sigma:g}{cut}"


def mase(preset: Preset) -> str:
    rules = preset.mase
    if rules is None:
        return "-"
    return (
        f"{rules.steps or 'all'} rows, over the naive error of the {'truth' if rules.scale == 'true' else 'forecast'}"
    )


def preset_line(preset: Preset) -> str:
    cells = [part(preset) for part in (histogram, mixture, spectrum, correlation, mase)]
    return " | ".join([f"| `{preset.name}`", *cells]) + " |"


def metric_line(metric: Metric) -> str:
    better = {"low": "lower", "high": "higher", "one": "near 1"}[metric.better]
    return f"| `{metric.name}` | {NEEDS[metric.needs]} | {better} | {metric.unit if metric.unit != 'none' else '1'} |"


def test_the_table_of_presets_holds_every_preset_as_it_is() -> None:
    missing = [line for preset in PRESETS.values() if (line := preset_line(preset)) not in TEXT]
    assert missing == []
    assert all(preset.source.split("arXiv:")[1][:10] in TEXT for preset in PRESETS.values())


def test_the_table_of_metrics_holds_every_metric_as_it_is() -> None:
    missing = [line for metric in METRICS.values() if (line := metric_line(metric)) not in TEXT]
    assert missing == []
