from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    StringConstraints,
    model_validator,
)

from ..verbatim import require_verbatim, rfc3339

Json = dict[str, Any]
Text = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""One line: neither database nor log takes control characters."""


Moment = Annotated[AwareDatetime, BeforeValidator(rfc3339)]


class Fields(BaseModel):
    """What a client sends: an unknown field is an error, not a typing mistake that goes unseen."""

    model_config = ConfigDict(extra="forbid")


class Body(Fields):
    """Fields as JSON: a number is a number, and neither text nor true."""

    @model_validator(mode="wrap")
    @classmethod
    def _verbatim(cls, given: Any, understand: ModelWrapValidatorHandler[Self]) -> Self:
        made = understand(given)
        require_verbatim(given, made.model_dump(mode="json", by_alias=True, exclude_unset=True), cls.__name__)
        return made


class Resource(BaseModel):
    @classmethod
    def facts(cls, row: object) -> Json:
        return {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}


class OwnLink(BaseModel):
    self: str


Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    object: Literal["list"] = "list"
    data: list[Item]
    next_cursor: str | None = Field(None, description="pass as `cursor` to get the next page")
    has_more: bool = False
