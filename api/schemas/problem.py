from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Violation(BaseModel):
    loc: list[str | int] = Field(examples=[["body", "spec", "cell", "hidden"]])
    msg: str = Field(examples=["Input should be greater than 0"])
    type: str = Field(examples=["greater_than"])


def _absent(value: object) -> bool:
    return value is None


class StoredProblem(BaseModel):
    """Why a thing failed, as kept with it. `row` is counted from 0, `line` of a text file from 1."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="URI reference of the kind of problem", examples=["/v1/problems/not_finite"])
    title: str = Field(examples=["An entry is missing or not finite"])
    code: str = Field(description="stable; branch on this", examples=["not_finite"])
    detail: str = Field(examples=["column 'x1', row 1041: nan (3 such entries in all)"])
    remedy: str = Field(description="what to do about it")
    row: int | None = Field(None, exclude_if=_absent)
    column: str | None = Field(None, exclude_if=_absent)
    line: int | None = Field(None, exclude_if=_absent)

    @classmethod
    def of(cls, problem: dict[str, Any]) -> "StoredProblem":
        return cls.model_validate({"type": f"/v1/problems/{problem['code']}", **problem})


class Problem(StoredProblem):
    """RFC 9457 problem details."""

    status: int = Field(examples=[422])
    instance: str = Field(examples=["/v1/datasets"])
    request_id: str = Field(examples=["req_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    errors: list[Violation] | None = None


class ProblemKind(BaseModel):
    code: str
    type: str
    status: Annotated[int, Field(description="HTTP status when it answers a request")]
    title: str
    remedy: str


class ProblemKinds(BaseModel):
    object: str = "list"
    data: list[ProblemKind]
