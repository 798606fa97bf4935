"""What every router shares: the caller, versions in headers, answers and pages.

Operations answer with bytes made here, straight from the schema that documents them; ninja's own
way from a schema to JSON costs several times as much.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Annotated, Any, Generic, TypeVar

from django.http import HttpRequest, HttpResponse
from ninja import Path, Query
from pydantic import Field, TypeAdapter

from config.lib.actor import Actor
from config.lib.body import UnreadableBody
from config.lib.cursor import DEFAULT_LIMIT, MAX_LIMIT
from config.lib.db.models import VersionedRow, WorkspaceRow
from config.lib.errors import DomainError, Invalid
from config.lib.schema import Input, Output, Text
from contacts.api.edge import Edge, Principal

T = TypeVar("T")
ROOT = "/api/v1"
JSON = "application/json"


class PreconditionRequired(DomainError):
    """A change without If-Match."""


def actor_of(request: HttpRequest) -> Actor:
    return principal_of(request).actor


def whole_body(request: HttpRequest) -> bytes:
    """The body as it came. UnreadableBody where the connection broke before its end, perhaps where
    what came happens to be complete."""
    announced = int(request.META.get("CONTENT_LENGTH") or 0)
    if len(request.body) < announced:
        raise UnreadableBody(f"The body ends after {len(request.body):,} of {announced:,} bytes.")
    return request.body


def principal_of(request: HttpRequest) -> Principal:
    principal: Principal = request.auth  # type: ignore[attr-defined]
    return principal


def leave_of(request: HttpRequest) -> Callable[[], None] | None:
    """What ends the transaction of the request's authentication (KeyAuth's `stays`); None where
    there is none, as a tool's call ends its own before it asks a detached operation."""
    edge: Edge | None = getattr(request, "edge", None)
    return None if edge is None else edge.detach


# --- Versions ---------------------------------------------------------------------------------

# For `openapi_extra` of the operations that call if_match.
IF_MATCH: dict[str, Any] = {
    "parameters": [
        {
            "in": "header",
            "name": "If-Match",
            "required": True,
            "schema": {"type": "string"},
            "description": 'The ETag of the row as you read it, such as `"3"`; `*` overwrites '
            "whatever is there.",
        }
    ],
}


# For `openapi_extra` of operations that answer `format=markdown` with the text alone.
OR_MARKDOWN: dict[str, Any] = {
    "responses": {200: {"content": {"text/markdown": {"schema": {"type": "string"}}}}},
}


# For `openapi_extra` of operations that ask another server.
GATEWAY: dict[str, Any] = {"responses": {502: {"$ref": "#/components/responses/502"}}}


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


# --- Parameters -------------------------------------------------------------------------------

Id = Annotated[
    Text, Path(description="A full id, or the last 8 to 12 hex digits of it (409 if ambiguous).")
]


class Paging(Input):
    """The query parameters of every list."""

    cursor: Text | None = Field(None, max_length=2000, description="`next_cursor` of a page before")
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="Rows on a page")


PageQuery = Annotated[Paging, Query()]
Reason = Annotated[
    Text | None, Query(max_length=500, description="Why; kept in the row's history.")
]


@contextmanager
def named_alone(batch: str, *, alone: bool = True) -> Iterator[None]:
    """For one row sent alone to a service of batches: `events[0].text` is `text` to its caller."""
    try:
        yield
    except Invalid as error:
        if not alone:
            raise
        raise Invalid(
            {name.removeprefix(f"{batch}[0]."): text for name, text in error.errors.items()}
        ) from None


# --- Answers ----------------------------------------------------------------------------------


class Page(Output, Generic[T]):
    """One page of a list; `next_cursor` is null at the end."""

    items: list[T]
    next_cursor: str | None = Field(None, description="Give it as `cursor` to read on.")


class Items(Output, Generic[T]):
    """A list that is short by nature, whole."""

    items: list[T]


class Problem(Output):
    """RFC 9457 problem details, as application/problem+json."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    code: str = Field("", description="A stable word for this problem, where there is one.")
    errors: list["FieldProblem"] | None = None
    request_id: str = ""


class FieldProblem(Output):
    """One field that cannot be taken, by its path in what was sent."""

    field: str
    message: str


@cache
def _adapter(schema: Any) -> TypeAdapter[Any]:
    return TypeAdapter(schema)


def to_json(schema: Any, value: Any) -> bytes:
    """`value` (a row, a dict, or a list or page of them) as `schema` has it."""
    adapter = _adapter(schema)
    return adapter.dump_json(adapter.validate_python(value, from_attributes=True))


def reply(
    schema: Any,
    value: Any,
    *,
    status: int = 200,
    location: str | None = None,
    etag: str | None = None,
) -> HttpResponse:
    """An answer of one thing; a row with versions brings its ETag itself."""
    response = HttpResponse(to_json(schema, value), status=status, content_type=JSON)
    if etag is None and isinstance(value, VersionedRow):
        etag = value.etag
    if etag is not None:
        response["ETag"] = etag
    if location is not None:
        response["Location"] = ROOT + location
    return response


def reply_created(schema: Any, row: VersionedRow, *, new: bool, location: str) -> HttpResponse:
    """201, or 200 where the row was there already."""
    return reply(schema, row, status=201 if new else 200, location=location)


def reply_page(schema: Any, found: tuple[Iterable[Any], str | None]) -> HttpResponse:
    """An answer of one page, as config.lib.cursor.page returns it."""
    items, next_cursor = found
    return reply(Page[schema], {"items": items, "next_cursor": next_cursor})


def places(rows: Sequence[WorkspaceRow], new: Sequence[WorkspaceRow], number: str) -> list[Any]:
    """Where each row of a batch went: its id, its number (seq or idx), and whether it is new.

    A row that a batch names twice is new once.
    """
    fresh = {row.id for row in new}
    items = []
    for row in rows:
        items.append({"id": row.id, number: getattr(row, number), "created": row.id in fresh})
        fresh.discard(row.id)
    return items


def no_content() -> HttpResponse:
    return HttpResponse(status=204)
