"""Notifications: list, make, deliver to a session, acknowledge."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.db.lookup import find_id, find_row, find_row_id
from config.lib.schema import Input, Text
from contacts.api.auth import KeyAuth
from contacts.api.http import Id, Items, Page, PageQuery, actor_of, reply, reply_page
from sessions import selectors_attention as selectors
from sessions.models import Notification, Session
from sessions.schemas_notifications import (
    AcknowledgeIn,
    AcknowledgeOut,
    DeliverIn,
    NotificationIn,
    NotificationOut,
    NotificationState,
)
from sessions.services import notifications

router = Router(tags=["Notifications"])


class NotificationQuery(Input):
    """How a list of notifications is narrowed."""

    conversation_id: Text | None = Field(None, max_length=120)
    notification_type: Text | None = Field(None, max_length=60)
    entity_id: Text | None = Field(None, max_length=200)
    session: Text | None = Field(None, max_length=36, description="Handed to this session")
    state: NotificationState | None = Field(
        None,
        description="unnotified: no session was handed it; notified: one was, nobody has "
        "acknowledged it; pending: either",
    )


@router.get(
    "/notifications",
    auth=KeyAuth("attention:read"),
    response=Page[NotificationOut],
    operation_id="list_notifications",
    summary="List notifications",
)
def list_notifications(
    request: HttpRequest, paging: PageQuery, filters: Annotated[NotificationQuery, Query()]
) -> HttpResponse:
    """Newest first. Reading them here tells nobody; a session is told by its own delivery."""
    wanted = filters.model_dump(exclude={"session"})
    rows = selectors.list_notifications(
        {**wanted, "session_id": find_row_id(Session, filters.session)}  # type: ignore[typeddict-item]
    )
    order = ["-created_at", "-id"]
    return reply_page(NotificationOut, page(rows, order=order, **paging.model_dump()))


@router.post(
    "/notifications",
    auth=KeyAuth("attention:write"),
    response={201: NotificationOut, 200: NotificationOut},
    operation_id="create_notification",
    summary="Tell a conversation of something, once",
)
def create_notification(request: HttpRequest, payload: NotificationIn) -> HttpResponse:
    """200 with the first one where the conversation was told of this entity in this type."""
    said = payload.model_dump()
    row = notifications.notify(actor=actor_of(request), **said)
    new = row is not None
    if row is None:
        said.pop("payload")
        row = selectors.find_notification(**said)
    location = f"/notifications/{row.id}"
    return reply(NotificationOut, row, status=201 if new else 200, location=location)


@router.post(
    "/notifications/acknowledge",
    auth=KeyAuth("attention:write"),
    response=AcknowledgeOut,
    operation_id="acknowledge_notifications",
    summary="Acknowledge many notifications",
)
def acknowledge_many(request: HttpRequest, payload: AcknowledgeIn) -> HttpResponse:
    """Up to 200 by their ids, all or none, or everything a conversation was handed. Idempotent."""
    actor = actor_of(request)
    if payload.conversation_id:
        count = notifications.acknowledge_delivered(
            actor=actor, conversation_id=payload.conversation_id
        )
    else:
        ids = [find_id(Notification, one, check=False) for one in payload.ids]
        count = notifications.acknowledge_notifications(actor=actor, ids=ids)
    return reply(AcknowledgeOut, {"acknowledged": count})


@router.get(
    "/notifications/{notification_id}",
    auth=KeyAuth("attention:read"),
    response=NotificationOut,
    operation_id="get_notification",
    summary="Read a notification",
)
def get_notification(request: HttpRequest, notification_id: Id) -> HttpResponse:
    """With the session that was handed it, where one was."""
    return reply(NotificationOut, find_row(Notification.objects.all(), notification_id))


@router.post(
    "/notifications/{notification_id}/acknowledge",
    auth=KeyAuth("attention:write"),
    response=NotificationOut,
    operation_id="acknowledge_notification",
    summary="Acknowledge a notification",
)
def acknowledge_one(request: HttpRequest, notification_id: Id) -> HttpResponse:
    """Acknowledging twice keeps the first time."""
    row_id = find_id(Notification, notification_id, check=False)
    notifications.acknowledge_notifications(actor=actor_of(request), ids=[row_id])
    return reply(NotificationOut, Notification.objects.get(pk=row_id))


@router.post(
    "/sessions/{session_id}/notifications/deliver",
    auth=KeyAuth("attention:write"),
    response=Items[NotificationOut],
    operation_id="deliver_notifications",
    summary="Hand a session what its conversation was not told",
)
def deliver_notifications(
    request: HttpRequest, session_id: Id, payload: DeliverIn | None = None
) -> HttpResponse:
    """Oldest first. Each is handed out once, also when two sessions ask at once, and stays pending
    until it is acknowledged. 409 where the session has ended."""
    rows = notifications.deliver_notifications(
        actor=actor_of(request),
        session_id=find_id(Session, session_id, check=False),
        limit=(payload or DeliverIn.model_validate({})).limit,
    )
    return reply(Items[NotificationOut], {"items": rows})
