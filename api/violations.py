"""What is wrong with a request, told in the client's own words: one entry per place in the body that was sent."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError

from chaos_core.errors import ChaosError, SpecError, UnknownKind

from .errors import InvalidJson, InvalidRequest

NAMES_A_FIELD = {"missing", "extra_forbidden"}
ALTERNATIVE = "Input should be "
SPEC = ["body", "spec"]


def explain(error: RequestValidationError) -> ChaosError:
    found = error.errors()
    if found and found[0]["type"] == "json_invalid":
        reason = found[0].get("ctx", {}).get("error", "not JSON")
        return InvalidJson(f"{reason} at character {found[0]['loc'][-1]}")
    violations = _merged(found, error.body)
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    detail = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}{more}"
    if first["loc"][:2] != SPEC:
        return InvalidRequest(detail, errors=violations)
    if first["type"] == "union_tag_invalid":
        return UnknownKind(detail, errors=violations, known=_tags(found))
    return SpecError(detail, errors=violations)


def _merged(found: Sequence[Any], body: Any) -> list[dict[str, Any]]:
    places: dict[tuple[str | int, ...], dict[str, Any]] = {}
    for item in found:
        loc = _place(item, body)
        message = _message(item)
        known = places.setdefault(loc, {"loc": list(loc), "msg": message, "type": item["type"]})
        if known["msg"].startswith(ALTERNATIVE) and message.startswith(ALTERNATIVE) and message not in known["msg"]:
            known["msg"] += " or " + message.removeprefix(ALTERNATIVE)
    inner = [item for loc, item in places.items() if not any(_within(other, loc) for other in places)]
    return inner or list(places.values())


def _message(item: Mapping[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return "there is no such field; check the spelling"
    if item["type"] == "union_tag_invalid":
        return f"there is no kind '{item['ctx']['tag']}'; known: {item['ctx']['expected_tags']}"
    return str(item["msg"]).removeprefix("Value error, ")


def _within(other: tuple[str | int, ...], loc: tuple[str | int, ...]) -> bool:
    return len(other) > len(loc) and other[: len(loc)] == loc


def _place(item: Mapping[str, Any], body: Any) -> tuple[str | int, ...]:
    """Drops the names that pydantic gives to the branches of a union: the client never wrote them."""
    source, *path = item["loc"]
    if source != "body" or not isinstance(body, dict):
        return tuple(item["loc"])
    place: list[str | int] = [source]
    value = body
    for index, part in enumerate(path):
        last = index == len(path) - 1
        if _holds(value, part):
            value = value[part]
        elif not (last and item["type"] in NAMES_A_FIELD):
            continue
        place.append(part)
    return tuple(place)


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _tags(found: Sequence[Any]) -> list[str]:
    expected = next(str(item["ctx"]["expected_tags"]) for item in found if item["type"] == "union_tag_invalid")
    return [tag.strip().strip("'") for tag in expected.split(",")]
