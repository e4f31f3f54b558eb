"""What a trained model has to beat: quick baselines scored on the same test piece, by the same metrics."""

from chaos_core.baselines import BASELINES
from chaos_core.comparison import score_baselines
from chaos_core.series import Series
from chaos_core.spec import Plan

from ..protocol import Json

QUICK = ("parroting", "persistence", "mean")


def score_floors(series: Series, plan: Plan) -> Json:
    known = series.length - series.split(**plan.split.model_dump())[2].length
    found = score_baselines(
        series.rows(0, known),
        series.rows(known, series.length),
        baselines=[BASELINES[kind]() for kind in QUICK],
        evaluation=plan.evaluation,
        embedding=plan.embedding,
        noise=plan.noise,
    )
    return {kind: scores.model_dump(mode="json") for kind, scores in found.items()}
