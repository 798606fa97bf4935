"""Memories that say nearly the same: proposed pairs, merged, parted again, or dismissed."""

from typing import Annotated, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.db.lookup import find_id
from config.lib.schema import Input
from contacts.api.auth import KeyAuth
from contacts.api.http import Id, Page, PageQuery, actor_of, reply, reply_page
from memory.models import MemoryDuplicate
from memory.models.duplicates import DuplicateState, Kept
from memory.schemas_duplicates import (
    DuplicateOut,
    MemoryDismissIn,
    MemoryMergeIn,
    MemoryMergeOut,
    MemoryUnmergeIn,
)
from memory.selectors_duplicates import get_duplicate, list_duplicates
from memory.services import duplicates

router = Router(tags=["Memories"])
WHAT = "near duplicate"


class DuplicateQuery(Input):
    state: DuplicateState | Literal["all"] = Field(
        DuplicateState.OPEN, description="Without: open; `all` for every state"
    )


@router.get(
    "/memories/duplicates",
    auth=KeyAuth("memories:read"),
    response=Page[DuplicateOut],
    operation_id="list_duplicate_memories",
    summary="List memories that say nearly the same",
)
def list_duplicate_memories(
    request: HttpRequest, paging: PageQuery, filters: Annotated[DuplicateQuery, Query()]
) -> HttpResponse:
    """Pairs of one agent and project, the newest proposals first. A job proposes them after it has
    embedded a memory; nothing is merged by itself."""
    rows = list_duplicates(None if filters.state == "all" else filters.state)
    return reply_page(DuplicateOut, page(rows, order=["-id"], **paging.model_dump()))


@router.get(
    "/memories/duplicates/{duplicate_id}",
    auth=KeyAuth("memories:read"),
    response=DuplicateOut,
    operation_id="get_duplicate_memories",
    summary="Read one pair",
)
def get_duplicate_memories(request: HttpRequest, duplicate_id: Id) -> HttpResponse:
    """With both memories as they are now, and what was decided."""
    return reply(DuplicateOut, get_duplicate(duplicate_id))


@router.post(
    "/memories/duplicates/{duplicate_id}/merge",
    auth=KeyAuth("memories:write"),
    response=MemoryMergeOut,
    operation_id="merge_memories",
    summary="Keep one memory of a pair",
)
def merge_memories(request: HttpRequest, duplicate_id: Id, payload: MemoryMergeIn) -> HttpResponse:
    """The other is superseded by it: it leaves lists and searches, and keeps its row, links and
    evidence. The one that stays is linked to it (`supersedes`), and gets its tags and its count.
    409 `decided`, `not_active`; 403 where a person vouched for what would be superseded or changed.
    """
    merged = duplicates.merge_duplicate(
        actor=actor_of(request),
        duplicate_id=find_id(MemoryDuplicate, duplicate_id, what=WHAT, check=False),
        keep=Kept(payload.keep),
        expected_version=payload.sent().get("version"),
        reason=payload.reason,
    )
    return _merged(merged)


@router.post(
    "/memories/duplicates/{duplicate_id}/unmerge",
    auth=KeyAuth("memories:write"),
    response=MemoryMergeOut,
    operation_id="unmerge_memories",
    summary="Undo the merge of a pair",
)
def unmerge_memories(
    request: HttpRequest, duplicate_id: Id, payload: MemoryUnmergeIn | None = None
) -> HttpResponse:
    """Both are in use again, and the pair is open. 409 `not_merged`, or `changed_since` where what
    was superseded was changed."""
    merged = duplicates.unmerge_duplicate(
        actor=actor_of(request),
        duplicate_id=find_id(MemoryDuplicate, duplicate_id, what=WHAT, check=False),
        reason=payload.reason if payload else "",
    )
    return _merged(merged)


def _merged(merged: duplicates.Merged) -> HttpResponse:
    answer = {
        "duplicate_id": merged.duplicate.pk,
        "kept": merged.kept,
        "lost": merged.lost,
    }
    return reply(MemoryMergeOut, answer, etag=merged.duplicate.etag)


@router.post(
    "/memories/duplicates/{duplicate_id}/dismiss",
    auth=KeyAuth("memories:write"),
    response=DuplicateOut,
    operation_id="dismiss_duplicate_memories",
    summary="Say that a pair is two",
)
def dismiss_duplicate_memories(
    request: HttpRequest, duplicate_id: Id, payload: MemoryDismissIn | None = None
) -> HttpResponse:
    """It is not proposed again. 409 `decided`."""
    row = duplicates.dismiss_duplicate(
        actor=actor_of(request),
        duplicate_id=find_id(MemoryDuplicate, duplicate_id, what=WHAT, check=False),
        expected_version=payload.sent().get("version") if payload else None,
        reason=payload.reason if payload else "",
    )
    return reply(DuplicateOut, row)
