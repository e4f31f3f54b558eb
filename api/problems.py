"""Every error as an RFC 9457 problem document; STATUS is the one table from error class to status."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pydantic_core
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from chaos_core import errors as core
from chaos_core.readers import refusals as files
from chaos_store import errors as store
from chaos_store.capacity import is_full
from chaos_store.redaction import redact

from . import errors as http
from .headers import PROTECTION
from .schemas.problem import ProblemKind
from .violations import explain

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S: dict[type[core.ChaosError], int] = {
    http.DatabaseUnavailable: 2,
    store.IdempotencyInProgress: 2,
    store.QueueFull: 5,
    store.StorageFull: 30,
    store.QuotaJobs: 30,
}
QUOTAS = (store.QuotaBytes, store.QuotaJobs, store.QuotaCoreHours, store.ScopeMissing, http.RateLimited)
"""Of routes that make something; the last two, which every private route has, share a status with the others."""

STATUS: dict[type[core.ChaosError], int] = {
    core.ChaosError: 500,
    core.DataError: 422,
    core.EmptyData: 422,
    core.TooShort: 422,
    core.BadShape: 422,
    core.NotReal: 422,
    core.BadStep: 422,
    core.TooLarge: 422,
    core.NotFinite: 422,
    core.ConstantChannel: 422,
    core.ColumnNotNumeric: 422,
    core.RaggedRow: 422,
    core.UnknownColumn: 422,
    core.IrregularTime: 422,
    core.UnknownFormat: 415,
    core.UnreadableFile: 422,
    core.PickleRefused: 422,
    core.ParserLimit: 422,
    files.FormatMismatch: 415,
    files.AmbiguousDataset: 422,
    files.UnknownDataset: 422,
    files.ExpandsTooFar: 422,
    files.TooManyMembers: 422,
    files.NestedTooDeep: 422,
    files.HeaderTooLong: 422,
    files.NestedCompression: 422,
    files.UnsafeArchive: 422,
    files.DuplicateName: 422,
    files.ExternalReference: 422,
    files.UnknownFilter: 422,
    files.ReaderCrashed: 422,
    core.SpecError: 422,
    core.UnknownKind: 422,
    core.Inconsistent: 422,
    core.SpecTooLarge: 422,
    core.RunError: 500,
    core.Diverged: 422,
    core.Exploded: 422,
    core.Collapsed: 422,
    core.OutOfMemory: 500,
    core.Stalled: 500,
    core.TimeLimit: 500,
    core.DeadlinePassed: 422,
    core.DiskLimit: 500,
    core.DeviceUnavailable: 422,
    core.CheckpointUnreadable: 500,
    core.RunnerCrashed: 500,
    store.StoreError: 500,
    store.NotFound: 404,
    store.BadCursor: 422,
    store.TooManyLabels: 422,
    store.TooManyWebhooks: 409,
    store.WebhookUrlRefused: 422,
    store.WrongState: 409,
    store.NotCancellable: 409,
    store.NotClonable: 409,
    store.NotPausable: 409,
    store.NotResumable: 409,
    store.NotRetryable: 409,
    store.NotDeletable: 409,
    store.DatasetInUse: 409,
    store.ProjectInUse: 409,
    store.DatasetHasContent: 409,
    store.UploadClosed: 409,
    store.UploadIncomplete: 409,
    store.PartConflict: 409,
    store.PlanFrozen: 409,
    store.DatasetNotReady: 409,
    store.WebhookDisabled: 409,
    store.LeaseLost: 409,
    store.WorkerLost: 500,
    store.BlobCorrupt: 500,
    store.QueueFull: 503,
    store.StorageFull: 507,
    store.QuotaExceeded: 403,
    store.QuotaBytes: 403,
    store.QuotaJobs: 429,
    store.QuotaCoreHours: 403,
    store.ScopeMissing: 403,
    store.KeyOutlives: 403,
    store.LastAdminKey: 409,
    store.BackupRefused: 409,
    store.IdempotencyKeyReused: 422,
    store.IdempotencyInProgress: 409,
    store.IdempotencyAnswerLost: 409,
    store.UploadCancelled: 409,
    http.ApiError: 400,
    http.BadRequest: 400,
    http.InvalidJson: 400,
    http.InvalidForm: 400,
    http.InvalidDigest: 422,
    http.DigestMismatch: 422,
    http.SizeMismatch: 422,
    http.Unauthorized: 401,
    http.RateLimited: 429,
    http.RouteNotFound: 404,
    http.MethodNotAllowed: 405,
    http.AnalysisMismatch: 422,
    http.AnalysisMissing: 409,
    http.PreconditionFailed: 412,
    http.BodyTooLarge: 413,
    http.UnsupportedMediaType: 415,
    http.RangeNotSatisfiable: 416,
    http.ConversionTooLarge: 422,
    http.InvalidRequest: 422,
    http.MetricsPrivate: 403,
    http.InternalError: 500,
    http.DatabaseUnavailable: 503,
}

FRAMEWORK: dict[int, type[http.ApiError]] = {
    404: http.RouteNotFound,
    405: http.MethodNotAllowed,
    413: http.BodyTooLarge,
    415: http.UnsupportedMediaType,
}

log = logging.getLogger("api")


def status_of(kind: type[core.ChaosError]) -> int:
    return next(STATUS[base] for base in kind.__mro__ if base in STATUS)


def type_of(code: str) -> str:
    return f"/v1/problems/{code}"


def kinds() -> list[ProblemKind]:
    rows = {
        kind.code: ProblemKind(
            code=kind.code, type=type_of(kind.code), status=status, title=kind.title, remedy=kind.remedy
        )
        for kind, status in reversed(STATUS.items())
    }
    return sorted(rows.values(), key=lambda row: row.code)


def _headers(status: int, error: core.ChaosError) -> dict[str, str]:
    if isinstance(error, http.RateLimited):
        return {"Retry-After": str(error.fields["retry_after_s"])}
    if type(error) in RETRY_AFTER_S:
        return {"Retry-After": str(RETRY_AFTER_S[type(error)])}
    known = {
        401: {"WWW-Authenticate": 'Bearer realm="chaos"'},
        416: {"Content-Range": f"bytes */{error.fields.get('size')}"},
    }
    return known.get(status, {})


def respond(request: Request, error: core.ChaosError, headers: Mapping[str, str] | None = None) -> Response:
    status = status_of(type(error))
    document: dict[str, Any] = {
        "type": type_of(error.code),
        "title": error.title,
        "status": status,
        "code": error.code,
        "detail": error.detail,
        "remedy": error.remedy,
        "instance": request.url.path,
        "request_id": request.state.request_id,
    }
    for name, value in error.fields.items():
        document[f"current_{name}" if name in document else name] = value
    body = redact(pydantic_core.to_json(document, inf_nan_mode="null", fallback=str).decode())
    request.state.code = error.code
    own = PROTECTION | {"X-Request-Id": request.state.request_id} | _headers(status, error)
    return Response(body, status, own | dict(headers or {}), MEDIA_TYPE)


def declared(*kinds: type[core.ChaosError]) -> dict[int | str, dict[str, Any]]:
    by_status: dict[int | str, list[type[core.ChaosError]]] = {}
    for kind in kinds:
        by_status.setdefault(status_of(kind), []).append(kind)
    return {status: _declaration(members) for status, members in by_status.items()}


def _declaration(members: Sequence[type[core.ChaosError]]) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": "; ".join(f"`{kind.code}`: {kind.title}" for kind in members),
        "content": {MEDIA_TYPE: {"schema": schema}},
    }


def joined(*given: Mapping[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """Declarations together; where two name problems of one status, each problem once."""
    found: dict[int | str, dict[str, Any]] = {}
    for status, one in ((status, one) for part in given for status, one in part.items()):
        known = found.get(status, {})
        if MEDIA_TYPE in known.get("content", {}) and MEDIA_TYPE in one.get("content", {}):
            named = dict.fromkeys(f"{known['description']}; {one['description']}".split("; "))
            one = known | one | {"description": "; ".join(named), "content": known["content"] | one["content"]}
        found[status] = one
    return found


def from_chaos(request: Request, error: Exception) -> Response:
    assert isinstance(error, core.ChaosError)
    if status_of(type(error)) >= 500:
        log.error("%s %s: %s", request.method, request.url.path, error.code, exc_info=error)
    return respond(request, error)


def from_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, UnicodeDecodeError | RecursionError):
        return respond(request, http.InvalidJson(str(error.__cause__)))
    kind = FRAMEWORK.get(error.status_code, http.BadRequest)
    detail = {404: f"nothing lives at {request.url.path}", 405: f"{request.method} {request.url.path}"}
    headers = error.headers
    if error.status_code == 405:
        headers = {"Allow": _allowed(request) or (error.headers or {}).get("Allow", "GET")}
    return respond(request, kind(detail.get(error.status_code, str(error.detail))), headers)


def _allowed(request: Request) -> str:
    """Every method of the path, literal before parameters: each of our routes knows its own only."""
    given, found = request.url.path.split("/"), dict[int, set[str]]()
    for path, operations in request.app.openapi()["paths"].items():
        parts = path.split("/")
        if len(parts) == len(given) and all(
            part == word or part.startswith("{") for part, word in zip(parts, given, strict=True)
        ):
            found.setdefault(path.count("{"), set()).update(name.upper() for name in operations)
    return ", ".join(sorted(found[min(found)])) if found else ""


def from_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return respond(request, explain(error))


def from_system(request: Request, error: Exception) -> Response:
    if is_full(error):
        return from_chaos(request, store.StorageFull("the disk is full"))
    return from_anything(request, error)


def from_anything(request: Request, error: Exception) -> Response:
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    return respond(request, http.InternalError("an unexpected error; it is in the log"))


def install(app: FastAPI) -> None:
    app.add_exception_handler(core.ChaosError, from_chaos)
    app.add_exception_handler(HTTPException, from_framework)
    app.add_exception_handler(RequestValidationError, from_validation)
    app.add_exception_handler(OSError, from_system)
    app.add_exception_handler(Exception, from_anything)
