from typing import Self

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from chaos_core.registry import summary_of
from chaos_core.series import MIN_ROWS
from chaos_core.systems import System

from .resource import Body, Json, Text

EXAMPLES: list[JsonValue] = [
    {"steps": 20000},
    {
        "settings": {"dt": 0.05, "seed": 3},
        "steps": 10000,
        "noise": 0.05,
        "name": "a noisy orbit",
    },
]


class GeneratedCreate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES})

    settings: Json = Field({}, description="of the system, by its `settings_schema`; what is left out is the default")
    steps: int = Field(ge=MIN_ROWS, description="rows; GET /v1/systems says how many may be asked for")
    noise: float = Field(
        0.0, ge=0, le=100, allow_inf_nan=False, description="normal noise on each channel, as a share of its spread"
    )
    noise_seed: int = Field(0, ge=0, lt=2**63)
    channels: list[Text] | None = Field(
        None, min_length=1, description="channels to keep, in this order; all if left out"
    )
    name: Text | None = Field(None, description="the system's kind if left out")

    def configured(self, kind: type[System]) -> System:
        try:
            return kind.model_validate({"kind": kind.model_fields["kind"].default} | self.settings)
        except ValidationError as error:
            found = [one | {"loc": ("body", "settings", *one["loc"])} for one in error.errors(include_url=False)]
            raise RequestValidationError(found) from error


class SystemOut(BaseModel):
    kind: str
    summary: str
    equation: str
    nature: str = Field(description="chaotic, periodic, quasi_periodic or stochastic, at the default settings")
    lambda_max: float | None = Field(description="largest exponent at the defaults, nats per time unit; null for noise")
    spectrum: list[float] | None = Field(description="all exponents at the defaults where they are known")
    lambda_source: str
    citation: str
    channels: list[str]
    dt: float = Field(description="sampling step at the defaults; 1 where the row is the time unit")
    settings_schema: Json

    @classmethod
    def of(cls, kind: str, settings: type[System]) -> Self:
        one = settings()
        return cls(
            kind=kind,
            summary=summary_of(settings),
            equation=settings.equation,
            nature=settings.nature,
            lambda_max=settings.lambda_max,
            spectrum=list(settings.spectrum) if settings.spectrum else None,
            lambda_source=settings.lambda_source,
            citation=settings.citation,
            channels=list(one.names),
            dt=one.sampling_step,
            settings_schema=settings.model_json_schema(),
        )


class Systems(BaseModel):
    object: str = "systems"
    max_numbers: int = Field(description="most rows times channels of the system in one request")
    max_work: int = Field(description="most evaluations of the equations in one request")
    data: list[SystemOut]
