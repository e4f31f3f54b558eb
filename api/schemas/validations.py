from typing import Literal

from pydantic import BaseModel, Field

from .resource import Json


class SecondsOut(BaseModel):
    value: float = Field(description="from the claim by a worker to the end; new starts (`restarts`) come on top")
    low: float
    high: float
    source: Literal["history", "trial", "table"] = Field(
        description="`history`: finished jobs of this service; `trial`: the step was tried; `table`: a guess"
    )
    jobs: int = Field(description="finished jobs that the estimate rests on")
    how: str


class Validation(BaseModel):
    object: Literal["validation"] = "validation"
    dataset_id: str
    analysis_id: str
    plan: Json = Field(description="the spec with every `auto` filled")
    plan_hash: str
    parameter_count: int
    memory_bytes: int = Field(description="peak of the process that trains, roughly")
    seconds: SecondsOut
    notes: list[str] = Field(description="what the planner wants you to know")
    warnings: list[str] = Field(description="why the job might not end well")
