"""How close a generated series is to the true one: geometry, spectra, forecasts, exponents.

`METRICS` lists the metrics found in this folder's files. To add one, add a file; what each means: docs/metrics.md.
"""

from chaos_core.metrics.base import Metric, collect
from chaos_core.metrics.correlation_dimension import correlation_dimension, correlation_dimension_difference
from chaos_core.metrics.exponents import lambda_ratio
from chaos_core.metrics.mixture import d_stsp_gmm
from chaos_core.metrics.prediction import mse_curve, prediction_error
from chaos_core.metrics.presets import PRESETS, Preset
from chaos_core.metrics.scaled_error import mase, smape
from chaos_core.metrics.score import Score, Scores
from chaos_core.metrics.spectral import d_h
from chaos_core.metrics.spectral_correlation import power_spectrum_correlation
from chaos_core.metrics.state_space import d_stsp
from chaos_core.metrics.valid_time import valid_prediction_time

__all__ = [
    "METRICS",
    "PRESETS",
    "Metric",
    "Preset",
    "Score",
    "Scores",
    "correlation_dimension",
    "correlation_dimension_difference",
    "d_h",
    "d_stsp",
    "d_stsp_gmm",
    "lambda_ratio",
    "mase",
    "mse_curve",
    "power_spectrum_correlation",
    "prediction_error",
    "smape",
    "valid_prediction_time",
]

METRICS: dict[str, Metric] = collect(__name__, __path__)
