"""What went wrong, as a page a person can act on. Never the statement, its values or a trace.

The pages read nothing from the database: it may be what failed.
"""

import psycopg
import structlog
from django.core.exceptions import PermissionDenied
from django.db import DataError, IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from psycopg_pool import PoolTimeout

from config.errors import STATUS
from config.lib.db.again import RETRYABLE
from config.lib.errors import DomainError, Exhausted
from contacts.admin.access import entry_of

log = structlog.get_logger()


def page(
    request: HttpRequest,
    status: int,
    title: str,
    text: str,
    *,
    retry_after: int | None = None,
    signed_in: bool = False,
) -> HttpResponse:
    """`signed_in` offers signing out; who entered a workspace is offered it anyway."""
    # Without the request: its context would look up the session and the user, in the database.
    context = {
        "problem_title": title,
        "problem_text": text,
        "status": status,
        "request_id": getattr(request, "request_id", ""),
        "signed_in": signed_in or entry_of(request) is not None,
        "csrf_token": get_token(request),
    }
    response = HttpResponse(render_to_string("admin/problem.html", context), status=status)
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    return response


def no_membership(request: HttpRequest) -> HttpResponse:
    return page(
        request,
        403,
        "No workspace yet",
        "Your account is in no workspace. An owner of one can invite you, or add you with "
        "`manage.py`; then sign in again.",
        signed_in=True,
    )


def database(request: HttpRequest, error: Exception) -> HttpResponse:
    """The same causes as the API tells apart, in words."""
    cause = error.__cause__ or error
    if isinstance(cause, PoolTimeout):
        return page(request, 503, "Very busy right now",
                    "All database connections are in use. Nothing was changed; try again in a "
                    "moment.", retry_after=1)  # fmt: skip
    if isinstance(cause, psycopg.errors.DiskFull):
        return page(request, 507, "No room left",
                    "The database's disk is full. Nothing was changed; reading goes on.",
                    retry_after=60)  # fmt: skip
    if isinstance(cause, psycopg.errors.QueryCanceled):
        return page(request, 503, "That took too long",
                    "The page was stopped before it was ready. Narrow the filters or the search.",
                    retry_after=5)  # fmt: skip
    if isinstance(cause, (*RETRYABLE, psycopg.errors.LockNotAvailable)):
        return page(request, 503, "Somebody else is writing this",
                    "Nothing was changed; try again.", retry_after=1)  # fmt: skip
    if isinstance(error, DataError) or isinstance(cause, psycopg.DataError):
        return page(request, 400, "This cannot be looked up",
                    "The address holds a value the database cannot compare.")  # fmt: skip
    if isinstance(error, IntegrityError):
        return page(request, 409, "Another row stands in the way",
                    "Nothing was changed. A name may be taken, or other rows still need this "
                    "one.")  # fmt: skip
    log.error("admin_database_error", cause=type(cause).__name__, exc_info=error)
    return page(request, 503, "The database cannot be reached",
                "Nothing was changed; try again shortly.", retry_after=2)  # fmt: skip


def domain(request: HttpRequest, error: DomainError | Exhausted) -> HttpResponse:
    wait = getattr(error, "retry_after", None)
    status = STATUS.get(type(error), 400)
    return page(request, status, "This cannot be done", error.detail, retry_after=wait)


def csrf(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW: mostly another tab signed in, or chose another workspace."""
    return page(
        request,
        403,
        "This page is out of date",
        "You signed in or changed the workspace after it was opened, or your browser keeps no "
        "cookies. Nothing was saved: go back to copy what you typed, then load the page again.",
    )


def http(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """Pages for what Django would answer without one."""
    if isinstance(error, Http404):
        return page(request, 404, "There is nothing here",
                    "It was deleted, or is in another of your workspaces.")  # fmt: skip
    if isinstance(error, PermissionDenied):
        return page(request, 403, "Your role does not allow this",
                    str(error).capitalize() or "An owner of the workspace can change your "
                    "role.")  # fmt: skip
    return None
