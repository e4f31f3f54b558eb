"""Baselines scored as trained models are: the same free run, the same forecasts, the same metrics.

`chaos_core.pipeline.evaluate` does this for a trained model; torch is not needed here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from chaos_core.baselines import BASELINES, Baseline
from chaos_core.embedding import Embedding
from chaos_core.errors import DataError, SpecError, TooShort
from chaos_core.gaps import bridged
from chaos_core.metrics import Score, Scores, d_h, d_stsp, power_spectrum_correlation, prediction_error
from chaos_core.selection import coordinates, measured, settled
from chaos_core.series import Series
from chaos_core.spec import Evaluation
from chaos_core.typing import Floats
from chaos_core.windows import longest_run

__all__ = ["Comparison", "compare", "score_baselines", "score_run"]

PLAIN = Embedding()


@dataclass(frozen=True, eq=False)
class Comparison:
    """What became of one baseline.

    Args:
        scores: as `evaluate` gives them; where the run or the forecasts are not finite, the reason stands there.
        run: (R, N) the settled free run in data units, without added noise; inf and NaN where it diverged.
    """

    scores: Scores
    run: Floats


def compare(
    baseline: Baseline,
    known: Series,
    test: Series,
    *,
    evaluation: Evaluation | None = None,
    embedding: Embedding = PLAIN,
    noise: tuple[float, ...] = (),
) -> Comparison:
    """Fits a baseline and scores it on a piece that it has not seen, as `pipeline.evaluate` scores a trained model.

    The first rows of the test piece (`Forecaster.context_rows`: 1 for persistence, 100 for a reservoir) are the
    context. A free run of 1.25 T steps from there, of which the first fifth is dropped, gives D_stsp and D_H against
    the whole piece; forecasts from every later row give PE(20).

    Args:
        baseline: kind and settings.
        known: what may be learnt from: training and validation piece. After short gaps were bridged its complete runs
            are used, and nothing is learnt across what is left. External inputs are not seen.
        test: T rows; of a series with gaps the longest complete run is taken, after short gaps were bridged.
        evaluation: `plan.evaluation`; the defaults of `Evaluation` where it is left out.
        embedding: `plan.embedding`; where it has several dimensions, D_stsp compares delay coordinates, and baselines
            without a memory of their own see them.
        noise: `plan.noise`, standard deviation of the measuring noise of each channel in data units. With a preset
            that compares like with like it is added to runs that are free of it (not `Baseline.copies_noise`).

    Returns:
        Scores and run.

    Raises:
        DataError: the known data or the test piece are too short, or nowhere complete.
        SpecError: the settings do not fit the data, say too many channels for products of them.

    Source: the protocol: Hess, Monfared, Brenner, Durstewitz (2023), arXiv:2306.04406, section 5.
    """
    how = evaluation or Evaluation()
    piece, learnt = longest_run(bridged(test)[0]), bridged(known)[0]
    forecaster = baseline.fit([learnt.x[run] for run in learnt.runs()], dt=known.dt, embedding=embedding)
    rows = max(forecaster.context_rows, embedding.rows_lost + 1)
    if piece.length <= rows:
        detail = f"the test piece has {piece.length} uninterrupted rows; more than {rows} are needed"
        raise TooShort(detail, rows=piece.length, rows_needed=rows + 1)
    context, rest = piece.x[:rows], piece.x[rows:]
    run = settled(forecaster.run(context, round(how.run_factor * piece.length)), how.discard_share)
    added = () if baseline.copies_noise else noise
    stsp, hellinger = score_run(piece.x, run, embedding=embedding, noise=added, preset=how.preset)
    ahead = forecaster.ahead(context, rest, how.prediction_steps)
    error = prediction_error(rest, ahead, n=how.prediction_steps, preset=how.preset)
    correlation = power_spectrum_correlation(piece.x, run, preset=how.preset)
    scores = Scores(d_stsp=stsp, d_h=hellinger, prediction_error=error, power_spectrum_correlation=correlation)
    return Comparison(scores, run)


def score_baselines(
    known: Series,
    test: Series,
    *,
    baselines: Iterable[Baseline] | None = None,
    evaluation: Evaluation | None = None,
    embedding: Embedding = PLAIN,
    noise: tuple[float, ...] = (),
) -> dict[str, Scores]:
    """`compare` for several baselines, by kind; one that the data do not allow has the reason in place of each score.

    Args:
        known, test, evaluation, embedding, noise: see `compare`.
        baselines: one of each kind with its default settings where left out.

    Returns:
        kind -> scores.
    """
    found = {}
    for baseline in [made() for made in BASELINES.values()] if baselines is None else baselines:
        kind = str(baseline.model_dump()["kind"])
        try:
            comparison = compare(baseline, known, test, evaluation=evaluation, embedding=embedding, noise=noise)
            found[kind] = comparison.scores
        except (DataError, SpecError) as error:
            none = Score(value=None, floor=None, reason=error.detail)
            found[kind] = Scores(d_stsp=none, d_h=none, prediction_error=none, power_spectrum_correlation=none)
    return found


def score_run(
    x: Floats, run: Floats, *, embedding: Embedding = PLAIN, noise: tuple[float, ...] = (), preset: str
) -> tuple[Score, Score]:
    """D_stsp and D_H of a settled run (R, N) against a piece (T, N), like with like.

    Where the preset wants it, measuring noise is added to the run first; `detail` then holds its level and
    `value_without_noise`.

    Args:
        x: the test piece, data units.
        run: in the same unit; may hold inf and NaN, which become the reason.
        embedding: where it has several dimensions, D_stsp compares the first three delay coordinates.
        noise: of each channel, data units; empty: none is added.
        preset: of the metrics.
    """
    seen = measured(run, noise, preset)
    truth, shown = _coordinates(x, embedding), _coordinates(seen, embedding)
    stsp, hellinger = d_stsp(truth, shown, preset=preset), d_h(x, seen, preset=preset)
    if seen is run:
        return stsp, hellinger
    plain = d_stsp(truth, _coordinates(run, embedding), preset=preset), d_h(x, run, preset=preset)
    return _with_noise(stsp, plain[0], noise), _with_noise(hellinger, plain[1], noise)


def _coordinates(x: Floats, embedding: Embedding) -> Floats:
    return coordinates(np.ascontiguousarray(x), embedding)


def _with_noise(score: Score, plain: Score, noise: tuple[float, ...]) -> Score:
    added = {"observation_noise": list(noise), "value_without_noise": plain.value}
    return score.model_copy(update={"detail": {**score.detail, **added}})
