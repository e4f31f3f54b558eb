"""Which free runs judge a training, and against which piece of the data."""

import numpy as np

from chaos_core.selection import LONGEST_RUN, SHORT_RUN, Judge
from chaos_core.series import Scaling
from chaos_core.spec import Evaluation, Plan
from chaos_core.typing import Floats, Ints
from chaos_core.windows import Rows

__all__ = ["judge_of"]

ENOUGH_TRUTH = 25_000
MOST_TRUTH = 100_000
MANY_STARTS = 128
DRIVEN_SHARE = 2 / 3
"""A driven run needs the inputs that follow its start, so it is no longer than this share of the longest piece."""


def judge_of(plan: Plan, scaling: Scaling, rows: Rows, held_out: Rows, test_rows: int) -> Judge:
    """The judge of a training.

    Free runs start on the validation piece, or on the training piece where there is no validation piece. They are
    compared with the longest unbroken run of the validation piece, or with that of the training piece where it is
    shorter than 25 000 rows and the other is longer: histograms of short pieces have high floors. Driven runs all
    lie in that longest run, since they need the inputs that follow.

    Args:
        plan: the cell, how long and how often to run.
        scaling: of the channels.
        rows, held_out: training and validation piece, complete rows.
        test_rows: length of the test piece.
    """
    evaluation, dim = plan.evaluation, plan.embedding.dim
    piece = _compared(rows, held_out)
    a, b = piece.longest()
    steps = min(round(evaluation.run_factor * max(test_rows, len(held_out.x), 100)), LONGEST_RUN)
    noise = tuple(level / std for level, std in zip(plan.noise, scaling.std, strict=True)) if plan.noise else ()
    inputs = many_inputs = None
    if plan.cell.inputs:
        steps = max(1, min(steps, int(DRIVEN_SHARE * (b - a))))
        places = np.concatenate([_places(a, b - steps, n) for n in (evaluation.starts, evaluation.confirming_starts)])
        starts, inputs = piece.x[places], _following(piece, places, steps)
        short = _places(a, b - SHORT_RUN, MANY_STARTS if b - a > 2 * SHORT_RUN else 0)
        many, many_inputs = piece.x[short], _following(piece, short, SHORT_RUN)
    else:
        starts, many = _starts(held_out if len(held_out.x) else rows, evaluation), rows.spread(MANY_STARTS)
    return Judge(
        cell=plan.cell,
        observation=plan.observation,
        embedding=plan.embedding,
        starts=starts,
        first=evaluation.starts,
        many=many,
        truth=piece.x[a:b][-MOST_TRUTH:, : piece.x.shape[1] // dim],
        noise=noise,
        steps=steps,
        discard_share=evaluation.discard_share,
        preset=evaluation.preset,
        inputs=inputs,
        many_inputs=many_inputs,
    )


def _compared(rows: Rows, held_out: Rows) -> Rows:
    first, second = (b - a for a, b in (held_out.longest(), rows.longest()))
    return held_out if first >= ENOUGH_TRUTH or first >= second else rows


def _starts(rows: Rows, evaluation: Evaluation) -> Floats:
    """The first starts spread over all rows, then the confirming ones spread over them too."""
    return np.concatenate([rows.spread(evaluation.starts), rows.spread(evaluation.confirming_starts)])


def _places(first: int, end: int, count: int) -> Ints:
    """`count` rows in the middles of as many equal parts of [first, end)."""
    return (first + (np.arange(count) + 0.5) / max(1, count) * max(0, end - first - 1)).astype(np.int64)


def _following(rows: Rows, places: Ints, steps: int) -> Floats:
    """(K, steps, inputs) inputs of the rows after each place."""
    u: Floats = rows.u[places[:, None] + 1 + np.arange(steps)]
    return u
