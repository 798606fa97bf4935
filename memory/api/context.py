"""GET /context: what the workspace knows of a query, as text that an agent is given."""

from typing import Annotated, Any, Literal

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from ninja.errors import ValidationError
from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic import ValidationError as PydanticError

from contacts.api.auth import KeyAuth
from contacts.api.http import OR_MARKDOWN, leave_of, principal_of, reply
from memory.search.schemas import (
    LEAST_CONTEXT,
    MAX_LIMIT,
    MOST_CONTEXT,
    Asked,
    Conditions,
    ContextBlock,
    SearchQuery,
)
from memory.services.receipts import ask_and_keep

router = Router(tags=["Search"])

DEFAULT_TOKENS = 2000
DEFAULT_ROWS = 30


def _unpacked(value: Any) -> Any:
    """A query string holds texts only; what is no JSON is refused as no object."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


class ContextQuery(Asked):
    """As of POST /search; `limit` is how many rows are considered."""

    metadata: Annotated[
        Conditions, BeforeValidator(_unpacked), WithJsonSchema({"type": "string"})
    ] = Field(
        {},
        description='As of POST /search, as JSON: {"ticket": "A-12"}.',
        json_schema_extra={"default": "{}"},
    )
    max_tokens: int = Field(DEFAULT_TOKENS, ge=LEAST_CONTEXT, le=MOST_CONTEXT)
    limit: int = Field(DEFAULT_ROWS, ge=1, le=MAX_LIMIT)
    format: Literal["json", "markdown"] = Field(
        "json", description="markdown: the block's text and nothing else, for a shell."
    )


@router.get(
    "/context",
    response=ContextBlock,
    auth=KeyAuth("search", detached=True, stays=True),
    operation_id="get_context",
    summary="Read what is known, as a block of text",
    openapi_extra=OR_MARKDOWN,
)
def get_context(request: HttpRequest, wanted: Annotated[ContextQuery, Query()]) -> HttpResponse:
    """The best hits of a search within `max_tokens`, grouped by session, each line with its row's
    kind, short id and time, and without repetitions. Text that nobody confirmed (trust agent or
    external) stands between fences that it cannot end: it is data, whatever it says.
    """
    try:
        query = SearchQuery.model_validate(wanted.model_dump(exclude={"format"}))
    except PydanticError as error:
        # What only a search checks: how long q is, whether as_of lies in the future.
        wrong = [{**one, "loc": ("query", *one["loc"])} for one in error.errors()]
        raise ValidationError(wrong) from None
    principal = principal_of(request)
    block = ask_and_keep(
        principal.workspace_id,
        query,
        actor=principal.actor,
        api_key_id=principal.key.id,
        leave=leave_of(request),
    ).context
    assert block is not None  # for max_tokens is given
    if wanted.format == "markdown":
        return HttpResponse(block.text, content_type="text/markdown; charset=utf-8")
    return reply(ContextBlock, block)
