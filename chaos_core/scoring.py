"""Scores of any two trajectories, whoever made them: what can be said without a model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from chaos_core.comparison import score_run
from chaos_core.embedding import Embedding
from chaos_core.errors import Inconsistent, TooShort
from chaos_core.metrics import METRICS, Score
from chaos_core.metrics.score import two_series
from chaos_core.scoring_options import GeneratedAs, Scoring
from chaos_core.selection import coordinates, measured, settled
from chaos_core.typing import Floats

__all__ = ["mean_scores", "score_series"]

COMPARED: dict[GeneratedAs, tuple[str, ...]] = {
    "free_run": ("free_run",),
    "forecast_path": ("free_run", "forecast_path"),
    "forecast_from_every_row": ("forecast_from_every_row",),
}
PAIR = ("d_stsp", "d_h")
NEEDED = {
    "free_run": "it compares a free run, and this is no run that goes on by itself: generated_as free_run",
    "forecast_path": "it compares rows one by one with a forecast that goes on by itself: generated_as forecast_path",
    "forecast_from_every_row": "it needs forecasts from every row: generated_as forecast_from_every_row",
    "forecast_curve": "it needs forecasts of every length from every row, which a trained model can make",
    "exponents": "it needs the equations of a trained model: see its diagnostics",
}


def score_series(true: Any, generated: Any, how: Scoring) -> dict[str, Score]:
    """Scores a generated trajectory against the true one, metric by metric.

    Where they are defined equally these are the scores of `pipeline.evaluate`: of the same test piece, the stored free
    run, the plan's preset, embedding and noise, and the same discarded share.

    Args:
        true: (T, N) rows in data units, without a gap.
        generated: (T', N) in the same unit; entries that are not finite become the reason.
        how: preset, metrics and what the rows are.

    Returns:
        name -> score, in the order of `how.metrics`; a metric that this pair does not allow has the reason.

    Raises:
        Inconsistent: they have different numbers of channels, or of rows where rows are compared one by one, or the
            noise is not one number a channel.
        BadShape: one of them is no series of numbers.
    """
    x, run = two_series(true, generated)
    if how.noise and len(how.noise) != x.shape[1]:
        raise Inconsistent(f"noise has {len(how.noise)} numbers for {x.shape[1]} channels", channels=x.shape[1])
    if how.generated_as != "free_run" and len(x) != len(run):
        detail = f"the true series has {len(x)} rows and the forecast {len(run)}; they must be the same rows"
        raise Inconsistent(detail, rows_true=len(x), rows_generated=len(run))
    kept = settled(run, how.discard_share)
    return {name: _score(name, x, kept, how) for name in how.metrics}


def _score(name: str, x: Floats, run: Floats, how: Scoring) -> Score:
    metric = METRICS[name]
    if metric.needs not in COMPARED[how.generated_as]:
        return Score(value=None, floor=None, reason=NEEDED[metric.needs])
    try:
        return _measured(name, x, run, how)
    except TooShort as error:
        return Score(value=None, floor=None, reason=error.detail, detail={"preset": how.preset})


def _measured(name: str, x: Floats, run: Floats, how: Scoring) -> Score:
    metric = METRICS[name]
    if name in PAIR:
        return score_run(x, run, embedding=how.embedding, noise=how.noise, preset=how.preset)[PAIR.index(name)]
    if name in ("d_stsp_gmm", "correlation_dimension_difference"):
        seen = measured(run, how.noise, how.preset)
        return metric.measure(_states(x, how.embedding), _states(seen, how.embedding), preset=how.preset)
    words: dict[str, Any] = {"preset": how.preset}
    if metric.needs == "forecast_from_every_row":
        words["n"] = how.prediction_steps
    if "lambda_max_per_step" in metric.requires:
        words["lambda_max_per_step"] = how.lambda_max_per_step
    return metric.measure(x, run, **words)


def _states(x: Floats, embedding: Embedding) -> Floats:
    return coordinates(np.ascontiguousarray(x), embedding)


def mean_scores(by_run: Mapping[int, Mapping[str, Score]]) -> dict[str, Score]:
    """One score a metric for several runs: the mean, with each run's value in `detail`; none where a run has none.

    Args:
        by_run: number of the run -> its scores; the truth is the same, and so is the floor.
    """
    first = next(iter(by_run.values()))
    return {name: _mean({run: scores[name] for run, scores in by_run.items()}) for name in first}


def _mean(by_run: Mapping[int, Score]) -> Score:
    first = next(iter(by_run.values()))
    values = {str(run): score.value for run, score in by_run.items()}
    missing = next(((run, score.reason) for run, score in by_run.items() if score.reason is not None), None)
    detail = {"preset": first.detail.get("preset"), "by_run": values}
    if missing is not None:
        same = all(score.reason == missing[1] for score in by_run.values())
        reason = missing[1] if same else f"run {missing[0]}: {missing[1]}"
        return Score(value=None, floor=first.floor, reason=reason, detail=detail)
    mean = sum(value for value in values.values() if value is not None) / len(values)
    return Score(value=mean, floor=first.floor, detail=detail)
