from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Json = dict[str, Any]
Text = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""One line: neither database nor log takes control characters."""


class Body(BaseModel):
    """What a client sends: an unknown field is an error, not a typing mistake that goes unseen."""

    model_config = ConfigDict(extra="forbid")


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
