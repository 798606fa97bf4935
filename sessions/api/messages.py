"""Messages of a thread: append one or many, list, read one."""

from typing import Annotated, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Body, Query, Router

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row
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
from sessions.models import Message, Thread
from sessions.schemas_threads import MessageIn, MessageOut, MessagesOut, OneOrMany
from sessions.services.threads import NewMessage, append_messages

router = Router(tags=["Messages"])


@router.get(
    "/threads/{thread_id}/messages",
    auth=KeyAuth("sessions:read"),
    response=Page[MessageOut],
    operation_id="list_messages",
    summary="List a thread's messages",
)
def list_messages(
    request: HttpRequest,
    thread_id: Id,
    paging: PageQuery,
    order: Annotated[Literal["asc", "desc"], Query(description="Of idx")] = "asc",
) -> HttpResponse:
    """From the first on, or from the last back."""
    rows = selectors.list_messages(find_id(Thread, thread_id))
    by = ["idx" if order == "asc" else "-idx"]
    return reply_page(MessageOut, page(rows, order=by, **paging.model_dump()))


@router.post(
    "/threads/{thread_id}/messages",
    auth=KeyAuth("sessions:write"),
    response={201: MessagesOut, 200: MessagesOut},
    operation_id="append_messages",
    summary="Append one message, or up to 1,000",
)
def append(
    request: HttpRequest, thread_id: Id, payload: Annotated[OneOrMany, Body()]
) -> HttpResponse:
    """One message, or {"messages": [...]}: all or none, in the order sent.

    200 where none is new: the session had their native_uuids already.
    """
    alone = isinstance(payload, MessageIn)
    sent = [payload] if isinstance(payload, MessageIn) else payload.messages
    place = find_id(Thread, thread_id, check=False)
    with named_alone("messages", alone=alone):
        rows, new = append_messages(
            actor=actor_of(request),
            thread_id=place,
            messages=[
                NewMessage(**{name: getattr(one, name) for name in MessageIn.model_fields})
                for one in sent
            ],
        )
    answer = {
        "items": places(rows, new, "idx"),
        "created": len(new),
        "message_count": new[-1].idx + 1 if new else selectors.count_messages(place),
    }
    location = f"/messages/{rows[0].id}" if alone else None
    return reply(MessagesOut, answer, status=201 if new else 200, location=location)


@router.get(
    "/messages/{message_id}",
    auth=KeyAuth("sessions:read"),
    response=MessageOut,
    operation_id="get_message",
    summary="Read a message",
)
def get_message(request: HttpRequest, message_id: Id) -> HttpResponse:
    """By its id, as a search or a memory's evidence names it."""
    return reply(MessageOut, find_row(Message.objects.all(), message_id))
