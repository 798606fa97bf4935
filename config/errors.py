"""Which HTTP answer each error becomes, always as problem+json (RFC 9457)."""

from typing import Any

import orjson
import psycopg
import structlog
from django.core.exceptions import SuspiciousOperation
from django.db import Error as DatabaseError
from django.db import IntegrityError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from psycopg_pool import PoolTimeout

from config.lib import errors
from config.lib.body import UnreadableBody
from config.lib.db.again import RETRYABLE, may_succeed_again
from config.lib.redact import redact_text
from contacts.api.auth import Unauthorized
from contacts.api.edge import Replay
from contacts.api.http import PreconditionRequired
from sessions.schemas_threads import MANY, ONE

log = structlog.get_logger()

PROBLEM_TYPE = "application/problem+json"
OUR_FAULT = "Something went wrong on our side; the log has it under this request_id."
TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Precondition failed",
    413: "Too large",
    415: "Unsupported media type",
    422: "Unprocessable content",
    428: "Precondition required",
    429: "Too many requests",
    500: "Server error",
    502: "Bad gateway",
    503: "Unavailable",
    507: "Insufficient storage",
}
STATUS: dict[type[errors.DomainError | errors.Exhausted], int] = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Erased: 409,
    errors.Stale: 412,
    errors.Invalid: 422,
    errors.Forbidden: 403,
    errors.TooMany: 429,
    errors.BadGateway: 502,
    errors.Unavailable: 503,
    errors.NoRoom: 507,
    errors.OverBudget: 429,
    PreconditionRequired: 428,
}


def problem(
    request: HttpRequest,
    status: int,
    detail: str = "",
    *,
    code: str = "",
    fields: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> HttpResponse:
    """A problem+json response; `fields` maps a field's path to what is wrong with it."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "request_id": getattr(request, "request_id", ""),
    }
    if code:
        body["code"] = code
    if fields:
        body["errors"] = [{"field": name, "message": text} for name, text in fields.items()]
    # A path may quote what was sent, and what was sent may not be storable text, or be a secret.
    encoded = orjson.dumps(_safe(body))
    return HttpResponse(encoded, status=status, content_type=PROBLEM_TYPE, headers=headers)


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return redact_text(value.encode("utf-8", "replace").decode(), personal=True, ask=False)
    if isinstance(value, dict):
        return {_safe(k): _safe(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_safe(v) for v in value]
    return value


def domain_problem(
    request: HttpRequest, error: errors.DomainError | errors.Exhausted
) -> HttpResponse:
    fields = error.errors if isinstance(error, errors.Invalid) else None
    wait = getattr(error, "retry_after", None)
    headers = None if wait is None else {"Retry-After": str(wait)}
    return problem(
        request, STATUS[type(error)], error.detail, code=error.code, fields=fields, headers=headers
    )


def unauthorized(request: HttpRequest, error: Exception) -> HttpResponse:
    return problem(
        request,
        401,
        "Send a live API key as `Authorization: Bearer rmb_...`.",
        code="unauthorized",
        headers={"WWW-Authenticate": 'Bearer realm="remembrancer"'},
    )


def replay(request: HttpRequest, error: Replay) -> HttpResponse:
    stored: Any = error.stored
    response = HttpResponse(bytes(stored.body), status=stored.status, headers=stored.headers)
    response["Idempotent-Replayed"] = "true"
    return response


def validation_problem(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Pydantic's errors with paths a caller recognises: `body.payload.text` is `text` to them."""
    fields: dict[str, str] = {}
    for one in error.errors:
        place, *path = one["loc"]
        if place == "body":
            path = path[1:]  # the name of the operation's parameter
            path = [p for n, p in enumerate(path) if n or p not in (ONE, MANY)]
        elif place == "query" and len(path) > 2 and isinstance(path[2], int):
            # Of one value in a list ninja says the parameter's name too.
            path = path[1:]
        name = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
        below = one.get("ctx", {}).get("path", "")
        fields[f"{name}{below}" or str(place)] = _message(one)
    return problem(
        request, 422, "; ".join(f"{n}: {t}" for n, t in fields.items())[:2000], fields=fields
    )


def _message(error: dict[str, Any]) -> str:
    """What is wrong with a field, in the words of the rest of the product."""
    about = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not a field here"
        case "string_too_long":
            return f"is too long; at most {about['max_length']:,} characters are kept"
        case "too_long" if about.get("field_type") == "Value":
            return (
                f"has {about['actual_length']:,} characters; at most {about['max_length']:,} "
                "are kept"
            )
        case "string_unicode":
            return "holds a lone surrogate; send valid Unicode"
        case "model_attributes_type" | "model_type" | "dict_type":
            return "must be a JSON object"
        case "list_type":
            return "must be a list"
        case "timezone_aware":
            return "must have a time zone, such as 2026-01-31T12:00:00Z"
    return str(error["msg"])


def as_problem(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """A failure that Django or a library answered in its own way, as problem+json."""
    kind = response.headers.get("Content-Type", "")
    if response.status_code < 400 or kind.startswith(PROBLEM_TYPE):
        return response
    details = {
        404: ("There is nothing at this address.", "no_such_address"),
        405: (f"This address takes {response.headers.get('Allow', 'other methods')}.", ""),
    }
    detail, code = details.get(response.status_code, (response.reason_phrase, ""))
    kept = {name: response.headers[name] for name in ("Allow",) if name in response.headers}
    return problem(request, response.status_code, detail, code=code, headers=kept)


def database_problem(request: HttpRequest, error: Exception) -> HttpResponse:
    """What the database refused, told apart by cause. Never the statement or its values."""
    cause = error.__cause__ or error
    edge = getattr(request, "edge", None)
    if edge is not None and may_succeed_again(error):
        edge.retry = True
    if isinstance(cause, RETRYABLE):
        return problem(request, 503, "The write met another one; try again.", code="busy",
                       headers={"Retry-After": "1"})  # fmt: skip
    if isinstance(cause, psycopg.errors.LockNotAvailable):
        return problem(request, 409, "Another request still works on this.", code="in_progress",
                       headers={"Retry-After": "1"})  # fmt: skip
    if isinstance(cause, psycopg.errors.QueryCanceled):
        return problem(request, 503, "It took too long and was stopped.", code="timeout",
                       headers={"Retry-After": "5"})  # fmt: skip
    if isinstance(cause, PoolTimeout):
        return problem(request, 503, "All database connections are busy.", code="overloaded",
                       headers={"Retry-After": "1"})  # fmt: skip
    if isinstance(cause, psycopg.errors.DiskFull):
        log.error("disk_full")
        return problem(request, 507, "The database's disk is full.", code="no_room",
                       headers={"Retry-After": "60"})  # fmt: skip
    if isinstance(error, IntegrityError):
        log.warning("integrity_error", cause=type(cause).__name__, constraint=_constraint(cause))
        return problem(request, 409, "Another row stands in the way of this one.",
                       code=_constraint(cause) or "integrity")  # fmt: skip
    if isinstance(error, OperationalError):
        log.error("database_unavailable", cause=type(cause).__name__)
        return problem(request, 503, "The database cannot be reached.", code="database_unavailable",
                       headers={"Retry-After": "2"})  # fmt: skip
    return unexpected(request, error)


def _constraint(cause: BaseException) -> str:
    diag = getattr(cause, "diag", None)
    return str(getattr(diag, "constraint_name", "") or "")


def http_problem(request: HttpRequest, error: HttpError) -> HttpResponse:
    # ninja wraps what its parser raises.
    if isinstance(error.__cause__, UnreadableBody):
        return unreadable(request, error.__cause__)
    if isinstance(error.__cause__, SuspiciousOperation | UnreadablePostError):
        return bad_request(request, error.__cause__)
    return problem(request, error.status_code, str(error))


def not_found(request: HttpRequest, error: Exception) -> HttpResponse:
    return problem(request, 404, "There is nothing at this address.", code="no_such_address")


def unreadable(request: HttpRequest, error: Exception) -> HttpResponse:
    return problem(request, 400, str(error), code="unreadable_body")


def unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
    log.exception("unexpected_error", exc_info=error, path=request.path)
    return problem(
        request,
        500,
        OUR_FAULT,
        code="unexpected",
    )


def bad_request(request: HttpRequest, error: Exception) -> HttpResponse:
    return problem(request, 400, "This request cannot be read.", code="bad_request")


HANDLERS: dict[type[Exception], Any] = {
    Exception: unexpected,
    SuspiciousOperation: bad_request,
    UnreadablePostError: bad_request,
    UnreadableBody: unreadable,
    Http404: not_found,
    HttpError: http_problem,
    ValidationError: validation_problem,
    DatabaseError: database_problem,
    errors.DomainError: domain_problem,
    errors.Exhausted: domain_problem,
    Unauthorized: unauthorized,
    Replay: replay,
}


def answer_to(request: HttpRequest, error: Exception) -> HttpResponse:
    """The answer to whatever an operation raised, where it was not ninja that called it."""
    handler = next(HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS)
    response: HttpResponse = handler(request, error)
    return response


def install(api: NinjaAPI) -> None:
    """Register all of the above on the API."""
    for kind, handler in HANDLERS.items():
        api.add_exception_handler(kind, handler)
