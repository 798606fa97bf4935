"""Priorities: create, list, today's, read, change, move, complete, carry over, delete."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row, find_row_id
from config.lib.schema import Day, Input, Text
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
from contacts.schemas import RevisionOut
from contacts.selectors import history_of, today
from sessions import selectors_priorities as selectors
from sessions.models import Priority
from sessions.models.priority import Level
from sessions.schemas_priorities import (
    CarriedOver,
    PriorityIn,
    PriorityMove,
    PriorityOut,
    PriorityPatch,
    Today,
)
from sessions.services import priorities

router = Router(tags=["Priorities"])


class DayQuery(Input):
    """How a day's list is narrowed."""

    pool: Text | None = Field(None, max_length=60)
    level: Level | None = None
    completed: bool | None = Field(None, description="Done or open only; without: both")


class PriorityQuery(DayQuery):
    """How priorities of all days are narrowed."""

    date: Day | None = Field(None, description="This day's, in their place on its list")
    since: Day | None = Field(None, description="On this day or later")
    until: Day | None = Field(None, description="On this day or earlier")


@router.get(
    "/priorities",
    auth=KeyAuth("work:read"),
    response=Page[PriorityOut],
    operation_id="list_priorities",
    summary="List priorities",
)
def list_priorities(
    request: HttpRequest, paging: PageQuery, filters: Annotated[PriorityQuery, Query()]
) -> HttpResponse:
    """The newest day first; with `date` that day's list in its order."""
    rows, order = selectors.list_priorities(filters.model_dump())  # type: ignore[arg-type]
    return reply_page(PriorityOut, page(rows, order=order, **paging.model_dump()))


@router.get(
    "/priorities/today",
    auth=KeyAuth("work:read"),
    response=Today,
    operation_id="list_todays_priorities",
    summary="Read today's priorities",
)
def list_todays_priorities(
    request: HttpRequest, paging: PageQuery, filters: Annotated[DayQuery, Query()]
) -> HttpResponse:
    """In their order, of every pool or of one. Today is that of the workspace's time zone."""
    day = today()
    rows, order = selectors.list_priorities({"date": day, **filters.model_dump()})  # type: ignore[typeddict-item]
    items, next_cursor = page(rows, order=order, **paging.model_dump())
    return reply(Today, {"date": day, "items": items, "next_cursor": next_cursor})


@router.post(
    "/priorities",
    auth=KeyAuth("work:write"),
    response={201: PriorityOut, 200: PriorityOut},
    operation_id="create_priority",
    summary="Create a priority",
)
def create_priority(request: HttpRequest, payload: PriorityIn) -> HttpResponse:
    """At the end of its day's list. 200 with the row as it is where its external_id was there."""
    row, new = priorities.create_priority(actor=actor_of(request), **payload.sent())
    return reply_created(PriorityOut, row, new=new, location=f"/priorities/{row.id}")


@router.post(
    "/priorities/carry-over",
    auth=KeyAuth("work:write"),
    response=CarriedOver,
    operation_id="carry_priorities_over",
    summary="Carry open priorities of earlier days over to today",
)
def carry_priorities_over(request: HttpRequest) -> HttpResponse:
    """Up to 500, behind what today's lists hold. A job does so after each midnight; doing it again
    changes nothing."""
    rows = priorities.carry_over(actor=actor_of(request))
    more = len(rows) == priorities.MAX_CARRIED and priorities.has_overdue()
    return reply(CarriedOver, {"date": today(), "items": rows, "more": more})


@router.get(
    "/priorities/{priority_id}",
    auth=KeyAuth("work:read"),
    response=PriorityOut,
    operation_id="get_priority",
    summary="Read a priority",
)
def get_priority(request: HttpRequest, priority_id: Id) -> HttpResponse:
    """One line."""
    return reply(PriorityOut, find_row(Priority.objects.all(), priority_id))


@router.patch(
    "/priorities/{priority_id}",
    auth=KeyAuth("work:write"),
    response=PriorityOut,
    operation_id="update_priority",
    summary="Change a priority",
    openapi_extra=IF_MATCH,
)
def patch_priority(request: HttpRequest, priority_id: Id, payload: PriorityPatch) -> HttpResponse:
    """Fields that are not sent stay. With another day or pool it goes to the end of that list."""
    changes = payload.sent()
    row = priorities.update_priority(
        actor=actor_of(request),
        priority_id=find_id(Priority, priority_id, check=False),
        reason=changes.pop("reason", ""),
        changes=changes,
        expected_version=if_match(request),
    )
    return reply(PriorityOut, row)


@router.delete(
    "/priorities/{priority_id}",
    auth=KeyAuth("work:write"),
    response={204: None},
    operation_id="delete_priority",
    summary="Delete a priority",
    openapi_extra=IF_MATCH,
)
def delete_priority(request: HttpRequest, priority_id: Id, reason: Reason = None) -> HttpResponse:
    """What is done is completed, not deleted; its history stays either way."""
    priorities.delete_priority(
        actor=actor_of(request),
        priority_id=find_id(Priority, priority_id, check=False),
        expected_version=if_match(request),
        reason=reason or "",
    )
    return no_content()


@router.post(
    "/priorities/{priority_id}/move",
    auth=KeyAuth("work:write"),
    response=PriorityOut,
    operation_id="move_priority",
    summary="Move a priority on its list",
)
def move_priority(request: HttpRequest, priority_id: Id, payload: PriorityMove) -> HttpResponse:
    """Beside another line of the same day and pool, or to the top or bottom."""
    row = priorities.move_priority(
        actor=actor_of(request),
        priority_id=find_id(Priority, priority_id, check=False),
        before=find_row_id(Priority, payload.before),
        after=find_row_id(Priority, payload.after),
        place=payload.place,
    )
    return reply(PriorityOut, row)


@router.post(
    "/priorities/{priority_id}/complete",
    auth=KeyAuth("work:write"),
    response=PriorityOut,
    operation_id="complete_priority",
    summary="Complete a priority",
)
def complete_priority(request: HttpRequest, priority_id: Id) -> HttpResponse:
    """Completing twice changes nothing: the first completed_at stays."""
    row = priorities.complete_priority(
        actor=actor_of(request), priority_id=find_id(Priority, priority_id, check=False)
    )
    return reply(PriorityOut, row)


@router.post(
    "/priorities/{priority_id}/reopen",
    auth=KeyAuth("work:write"),
    response=PriorityOut,
    operation_id="reopen_priority",
    summary="Open a completed priority again",
)
def reopen_priority(request: HttpRequest, priority_id: Id) -> HttpResponse:
    """On the day it is on; an earlier day's is carried over with the next ones."""
    row = priorities.reopen_priority(
        actor=actor_of(request), priority_id=find_id(Priority, priority_id, check=False)
    )
    return reply(PriorityOut, row)


@router.get(
    "/priorities/{priority_id}/history",
    auth=KeyAuth("work:read"),
    response=Page[RevisionOut],
    operation_id="list_priority_history",
    summary="Read who changed a priority",
)
def list_priority_history(request: HttpRequest, priority_id: Id, paging: PageQuery) -> HttpResponse:
    """Newest first; by its full id also after the priority was deleted."""
    rows = history_of(Priority, priority_id)
    return reply_page(RevisionOut, page(rows, order=["-id"], **paging.model_dump()))
