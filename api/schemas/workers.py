from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from .resource import Resource


class Slots(BaseModel):
    training: int
    light: int


class Gpu(BaseModel):
    name: str | None = Field(description="null: a CUDA driver is there, and no more is known")
    memory_bytes: int | None


class Machine(BaseModel):
    cpu: str
    cores: int = Field(description="those that the worker may use")
    memory_bytes: int
    kernels: str | None = Field(description="level of the native kernels; null: they cannot be used there")
    gpus: list[Gpu]


class WorkerOut(Resource):
    name: str = Field(examples=["host-4711-0a1b2c3d"])
    object: Literal["worker"] = "worker"
    status: Literal["alive", "silent"] = Field(description="`silent`: it has given no sign of life for `lease_s`")
    host: str
    pid: int
    kinds: Literal["all", "train", "light"] = Field(description="what it takes: trainings, light jobs, or all")
    slots: Slots = Field(description="jobs it runs at a time")
    busy: Slots = Field(description="jobs it runs now, of all projects")
    jobs: list[str] = Field(description="those of your project")
    machine: Machine
    versions: dict[str, str]
    started_at: datetime
    seen_at: datetime
