"""How close a generated series is to the true one: geometry, spectra, forecasts."""

from chaos_core.metrics.prediction import prediction_error
from chaos_core.metrics.presets import PRESETS, Preset
from chaos_core.metrics.score import Score, Scores
from chaos_core.metrics.spectral import d_h
from chaos_core.metrics.state_space import d_stsp

__all__ = ["PRESETS", "Preset", "Score", "Scores", "d_h", "d_stsp", "prediction_error"]
