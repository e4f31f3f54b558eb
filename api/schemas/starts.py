from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from .resource import Body, Text


class StartFrom(Body):
    """One of the two. The training keeps its cell, observation and embedding."""

    model_id: Text | None = Field(None, description="a trained model: its parameters are the start values")
    checkpoint_id: Text | None = Field(None, description="a state of a training, best or not")
    scaling: Literal["parent", "data"] = Field(
        "parent",
        description="`parent`: data are scaled as the parent's were, in whose units its parameters mean something; "
        "`data`: by the mean and deviation of the new training piece, for recordings in other units",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.model_id is None) == (self.checkpoint_id is None):
            raise ValueError("give either model_id or checkpoint_id")
        return self


class StartOut(BaseModel):
    kind: Literal["model", "checkpoint"]
    model_id: str | None = None
    checkpoint_id: str | None = None
    job_id: str = Field(description="of the training that made it")
    sha256: str = Field(description="of its file, which stays with this job also where the parent is deleted")
    scaling: Literal["parent", "data"]

    @classmethod
    def of(cls, start: Mapping[str, Any]) -> Self:
        words = {name: start[name] for name in ("kind", "job_id", "sha256", "scaling")}
        return cls.model_validate(words | {f"{start['kind']}_id": start["id"]})
