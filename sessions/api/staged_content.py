"""Staged content: the board, and what is on it."""

import uuid
from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row_id
from config.lib.schema import Input, Text
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    IF_MATCH,
    Id,
    Page,
    PageQuery,
    Reason,
    actor_of,
    if_match,
    no_content,
    reply,
    reply_created,
    reply_page,
)
from sessions import selectors_staged as selectors
from sessions.models import Session, StagedContent
from sessions.schemas_staged import StagedIn, StagedMove, StagedOut, StagedPatch, StagedRow
from sessions.services import staged_content as staged

router = Router(tags=["Staged content"])
BOARD_ORDER = ["-pinned", "-position", "-id"]
ORDER = ["-created_at", "-id"]


class StagedQuery(Input):
    """How the board is narrowed, or widened."""

    content_type: Text | None = Field(None, max_length=60)
    session: Text | None = Field(None, max_length=36)
    conversation_id: Text | None = Field(None, max_length=120)
    dismissed: bool = Field(
        False, description="Dismissed ones too; the list is then by age, newest first"
    )
    expired: bool = Field(False, description="Expired ones too")

    def wanted(self) -> selectors.StagedFilter:
        """What is named becomes ids of this workspace, or NotFound."""
        return {
            "content_type": self.content_type,
            "session_id": find_row_id(Session, self.session),
            "conversation_id": self.conversation_id,
        }


@router.get(
    "/staged-content",
    auth=KeyAuth("attention:read"),
    response=Page[StagedRow],
    operation_id="list_staged_content",
    summary="Read the board",
)
def list_staged_content(
    request: HttpRequest, paging: PageQuery, filters: Annotated[StagedQuery, Query()]
) -> HttpResponse:
    """Pinned first, then by position, highest first, so that what is new is on top."""
    read = selectors.list_all_staged if filters.dismissed else selectors.list_board
    rows = read(filters.wanted(), expired=filters.expired)
    order = ORDER if filters.dismissed else BOARD_ORDER
    return reply_page(StagedRow, page(rows, order=order, **paging.model_dump()))


@router.post(
    "/staged-content",
    auth=KeyAuth("attention:write"),
    response={201: StagedOut, 200: StagedOut},
    operation_id="stage_content",
    summary="Put something before a person",
)
def stage_content(request: HttpRequest, payload: StagedIn) -> HttpResponse:
    """On top of the board. 200 with the row as it is where its external_id was there."""
    fields = payload.model_dump()
    fields["session_id"] = find_row_id(Session, fields["session_id"])
    row, new = staged.stage_content(actor=actor_of(request), **fields)
    return reply_created(StagedOut, row, new=new, location=f"/staged-content/{row.id}")


@router.get(
    "/staged-content/{staged_id}",
    auth=KeyAuth("attention:read"),
    response=StagedOut,
    operation_id="get_staged_content",
    summary="Read staged content",
)
def get_staged_content(request: HttpRequest, staged_id: Id) -> HttpResponse:
    """One with body and payload, dismissed or not."""
    return reply(StagedOut, selectors.get_staged(staged_id))


@router.patch(
    "/staged-content/{staged_id}",
    auth=KeyAuth("attention:write"),
    response=StagedOut,
    operation_id="update_staged_content",
    summary="Change staged content",
    openapi_extra=IF_MATCH,
)
def patch_staged_content(request: HttpRequest, staged_id: Id, payload: StagedPatch) -> HttpResponse:
    """Fields that are not sent stay as they are."""
    changes = payload.sent()
    row = staged.update_staged(
        actor=actor_of(request),
        staged_id=_id(staged_id),
        reason=changes.pop("reason", ""),
        changes=changes,
        expected_version=if_match(request),
    )
    return reply(StagedOut, row)


@router.delete(
    "/staged-content/{staged_id}",
    auth=KeyAuth("attention:write"),
    response={204: None},
    operation_id="delete_staged_content",
    summary="Delete staged content",
    openapi_extra=IF_MATCH,
)
def delete_staged_content(
    request: HttpRequest, staged_id: Id, reason: Reason = None
) -> HttpResponse:
    """For good; dismissing keeps it."""
    staged.delete_staged(
        actor=actor_of(request),
        staged_id=_id(staged_id),
        expected_version=if_match(request),
        reason=reason or "",
    )
    return no_content()


@router.post(
    "/staged-content/{staged_id}/move",
    auth=KeyAuth("attention:write"),
    response=StagedOut,
    operation_id="move_staged_content",
    summary="Give it another place on the board",
)
def move_staged_content(request: HttpRequest, staged_id: Id, payload: StagedMove) -> HttpResponse:
    """409 `dismissed` where one of the two is off the board, `other_group` where one is pinned
    and the other is not."""
    row = staged.move_staged(
        actor=actor_of(request),
        staged_id=_id(staged_id),
        before=find_row_id(StagedContent, payload.before),
        after=find_row_id(StagedContent, payload.after),
        position=payload.position,
    )
    return reply(StagedOut, row)


@router.post(
    "/staged-content/{staged_id}/dismiss",
    auth=KeyAuth("attention:write"),
    response=StagedOut,
    operation_id="dismiss_staged_content",
    summary="Take it off the board",
)
def dismiss_staged_content(
    request: HttpRequest, staged_id: Id, reason: Reason = None
) -> HttpResponse:
    """Doing so twice changes nothing."""
    row = staged.dismiss_staged(
        actor=actor_of(request), staged_id=_id(staged_id), reason=reason or ""
    )
    return reply(StagedOut, row)


@router.post(
    "/staged-content/{staged_id}/restore",
    auth=KeyAuth("attention:write"),
    response=StagedOut,
    operation_id="restore_staged_content",
    summary="Put it back onto the board",
)
def restore_staged_content(
    request: HttpRequest, staged_id: Id, reason: Reason = None
) -> HttpResponse:
    """Where it was. Doing so twice changes nothing."""
    row = staged.restore_staged(
        actor=actor_of(request), staged_id=_id(staged_id), reason=reason or ""
    )
    return reply(StagedOut, row)


def _id(text: str) -> uuid.UUID:
    return find_id(StagedContent, text, check=False)
