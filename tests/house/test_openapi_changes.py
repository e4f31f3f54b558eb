import json
import subprocess
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from api.document import text
from tests.house.openapi_changes import allowed, breaking
from tests.house.tree import ROOT

FILE = ROOT / "openapi.json"
Json = dict[str, Any]


def _git(*words: str) -> str:
    """What git says; nothing where there is no git, or no such commit or file."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def _before() -> str:
    """The document of the last commit in which it was another one; where there is none, the file itself."""
    now = FILE.read_text()
    for commit in ["HEAD", *_git("log", "-2", "--format=%H", "--", FILE.name).split()]:
        found = _git("show", f"{commit}:{FILE.name}")
        if found and found != now:
            return found
    return now


def test_the_document_is_the_one_that_the_code_makes() -> None:
    assert FILE.read_text() == text(), "run ./scripts/docs"


def test_no_client_breaks_without_a_new_version() -> None:
    old, new = json.loads(_before()), json.loads(FILE.read_text())
    assert breaking(old, new) == [] or allowed(old, new), "raise the version in api/app.py, or take the change back"


SPEC: Json = {
    "openapi": "3.1.0",
    "info": {"version": "0.3.1"},
    "paths": {
        "/things": {
            "get": {
                "operationId": "things_list",
                "parameters": [
                    {"in": "query", "name": "limit", "schema": {"type": "integer", "minimum": 1, "maximum": 200}},
                    {"in": "query", "name": "order", "schema": {"enum": ["asc", "desc"], "type": "string"}},
                    {"in": "header", "name": "X-Odd", "required": True, "schema": {"type": "string"}},
                ],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/ThingOut"}}
                            },
                            "text/csv": {},
                        },
                        "headers": {"ETag": {}},
                    },
                    "404": {"content": {"application/problem+json": {}}},
                },
            },
            "post": {
                "operationId": "things_create",
                "security": [{"ApiKey": []}],
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ThingCreate"}}}
                },
                "responses": {"201": {"content": {"application/json": {"schema": {"type": "object"}}}}},
            },
        }
    },
    "components": {
        "schemas": {
            "ThingOut": {
                "type": "object",
                "required": ["id", "state"],
                "properties": {
                    "id": {"type": "string"},
                    "object": {"const": "thing", "type": "string"},
                    "state": {"enum": ["on", "off"], "type": "string"},
                    "size": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
                    "parent": {"$ref": "#/components/schemas/ThingOut"},
                    "extra": {"type": "object", "additionalProperties": {"type": "number"}},
                },
            },
            "ThingCreate": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 20},
                    "kind": {
                        "oneOf": [{"$ref": "#/components/schemas/Round"}, {"$ref": "#/components/schemas/Square"}],
                        "discriminator": {"propertyName": "kind"},
                    },
                    "weight": {"anyOf": [{"type": "number"}, {"const": "auto", "type": "string"}]},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
            },
            "Round": {
                "type": "object",
                "required": ["kind"],
                "properties": {"kind": {"const": "round"}, "r": {"type": "number"}},
            },
            "Square": {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "square"}}},
        }
    },
}  # fmt: skip


def _list(spec: Json) -> Json:
    return spec["paths"]["/things"]["get"]


def _post(spec: Json) -> Json:
    return spec["paths"]["/things"]["post"]


def _out(spec: Json) -> Json:
    return spec["components"]["schemas"]["ThingOut"]["properties"]


def _in(spec: Json) -> Json:
    return spec["components"]["schemas"]["ThingCreate"]["properties"]


def _limit(spec: Json) -> Json:
    return _list(spec)["parameters"][0]


BREAKING: dict[str, tuple[Callable[[Json], Any], str]] = {
    "a path goes": (lambda s: s["paths"].pop("/things"), "is gone"),
    "an operation goes": (lambda s: s["paths"]["/things"].pop("post"), "POST /things: is gone"),
    "an operation id changes": (lambda s: _list(s).update(operationId="all"), "operation id things_list became all"),
    "a key is asked for": (lambda s: _list(s).update(security=[{"ApiKey": []}]), "asks for a key now"),
    "a parameter goes": (lambda s: _list(s)["parameters"].pop(0), "query parameter limit is gone"),
    "a parameter is required": (lambda s: _limit(s).update(required=True), "limit is required now"),
    "a required parameter comes": (
        lambda s: _list(s)["parameters"].append({"in": "query", "name": "q", "required": True, "schema": {}}),
        "query parameter q is new and required",
    ),
    "a bound is narrower": (lambda s: _limit(s)["schema"].update(maximum=100), "limit: maximum is 100"),
    "a bound comes": (lambda s: _in(s)["name"].update(minLength=2), "body.name: minLength is 2"),
    "a pattern comes": (lambda s: _in(s)["name"].update(pattern="a+"), "body.name: pattern changed"),
    "a choice is refused": (lambda s: _list(s)["parameters"][1]["schema"]["enum"].pop(), "order: desc is refused"),
    "a type is narrower": (lambda s: _limit(s)["schema"].update(type="boolean"), "limit: only boolean"),
    "a number becomes an integer": (
        lambda s: _in(s)["weight"]["anyOf"][0].update(type="integer"), "body.weight: only integer"
    ),
    "a branch goes": (lambda s: _in(s)["weight"]["anyOf"].pop(), "body.weight: only"),
    "a kind goes": (lambda s: _in(s)["kind"]["oneOf"].pop(), "body.kind.kind: square is refused"),
    "a setting of a kind goes": (
        lambda s: s["components"]["schemas"]["Round"].update(properties={"kind": {"const": "round"}},
                                                             additionalProperties=False),
        "body.kind.r: is refused",
    ),
    "items are narrower": (lambda s: _in(s)["tags"]["items"].update(type="integer"), "body.tags[]: only integer"),
    "a field of a request goes": (lambda s: _in(s).pop("tags"), "body.tags: is refused"),
    "a required field comes": (
        lambda s: (_in(s).update(new={}), s["components"]["schemas"]["ThingCreate"]["required"].append("new")),
        "body.new: is required",
    ),
    "a field is required": (
        lambda s: s["components"]["schemas"]["ThingCreate"]["required"].append("tags"), "body.tags: is required"
    ),
    "other fields are refused": (
        lambda s: s["components"]["schemas"]["Square"].update(additionalProperties=False), "other fields are refused"
    ),
    "a media type of requests goes": (
        lambda s: _post(s)["requestBody"].update(content={"text/plain": {}}), "takes no application/json any more"
    ),
    "a body is required": (lambda s: _post(s)["requestBody"].update(required=True), "a body is required now"),
    "a body goes": (lambda s: _post(s).pop("requestBody"), "takes no body any more"),
    "an answer goes": (lambda s: _post(s)["responses"].pop("201"), "answer 201 is gone"),
    "a media type of answers goes": (
        lambda s: _list(s)["responses"]["200"]["content"].pop("text/csv"), "answer 200 has no text/csv any more"
    ),
    "a header goes": (lambda s: _list(s)["responses"]["200"].pop("headers"), "answer 200 has no header ETag any more"),
    "a field of an answer goes": (lambda s: _out(s).pop("size"), "answer 200[].size: is gone"),
    "a required field of an answer goes": (lambda s: _out(s).pop("id"), "answer 200[].id: is gone"),
    "a field may be missing": (
        lambda s: s["components"]["schemas"]["ThingOut"]["required"].remove("id"), "answer 200[].id: may be missing"
    ),
    "a field may be null": (lambda s: _out(s)["id"].update(type=["string", "null"]), "200[].id: may be null"),
    "a field has another type": (lambda s: _out(s)["id"].update(type="integer"), "200[].id: may be integer"),
    "a constant changes": (lambda s: _out(s)["object"].update(const="stuff"), "200[].object: stuff is new"),
    "a choice may be anything": (lambda s: _out(s)["state"].pop("enum"), "200[].state: any value"),
    "a bound of an answer goes": (lambda s: _out(s)["size"]["anyOf"][0].pop("minimum"), "200[].size: minimum is None"),
    "values of a table change": (
        lambda s: _out(s)["extra"]["additionalProperties"].update(type="string"), "200[].extra.*: may be string"
    ),
    "an array becomes an object": (
        lambda s: _list(s)["responses"]["200"]["content"]["application/json"].update(schema={"type": "object"}),
        "answer 200: may be object",
    ),
}  # fmt: skip

HARMLESS: dict[str, Callable[[Json], Any]] = {
    "nothing": lambda s: s.copy(),
    "a path comes": lambda s: s["paths"].update({"/others": {"get": {"responses": {}}}}),
    "an operation comes": lambda s: s["paths"]["/things"].update({"delete": {"responses": {}}}),
    "words change": lambda s: _list(s).update(summary="others", description="x", tags=["y"]),
    "an optional parameter comes": lambda s: _list(s)["parameters"].append({"in": "query", "name": "q", "schema": {}}),
    "a header is written otherwise": lambda s: _list(s)["parameters"][2].update(name="x-odd"),
    "a parameter may be left out": lambda s: _list(s)["parameters"][2].pop("required"),
    "a bound is wider": lambda s: _limit(s)["schema"].update(maximum=500, minimum=0),
    "a bound goes": lambda s: _limit(s)["schema"].pop("maximum"),
    "an integer becomes a number": lambda s: _limit(s)["schema"].update(type="number"),
    "a choice comes": lambda s: _list(s)["parameters"][1]["schema"]["enum"].append("random"),
    "an optional field comes": lambda s: _in(s).update(new={"type": "string"}),
    "a field may be left out": lambda s: s["components"]["schemas"]["ThingCreate"]["required"].clear(),
    "a field may be null": lambda s: _in(s).update(name={"anyOf": [_in(s)["name"], {"type": "null"}]}),
    "a kind comes": lambda s: _in(s)["kind"]["oneOf"].append({"type": "object", "properties": {}}),
    "a media type of requests comes": lambda s: _post(s)["requestBody"]["content"].update({"text/csv": {}}),
    "no key is asked for": lambda s: _post(s).pop("security"),
    "a field of an answer comes": lambda s: _out(s).update(new={"type": "string"}),
    "a union is written otherwise": lambda s: _out(s).update(size={"type": ["integer", "null"], "minimum": 0}),
    "a state comes": lambda s: _out(s)["state"]["enum"].append("paused"),
    "a field is always there": lambda s: s["components"]["schemas"]["ThingOut"]["required"].append("size"),
    "a field is never null": lambda s: _out(s).update(size={"type": "integer", "minimum": 0}),
    "a bound of an answer comes": lambda s: _out(s)["id"].update(maxLength=5),
    "an error comes": lambda s: _post(s)["responses"].update({"409": {}}),
    "an error goes": lambda s: _list(s)["responses"].pop("404"),
    "a success comes": lambda s: _post(s)["responses"].update({"202": {}}),
    "an example comes": lambda s: _in(s)["name"].update(examples=["x"], description="y", title="z"),
    "a schema is named otherwise": lambda s: (
        s["components"]["schemas"].update(Disc=s["components"]["schemas"].pop("Round")),
        _in(s)["kind"]["oneOf"].__setitem__(0, {"$ref": "#/components/schemas/Disc"}),
    ),
}


@pytest.mark.parametrize("name", BREAKING)
def test_what_breaks_is_found_and_named(name: str) -> None:
    edit, words = BREAKING[name]
    new = deepcopy(SPEC)
    edit(new)
    found = breaking(SPEC, new)
    assert found and any(words in line for line in found), found


@pytest.mark.parametrize("name", HARMLESS)
def test_what_breaks_nothing_is_let_through(name: str) -> None:
    new = deepcopy(SPEC)
    HARMLESS[name](new)
    assert breaking(SPEC, new) == []


def test_our_own_document_does_not_differ_from_itself() -> None:
    own = json.loads(FILE.read_text())
    assert breaking(own, deepcopy(own)) == []


@pytest.mark.parametrize(
    ("before", "after", "may"),
    [("0.3.1", "0.3.2", False), ("0.3.1", "0.4.0", True), ("1.4.0", "1.5.0", False), ("1.4.0", "2.0.0", True),
     ("0.9.0", "1.0.0", True), ("0.4.0", "0.3.9", False)],
)  # fmt: skip
def test_a_higher_version_may_break(before: str, after: str, may: bool) -> None:
    assert allowed({"info": {"version": before}}, {"info": {"version": after}}) is may
