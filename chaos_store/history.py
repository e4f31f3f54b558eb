"""What trainings took: the finished ones that a new one can be compared with."""

from typing import Any

from sqlalchemy import Select, select

from .states import Kind, State
from .tables import Job, TrainedModel

__all__ = ["done_in_one_go"]


def done_in_one_go(cell_kind: str, limit: int = 50) -> Select[*tuple[Any, ...]]:
    """Plan, kernel, device, seconds to the first update, seconds from there to the end, parameters; newest first.

    Of the whole service: what it tells is how quick the machine is, and nothing of anybody's data.
    """
    whole = (Job.first_step_at.is_not(None), Job.started_at.is_not(None), Job.finished_at > Job.first_step_at)
    return (
        select(
            Job.plan,
            Job.kernel,
            Job.device,
            Job.first_step_at - Job.started_at,
            Job.finished_at - Job.first_step_at,
            TrainedModel.parameter_count,
        )
        .join(TrainedModel, TrainedModel.job_id == Job.id)
        .where(Job.kind == Kind.train.value, Job.status == State.succeeded.value, Job.fence == 1, *whole)
        .where(Job.plan["cell"]["kind"].as_string() == cell_kind)
        .order_by(Job.finished_at.desc(), Job.id.desc())
        .limit(limit)
    )
