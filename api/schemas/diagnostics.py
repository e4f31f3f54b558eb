from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from chaos_core.diagnostics import Exponent, Exponents, FixedPoints, Growth, Quantity

from .resource import Body

EXAMPLES: list[JsonValue] = [{}, {"steps": 5000, "runs": 10, "growth_steps": 30}]


class DiagnosisCreate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES})

    steps: int | None = Field(
        None,
        ge=100,
        le=100_000,
        description="of each run for the exponents; 10 000 where left out, fewer for large states",
    )
    runs: int = Field(10, ge=2, le=64, description="runs for the exponents; from their scatter come the errors")
    growth_steps: int | None = Field(
        None, ge=1, le=10_000, description="how far gradients are followed; the forcing interval where left out"
    )


class DiagnosisOut(BaseModel):
    object: Literal["diagnosis"] = "diagnosis"
    model_id: str
    dt: float | None
    exponents: Exponents
    kaplan_yorke: Quantity = Field(description="dimension that the exponents imply")
    lambda_max: Exponent = Field(description="the largest exponent beside the data's, nats a step")
    gradient_growth: Growth = Field(description="2-norm of the product of Jacobians, natural logarithm")
    fixed_points: FixedPoints
