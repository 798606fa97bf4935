"""Searches that were made: list, open, ask again, and what askers say of their hits."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.schema import Input, Moment, Text
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    Id,
    Page,
    PageQuery,
    actor_of,
    principal_of,
    reply,
    reply_page,
)
from memory import selectors_receipts as selectors
from memory.models.receipt import Verdict
from memory.schemas_receipts import FeedbackIn, FeedbackOut, ReceiptOut, ReceiptRow, ReplayOut
from memory.search.schemas import SearchMode
from memory.services import receipts

router = Router(tags=["Search"])


class ReceiptQuery(Input):
    """How searches are narrowed."""

    agent: Text | None = Field(None, max_length=300, description="Who asked, by name or id")
    mode: SearchMode | None = None
    since: Moment | None = Field(None, description="Made then or later")
    until: Moment | None = Field(None, description="Made earlier than that")
    empty: bool | None = Field(None, description="Without a hit only, or with hits only")


class FeedbackQuery(Input):
    """How feedback is narrowed."""

    verdict: Verdict | None = None


@router.get(
    "/searches",
    auth=KeyAuth("search"),
    response=Page[ReceiptRow],
    operation_id="list_searches",
    summary="List searches that were made",
)
def list_searches(
    request: HttpRequest, paging: PageQuery, filters: Annotated[ReceiptQuery, Query()]
) -> HttpResponse:
    """The newest first. They are deleted after the workspace's days (`retention`)."""
    rows = selectors.list_receipts(**filters.model_dump())
    found = page(rows, order=selectors.LIST_ORDER, **paging.model_dump())
    return reply_page(ReceiptRow, found)


@router.get(
    "/searches/feedback",
    auth=KeyAuth("search"),
    response=Page[FeedbackOut],
    operation_id="list_search_feedback",
    summary="List what askers said of hits",
)
def list_search_feedback(
    request: HttpRequest, paging: PageQuery, filters: Annotated[FeedbackQuery, Query()]
) -> HttpResponse:
    """The newest first. It is deleted with its search."""
    rows = selectors.list_feedback(**filters.model_dump())
    return reply_page(FeedbackOut, page(rows, order=["-id"], **paging.model_dump()))


@router.get(
    "/searches/{search_id}",
    auth=KeyAuth("search"),
    response=ReceiptOut,
    operation_id="get_search",
    summary="Open a search that was made",
)
def get_search(request: HttpRequest, search_id: Id) -> HttpResponse:
    """What was asked and the ids and figures of its hits; the rows are read where they are."""
    return reply(ReceiptOut, selectors.get_receipt(search_id))


@router.post(
    "/searches/{search_id}/replay",
    auth=KeyAuth("search", detached=True),
    response=ReplayOut,
    operation_id="replay_search",
    summary="Ask a search again",
)
def replay_search(request: HttpRequest, search_id: Id) -> HttpResponse:
    """With the rows and the ranking of now, by the clock of then ("yesterday" stays the day it
    was): which hits came, went or moved. It is not kept."""
    return reply(ReplayOut, receipts.replay(principal_of(request).workspace_id, search_id))


@router.post(
    "/searches/{search_id}/feedback",
    auth=KeyAuth("search"),
    response=FeedbackOut,
    operation_id="give_search_feedback",
    summary="Say whether a hit was any good",
)
def give_search_feedback(request: HttpRequest, search_id: Id, payload: FeedbackIn) -> HttpResponse:
    """Recorded for people to read; it never changes ranking. One per hit and asker: said again,
    it replaces what was said before."""
    said = receipts.give_feedback(
        actor=actor_of(request),
        receipt=search_id,
        hit_id=payload.id,
        kind=payload.kind or "",
        verdict=payload.verdict,
        note=payload.note,
    )
    return reply(FeedbackOut, said)
