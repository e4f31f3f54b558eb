from typing import Literal

from pydantic import BaseModel, Field

from .projects import Quotas


class UsageOut(BaseModel):
    object: Literal["usage"] = "usage"
    project_id: str
    period_days: int = Field(description="for `core_seconds` and `requests`: so many days, today included (UTC)")
    stored_bytes: int = Field(description="the same bytes counted once")
    stored_bytes_by_kind: dict[str, int] = Field(
        description="datasets, checkpoints and the kinds of artifacts; what serves as two kinds is in both",
        examples=[{"dataset": 1_000_000, "checkpoint": 90_000, "model": 12_000}],
    )
    datasets: int
    jobs: dict[str, int] = Field(description="by status", examples=[{"running": 1, "succeeded": 12}])
    core_seconds: float = Field(description="run time of the project's jobs, running ones included")
    requests: int
    quotas: Quotas
