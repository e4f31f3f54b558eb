"""What of a new OpenAPI document breaks a client that was written for the old one.

A request that the old document allows must be allowed by the new one, and an answer of the new one must be as the old
one says: in both cases values of one schema have to fit into another (`Fit`). What only grows (paths, optional fields,
values of an enumeration in an answer, errors) breaks nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

METHODS = ("get", "post", "put", "patch", "delete", "head")
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


def breaking(old: Json, new: Json) -> list[str]:
    """One line for each change that breaks, `METHOD path: what`."""
    return [f"{place}: {what}" for place, what in _changes(old, new)]


def allowed(old: Json, new: Json) -> bool:
    """Whether the version was raised for it: the first number, or of 0.x the second."""
    before, after = ([int(part) for part in one["info"]["version"].split(".")] for one in (old, new))
    return after[0] > before[0] or (after[0] == before[0] == 0 and after[1] > before[1])


def _changes(old: Json, new: Json) -> Iterator[tuple[str, str]]:
    for path, operations in old["paths"].items():
        for method in METHODS:
            if method not in operations:
                continue
            place = f"{method.upper()} {path}"
            now = new["paths"].get(path, {}).get(method)
            if now is None:
                yield place, "is gone"
            else:
                yield from ((place, what) for what in _operation(operations[method], now, old, new))


def _operation(before: Json, now: Json, old: Json, new: Json) -> Iterator[str]:
    if before.get("operationId") != now.get("operationId"):
        yield f"operation id {before.get('operationId')} became {now.get('operationId')}"
    if now.get("security") and not before.get("security"):
        yield "asks for a key now"
    yield from _parameters(before, now, old, new)
    yield from _body(before.get("requestBody"), now.get("requestBody"), old, new)
    for status, answer in before["responses"].items():
        if status >= "400":
            continue
        if status not in now["responses"]:
            yield f"answer {status} is gone"
            continue
        yield from _answer(status, answer, now["responses"][status], old, new)


def _parameters(before: Json, now: Json, old: Json, new: Json) -> Iterator[str]:
    known, present = (
        {(one["in"], one["name"].lower()): one for one in op.get("parameters", [])} for op in (before, now)
    )
    for key, parameter in known.items():
        name = f"{key[0]} parameter {parameter['name']}"
        if key not in present:
            yield f"{name} is gone"
            continue
        if present[key].get("required") and not parameter.get("required"):
            yield f"{name} is required now"
        fit = Fit(old, new)
        yield from (f"{name}{what}" for what in fit.reasons(parameter["schema"], present[key]["schema"]))
    for key, parameter in present.items():
        if key not in known and parameter.get("required"):
            yield f"{key[0]} parameter {parameter['name']} is new and required"


def _body(before: Json | None, now: Json | None, old: Json, new: Json) -> Iterator[str]:
    if now is None:
        if before is not None:
            yield "takes no body any more"
        return
    if now.get("required") and not (before or {}).get("required"):
        yield "a body is required now"
    for kind, content in (before or {}).get("content", {}).items():
        if kind not in now["content"]:
            yield f"takes no {kind} any more"
            continue
        fit = Fit(old, new)
        schemas = content.get("schema", {}), now["content"][kind].get("schema", {})
        yield from (f"body{what}" for what in fit.reasons(*schemas))


def _answer(status: str, before: Json, now: Json, old: Json, new: Json) -> Iterator[str]:
    for kind, content in before.get("content", {}).items():
        if kind not in now.get("content", {}):
            yield f"answer {status} has no {kind} any more"
            continue
        fit = Fit(new, old, answer=True)
        schemas = now["content"][kind].get("schema", {}), content.get("schema", {})
        yield from (f"answer {status}{what}" for what in fit.reasons(*schemas))
    for header in before.get("headers", {}):
        if header not in now.get("headers", {}):
            yield f"answer {status} has no header {header} any more"


@dataclass
class Fit:
    """Why values of an inner schema may not be values of an outer one; each schema with its own document."""

    inside: Json
    outside: Json
    answer: bool = False
    seen: set[tuple[str, str]] = field(default_factory=set)

    def reasons(self, inner: Json, outer: Json, at: str = "") -> list[str]:
        names = str(inner.get("$ref", "")), str(outer.get("$ref", ""))
        if all(names):
            if names in self.seen:
                return []
            self.seen.add(names)
        inner, outer = _resolved(inner, self.inside), _resolved(outer, self.outside)
        if (parts := _branches(inner)) is not None:
            return [why for one in parts for why in self.reasons(one, outer, at)]
        if (wider := outer.get("anyOf", outer.get("oneOf"))) is None:
            return list(self._plain(inner, outer, at))
        if len(inner.get("enum", [])) > 1:
            ones = ({**inner, "enum": [value]} for value in inner["enum"])
            return [why for one in ones for why in self._nearest(one, wider, at)]
        return self._nearest(inner, wider, at)

    def _nearest(self, inner: Json, outer: list[Json], at: str) -> list[str]:
        """Nothing where it fits one of them; else why it does not fit the one that is most like it."""
        found: list[tuple[bool, int, list[str]]] = []
        for one in outer:
            trial = Fit(self.inside, self.outside, self.answer, set(self.seen))
            reasons = trial.reasons(inner, one, at)
            if not reasons:
                return []
            alike = _kind(inner) == _kind(_resolved(one, self.outside))
            found.append((not alike, len(reasons), reasons))
        return min(found)[2]

    def _plain(self, inner: Json, outer: Json, at: str) -> Iterator[str]:
        kinds, wanted = _types(inner), _types(outer)
        if not kinds <= wanted:
            yield f"{at}: may be {_named(kinds - wanted)}" if self.answer else f"{at}: only {_named(wanted)}"
            return
        yield from self._values(inner, outer, at)
        for bounds, wider in ((LOWER, min), (UPPER, max)):
            for word in bounds:
                limit, given = outer.get(word), inner.get(word)
                if limit is not None and (given is None or wider(given, limit) != limit):
                    yield f"{at}: {word} is {given if self.answer else limit}"
        for word in ("pattern", "format", "contentMediaType"):
            if word in outer and outer[word] != inner.get(word):
                yield f"{at}: {word} changed"
        if "object" in kinds & wanted:
            yield from self._object(inner, outer, at)
        if "items" in outer and "array" in kinds:
            yield from self.reasons(inner.get("items", {}), outer["items"], f"{at}[]")

    def _values(self, inner: Json, outer: Json, at: str) -> Iterator[str]:
        """Of an enumeration in an answer new values may come: clients are told to expect that."""
        if (values := _enumerated(outer)) is None:
            return
        own = _enumerated(inner)
        if own is None:
            yield f"{at}: {'any value' if self.answer else 'only ' + ', '.join(map(str, values))}"
        elif (lost := [value for value in own if value not in values]) and (not self.answer or "const" in outer):
            yield f"{at}: {', '.join(map(str, lost))} {'is new' if self.answer else 'is refused'}"

    def _object(self, inner: Json, outer: Json, at: str) -> Iterator[str]:
        own, known = inner.get("properties", {}), outer.get("properties", {})
        for name in outer.get("required", []):
            if name not in inner.get("required", []) and (not self.answer or name in own):
                yield f"{at}.{name}: {'may be missing' if self.answer else 'is required'}"
        for name, schema in own.items():
            rest = outer.get("additionalProperties", True)
            if name in known:
                yield from self.reasons(schema, known[name], f"{at}.{name}")
            elif rest is False:
                yield from () if self.answer else (f"{at}.{name}: is refused",)
            elif isinstance(rest, dict):
                yield from self.reasons(schema, rest, f"{at}.{name}")
        if self.answer:
            yield from (f"{at}.{name}: is gone" for name in known if name not in own)
        yield from self._others(inner.get("additionalProperties", True), outer.get("additionalProperties", True), at)

    def _others(self, inner: Any, outer: Any, at: str) -> Iterator[str]:
        if outer is False and inner is not False and not self.answer:
            yield f"{at}: other fields are refused"
        elif isinstance(outer, dict) and isinstance(inner, dict):
            yield from self.reasons(inner, outer, f"{at}.*")


def _resolved(schema: Json, document: Json) -> Json:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _branches(schema: Json) -> list[Json] | None:
    if isinstance(types := schema.get("type"), list):
        return [{**schema, "type": one} for one in types]
    found: list[Json] | None = schema.get("anyOf", schema.get("oneOf"))
    return found


def _kind(schema: Json) -> Any:
    """What tells one branch of a union from another."""
    return schema.get("properties", {}).get("kind", {}).get("const", schema.get("type"))


def _types(schema: Json) -> frozenset[str]:
    given = schema.get("type")
    if given is None:
        values = _enumerated(schema)
        return TYPES if values is None else frozenset(_type(value) for value in values)
    found = frozenset([given] if isinstance(given, str) else given)
    return found | {"integer"} if "number" in found else found


def _type(value: Any) -> str:
    kinds = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return kinds.get(type(value), "object")


def _enumerated(schema: Json) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _named(types: frozenset[str]) -> str:
    return " or ".join(sorted(types))
