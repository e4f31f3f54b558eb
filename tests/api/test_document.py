"""The OpenAPI document says all that a client needs; whatever is added has to say it too."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from fastapi import FastAPI

from api import problems
from api.openapi import METHODS
from chaos_store.settings import Settings

Json = dict[str, Any]
BODILESS = {"204", "304"}
PLAIN = {"boolean", "integer", "number"}


@pytest.fixture
def settings(sqlite_settings: Settings) -> Settings:
    """Nothing here depends on the kind of database."""
    return sqlite_settings


@pytest.fixture
def document(app: FastAPI) -> Json:
    return app.openapi()


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                yield method, path, operations[method]


def test_every_operation_has_a_name_a_known_tag_and_a_summary(document: Json) -> None:
    known = {tag["name"] for tag in document["tags"]}
    names = [operation["operationId"] for *_, operation in _operations(document)]
    assert len(names) == len(set(names))
    for method, path, operation in _operations(document):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"]), (method, path)
        assert set(operation["tags"]) <= known and operation["tags"], (method, path)
        assert operation["summary"] and not operation["summary"].endswith("."), (method, path)


def test_every_answer_says_what_it_holds(document: Json) -> None:
    for method, path, operation in _operations(document):
        assert any(status < "300" for status in operation["responses"]), (method, path)
        for status, answer in operation["responses"].items():
            place = (method, path, status)
            assert answer["description"], place
            if method == "head" or status in BODILESS:
                continue
            assert answer.get("content"), place
            for kind, content in answer["content"].items():
                download = "206" in operation["responses"]
                assert content.get("schema") or download or not kind.endswith("json"), place


def test_every_error_is_declared_with_codes_that_have_its_status(document: Json) -> None:
    known = {kind.code: kind.status for kind in problems.kinds()}
    for method, path, operation in _operations(document):
        for status, answer in operation["responses"].items():
            if status < "400" or "application/problem+json" not in answer.get("content", {}):
                continue
            codes = re.findall(r"`([a-z_]+)`: ", answer["description"])
            assert codes and len(codes) == len(set(codes)), (method, path, status)
            assert {code: known[code] for code in codes} == dict.fromkeys(codes, int(status)), (method, path)


def test_what_holds_for_all_private_operations_is_declared_on_each(document: Json) -> None:
    for method, path, operation in _operations(document):
        if operation.get("security"):
            said = {status: one["description"] for status, one in operation["responses"].items()}
            for status, code in (("401", "unauthorized"), ("422", "invalid_request"), ("503", "database_unavailable")):
                assert f"`{code}`" in said[status], (method, path)


def test_every_parameter_of_free_form_has_an_example_that_is_allowed(document: Json) -> None:
    for method, path, operation in _operations(document):
        for parameter in operation.get("parameters", []):
            schema, place = parameter["schema"], (method, path, parameter["name"])
            branches = [_resolved(one, document) for one in schema.get("anyOf", [schema])]
            examples = [*schema.get("examples", []), *([parameter["example"]] if "example" in parameter else [])]
            plain = all(one.get("enum") or one.get("type") in PLAIN | {"null"} for one in branches)
            assert examples or plain, place
            assert all(_is(document, schema, example) for example in examples), place


def test_every_body_has_examples_that_are_allowed(document: Json) -> None:
    for method, path, operation in _operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            place = (method, path, kind)
            examples = [one["value"] for one in content.get("examples", {}).values()]
            examples += _resolved(content["schema"], document).get("examples", [])
            for branch in content["schema"].get("anyOf", []):
                examples += _resolved(branch, document).get("examples", [])
            assert examples, place
            assert all(_is(document, content["schema"], example) for example in examples), place


def test_posts_say_where_the_new_thing_is_and_whether_they_are_a_repeat(document: Json) -> None:
    for method, path, operation in _operations(document):
        if method == "post":
            for status, answer in operation["responses"].items():
                headers = set(answer.get("headers", {}))
                assert status >= "300" or "Idempotency-Replayed" in headers, path
                assert status not in ("201", "202") or "Location" in headers, path


def _resolved(schema: Json, document: Json) -> Json:
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def _is(document: Json, schema: Json, value: Any) -> bool:
    whole = schema | {"components": document["components"]}
    return jsonschema_rs.Draft202012Validator(whole).is_valid(value)
