"""What every router shares: the caller, versions in headers, and pages."""

from typing import Any, Generic, TypeVar

from django.http import HttpRequest, HttpResponse
from ninja import Field, Schema

from config.lib.actor import Actor
from config.lib.db.models import VersionedRow
from config.lib.errors import DomainError, Invalid
from config.lib.text import text_problem
from contacts.api.edge import Principal

T = TypeVar("T")


class PreconditionRequired(DomainError):
    """A change without If-Match."""


def actor_of(request: HttpRequest) -> Actor:
    return principal_of(request).actor


def principal_of(request: HttpRequest) -> Principal:
    principal: Principal = request.auth  # type: ignore[attr-defined]
    return principal


def if_match(request: HttpRequest) -> int | None:
    """The version the caller has read, from If-Match; None for `*`, which overwrites whatever is.

    Raises PreconditionRequired without the header: a blind write would undo somebody's change.
    """
    header = request.headers.get("If-Match")
    if header is None:
        raise PreconditionRequired(
            'Send If-Match with the ETag you read (such as "3"), or If-Match: * to overwrite '
            "whatever is there.",
            code="if_match_required",
        )
    if header.strip() == "*":
        return None
    value = header.strip().removeprefix("W/").strip('"')
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise Invalid({"If-Match": 'must be the ETag of a read, such as "3", or *'})
    return int(value)


def set_etag(response: HttpResponse, row: VersionedRow) -> None:
    response["ETag"] = row.etag


class Page(Schema, Generic[T]):
    """One page of a list; `next_cursor` is null at the end."""

    items: list[T]
    next_cursor: str | None = Field(None, description="Give it as `cursor` to read on.")


class Problem(Schema):
    """RFC 9457 problem details, as application/problem+json."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    code: str = ""
    errors: list[dict[str, Any]] | None = None
    request_id: str = ""


def clean_query(name: str, value: str) -> str:
    """A text from the query string that goes into a filter."""
    problem = text_problem(value)
    if problem:
        raise Invalid({name: problem})
    return value
