"""The OpenAPI document: what FastAPI makes of the routes, and what holds for all of them."""

from collections.abc import Callable, Iterator
from copy import copy
from functools import cache
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

from chaos_core.errors import ChaosError

from . import problems
from .schemas.problem import Problem

Json = dict[str, Any]

METHODS = ("get", "post", "put", "patch", "delete", "head")
TAIL = "019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"
EXAMPLES: Json = {
    "created_after": "2026-11-22T14:00:00Z",
    "created_before": "2026-11-23T00:00:00+01:00",
    "cursor": "WzE3NjM4MjAwMDAuNSwgImpvYl8wMTlhMGM1ZTBmN2I3ZDBlOGE0ZjdhMWY1YjFjMmQzZSJd",
    "names": "loss,tau",
    "label.NAME": "alpha",
    "code": "not_finite",
    "dataset_id": f"ds_{TAIL}",
    "generated_dataset_id": f"ds_{TAIL}",
    "analysis_id": f"an_{TAIL}",
    "job_id": f"job_{TAIL}",
    "model_id": f"mdl_{TAIL}",
    "trajectory_id": f"trj_{TAIL}",
    "artifact_id": f"art_{TAIL}",
    "evaluation_id": f"evl_{TAIL}",
    "upload_id": f"up_{TAIL}",
    "webhook_id": f"whk_{TAIL}",
    "delivery_id": f"whd_{TAIL}",
    "key_id": f"key_{TAIL}",
    "request_id": f"req_{TAIL}",
    "resource_id": f"job_{TAIL}",
    "name": "attractor.svg",
    "system": "lorenz63",
    "family": "cells",
    "model_type": "clipped_shplrnn",
    "channels": ["x", "y"],
    "project_id": f"prj_{TAIL}",
    "If-Match": '"0f1c4a7b8a11be3d7d5a2f0e5b0c4c39"',
}
"""Of parameters that have none of their own, by name."""
LOCATION = {"description": "where the new resource is read", "schema": {"type": "string"}}
REPLAYED = {
    "description": "`true`: this is the answer to an earlier request with the same Idempotency-Key",
    "schema": {"type": "string", "enum": ["true"]},
}
RETRY_AFTER = {"description": "seconds until it is worth trying again", "schema": {"type": "integer"}}
COME_AGAIN = ("409", "429", "503", "507")


def declaring(router: APIRouter, *kinds: type[ChaosError]) -> APIRouter:
    """The same router, each of whose routes also declares these problems."""
    return APIRouter(routes=[_declaring(route, kinds) for route in router.routes])


def _declaring(route: Any, kinds: tuple[type[ChaosError], ...]) -> Any:
    if not isinstance(route, APIRoute):
        return route
    made = copy(route)
    made.responses = problems.joined(problems.declared(*kinds), route.responses)
    return made


def complete(openapi: Callable[[], Json]) -> Callable[[], Json]:
    @cache
    def document() -> Json:
        made = openapi()
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        made["components"]["schemas"] |= problem.pop("$defs", {}) | {"Problem": problem}
        for method, operation in operations(made):
            _finish(method, operation)
        return made

    return document


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path in document["paths"].values():
        for method, operation in path.items():
            if method in METHODS:
                yield method, operation


def _finish(method: str, operation: Json) -> None:
    for parameter in operation.get("parameters", []):
        if parameter["name"] in EXAMPLES and not parameter["schema"].get("examples"):
            parameter.setdefault("example", EXAMPLES[parameter["name"]])
    responses = operation["responses"]
    if "206" in responses and "200" in responses:
        responses["206"].setdefault("content", responses["200"].get("content", {}))
    for status, response in responses.items():
        headers: Json = {}
        if method == "post" and status < "300":
            headers["Idempotency-Replayed"] = REPLAYED
        if method == "post" and status in ("201", "202"):
            headers["Location"] = LOCATION
        if status in COME_AGAIN:
            headers["Retry-After"] = RETRY_AFTER
        if headers:
            response["headers"] = headers | response.get("headers", {})
