"""The kinds of jobs that need no torch."""

from .analyse import analyse_job
from .baseline import baseline_job
from .evaluate import evaluate_job
from .ingest import ingest_job

LIGHT_WORK = {"analyse": analyse_job, "ingest": ingest_job, "baseline": baseline_job, "evaluate": evaluate_job}
