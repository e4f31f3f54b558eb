from typing import Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from chaos_core.auto import auto_variant, chosen


class Settings(BaseModel, frozen=True, extra="forbid"):
    """A kettle."""

    kind: Literal["kettle"] = "kettle"
    litres: float = Field(gt=0, description="How much water.")
    cups: int | None = 4


KettleSpec = auto_variant(Settings)


def test_every_field_but_the_kind_is_auto_unless_given() -> None:
    assert KettleSpec().model_dump() == {"kind": "kettle", "litres": "auto", "cups": "auto"}
    assert KettleSpec.model_validate({"litres": 2}).model_dump()["litres"] == 2.0
    assert KettleSpec.model_validate({"cups": None}).model_dump()["cups"] is None


@pytest.mark.parametrize("words", [{"litres": -1}, {"litres": "automatic"}, {"kind": "auto"}, {"spoons": 1}])
def test_limits_hold_and_unknown_words_are_refused(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        KettleSpec.model_validate(words)


def test_name_docstring_and_descriptions_are_those_of_the_settings() -> None:
    schema = KettleSpec.model_json_schema()
    assert schema["title"] == "SettingsSpec"
    assert schema["description"] == "A kettle."
    assert schema["properties"]["litres"]["description"] == "How much water."


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        KettleSpec().__setattr__("cups", 1)


def test_chosen_words_are_those_that_do_not_say_auto() -> None:
    assert chosen({"kind": "kettle", "litres": "auto", "cups": None}) == {"kind": "kettle", "cups": None}
    assert Settings(**chosen(KettleSpec.model_validate({"litres": 1}).model_dump())) == Settings(litres=1)
