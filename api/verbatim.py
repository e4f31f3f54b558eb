"""JSON taken as it was sent: "5" and true are no numbers, and a moment is RFC 3339 text."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
KINDS = {bool: "true or false", int: "a number", float: "a number", str: "text", type(None): "null"}

Place = tuple[str | int, ...]


def rfc3339(given: Any) -> Any:
    if isinstance(given, str) and not RFC_3339.fullmatch(given):
        raise ValueError("give a moment with its zone as RFC 3339 says, e.g. 2026-11-22T14:00:00Z")
    return given


def require_verbatim(given: Any, understood: Any, title: str) -> None:
    wrong = list(_changed(given, understood))
    if wrong:
        raise ValidationError.from_exception_data(title, wrong)


def _changed(given: Any, understood: Any, place: Place = ()) -> Iterator[InitErrorDetails]:
    if isinstance(given, dict) and isinstance(understood, dict):
        for name in given.keys() & understood.keys():
            yield from _changed(given[name], understood[name], (*place, name))
    elif isinstance(given, list) and isinstance(understood, list):
        for index, (one, other) in enumerate(zip(given, understood, strict=False)):
            yield from _changed(one, other, (*place, index))
    elif KINDS.get(type(given), "") != KINDS.get(type(understood), "") and type(given) in KINDS:
        expected = KINDS.get(type(understood), "another value")
        error = PydanticCustomError("wrong_type", "Input should be {expected}", {"expected": expected})
        yield InitErrorDetails(type=error, loc=place, input=given)
