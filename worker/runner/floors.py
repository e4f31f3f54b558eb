"""What a trained model has to beat: baselines scored on the same test piece, by the same metrics."""

import numpy as np

from chaos_core.baselines import parrot, parrot_ahead
from chaos_core.errors import DataError
from chaos_core.metrics import Scores, d_h, d_stsp, prediction_error
from chaos_core.selection import coordinates, settled
from chaos_core.series import Series
from chaos_core.spec import Plan
from chaos_core.windows import longest_run

from ..protocol import Json


def score_baselines(series: Series, plan: Plan) -> Json:
    """A baseline that the data do not allow is left out."""
    known = series.length - series.split(**plan.split.model_dump())[2].length
    context, test = longest_run(series.rows(0, known)), longest_run(series.rows(known, series.length))
    try:
        return {"parroting": _score_parroting(context, test, plan).model_dump(mode="json")}
    except DataError:
        return {}


def _score_parroting(context: Series, test: Series, plan: Plan) -> Scores:
    """The copied rows carry the noise of the data already, so none is added."""
    how = plan.evaluation
    run = settled(parrot(context.x, round(how.run_factor * test.length)), how.discard_share)
    embedded = [coordinates(np.ascontiguousarray(x), plan.embedding) for x in (test.x, run)]
    ahead = how.prediction_steps
    return Scores(
        d_stsp=d_stsp(*embedded, preset=how.preset),
        d_h=d_h(test.x, run, preset=how.preset),
        prediction_error=prediction_error(test.x, parrot_ahead(context.x, test.x, ahead), n=ahead, preset=how.preset),
    )
