"""Events of a session: append one, append many, list, read one."""

from collections.abc import Sequence
from typing import Annotated, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row
from config.lib.schema import Text
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    Id,
    Page,
    PageQuery,
    actor_of,
    named_alone,
    places,
    reply,
    reply_page,
)
from sessions import selectors
from sessions.models import Session, SessionEvent
from sessions.schemas_events import EventBatchIn, EventBatchOut, EventIn, EventOut
from sessions.services.events import NewEvent, append_events

router = Router(tags=["Events"])


@router.get(
    "/sessions/{session_id}/events",
    auth=KeyAuth("sessions:read"),
    response=Page[EventOut],
    operation_id="list_events",
    summary="List a session's events",
)
def list_events(
    request: HttpRequest,
    session_id: Id,
    paging: PageQuery,
    event_type: Annotated[Text | None, Query(max_length=60, description="Only this type")] = None,
    order: Annotated[Literal["asc", "desc"], Query(description="Of seq")] = "asc",
) -> HttpResponse:
    """In the order they were appended, or the newest first."""
    rows = selectors.list_events(find_id(Session, session_id), event_type=event_type)
    by = ["seq" if order == "asc" else "-seq"]
    return reply_page(EventOut, page(rows, order=by, **paging.model_dump()))


@router.post(
    "/sessions/{session_id}/events",
    auth=KeyAuth("sessions:write"),
    response={201: EventOut, 200: EventOut},
    operation_id="append_event",
    summary="Append an event",
)
def append_event(request: HttpRequest, session_id: Id, payload: EventIn) -> HttpResponse:
    """200 with the first event where the session has its dedupe_key already."""
    with named_alone("events"):
        rows, new = append_events(
            actor=actor_of(request),
            session_id=find_id(Session, session_id, check=False),
            events=_new_events([payload]),
        )
    status = 201 if new else 200
    return reply(EventOut, rows[0], status=status, location=f"/events/{rows[0].id}")


@router.post(
    "/sessions/{session_id}/events/batch",
    auth=KeyAuth("sessions:write"),
    response={201: EventBatchOut},
    operation_id="append_events",
    summary="Append up to 1,000 events",
)
def append_event_batch(request: HttpRequest, session_id: Id, payload: EventBatchIn) -> HttpResponse:
    """All or none, in the order sent."""
    rows, new = append_events(
        actor=actor_of(request),
        session_id=find_id(Session, session_id, check=False),
        events=_new_events(payload.events),
    )
    answer = {"items": places(rows, new, "seq"), "created": len(new)}
    return reply(EventBatchOut, answer, status=201)


def _new_events(events: Sequence[EventIn]) -> list[NewEvent]:
    return [NewEvent(**{name: getattr(e, name) for name in EventIn.model_fields}) for e in events]


@router.get(
    "/events/{event_id}",
    auth=KeyAuth("sessions:read"),
    response=EventOut,
    operation_id="get_event",
    summary="Read an event",
)
def get_event(request: HttpRequest, event_id: Id) -> HttpResponse:
    """By its id, as a search or a memory's evidence names it."""
    return reply(EventOut, find_row(SessionEvent.objects.all(), event_id, what="event"))
