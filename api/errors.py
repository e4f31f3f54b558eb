"""Errors that belong to HTTP itself; the science and the store have their own trees."""

from chaos_core.errors import ChaosError


class ApiError(ChaosError):
    code = "api_error"
    title = "The request cannot be served"
    remedy = "See `detail`."


class Unauthorized(ApiError):
    code = "unauthorized"
    title = "No valid API key"
    remedy = "Send the header `Authorization: Bearer KEY`; `chaos serve` prints the key and keeps it in service.json."


class RateLimited(ApiError):
    code = "rate_limited"
    title = "Too many requests in a short time"
    remedy = "Wait for the seconds in Retry-After; ?wait= or the event stream follow a job in one request."


class RouteNotFound(ApiError):
    code = "route_not_found"
    title = "There is no such page"
    remedy = "Check the path; GET /openapi.json lists every route."


class MethodNotAllowed(ApiError):
    code = "method_not_allowed"
    title = "This path does not take that method"
    remedy = "Use one of the methods in the Allow header."


class InvalidRequest(ApiError):
    code = "invalid_request"
    title = "The request does not have the right form"
    remedy = "Correct the entries listed in `errors`; GET /openapi.json holds the schema and examples."


class InvalidJson(ApiError):
    code = "invalid_json"
    title = "The body is not JSON"
    remedy = "Send one valid JSON object, in UTF-8."


class InvalidDigest(ApiError):
    code = "invalid_digest"
    title = "The Content-Digest header cannot be used"
    remedy = "Send `Content-Digest: sha-256=:BASE64:` (RFC 9530), of the bytes in this body."


class DigestMismatch(ApiError):
    code = "digest_mismatch"
    title = "The bytes are not those announced"
    remedy = "Compute the sha256 of the very bytes that are sent, and send them again."


class SizeMismatch(ApiError):
    code = "size_mismatch"
    title = "The number of bytes is not the one announced"
    remedy = "Send as many bytes as were announced; `expected` says how many."


class InvalidForm(ApiError):
    code = "invalid_form"
    title = "The body is not a multipart form"
    remedy = "Let your HTTP library build it, e.g. `curl -F file=@series.csv -F dt=0.01 .../v1/datasets`."


class BadRequest(ApiError):
    code = "bad_request"
    title = "The request cannot be understood"
    remedy = "Check the request line, the headers and the body."


class BodyTooLarge(ApiError):
    code = "body_too_large"
    title = "The body is larger than allowed"
    remedy = "Send less in one request; GET /v1/limits shows the limits."


class PreconditionFailed(ApiError):
    code = "precondition_failed"
    title = "The resource is not the one of If-Match"
    remedy = "Read it again, look at what has changed, and send the change with the new ETag."


class UnsupportedMediaType(ApiError):
    code = "unsupported_media_type"
    title = "This route does not take that content type"
    remedy = "Send the content type named in `expected`."


class RangeNotSatisfiable(ApiError):
    code = "range_not_satisfiable"
    title = "The range lies outside the content"
    remedy = "Ask for bytes below the size given in the Content-Range header."


class ConversionTooLarge(ApiError):
    code = "conversion_too_large"
    title = "The content is too large to be converted or packed"
    remedy = "Download the parts as they are stored: leave `format` out, or take the artifacts one by one."


class AnalysisMismatch(ApiError):
    code = "analysis_mismatch"
    title = "The analysis is of another series"
    remedy = "Give an analysis of the same series, or leave `analysis_id` out."


class AnalysisMissing(ApiError):
    code = "analysis_missing"
    title = "The series has not been analysed"
    remedy = "Analyse it first (POST /v1/analyses) and wait for the result, or post the job, which analyses by itself."


class MetricsPrivate(ApiError):
    code = "metrics_private"
    title = "The metrics are not for everybody"
    remedy = (
        "Ask from the machine of the API and past any proxy, or set CHAOS_METRICS_TOKEN and send it as bearer token."
    )


class DatabaseUnavailable(ApiError):
    code = "database_unavailable"
    title = "The database cannot be reached now"
    remedy = "Send the request again after the seconds in Retry-After; GET /readyz says what is down."


class InternalError(ApiError):
    code = "internal_error"
    title = "The service made a mistake"
    remedy = "Report this with `request_id`; the log of the service has the details."
