"""Reads of notifications and handoffs. Lists are values() rows; each says which index serves it."""

import uuid
from typing import Any, TypedDict

from django.db.models import Q

from sessions.models import Handoff, Notification
from sessions.schemas_handoffs import HandoffRow
from sessions.schemas_notifications import NotificationOut, NotificationState
from sessions.selectors import Rows, columns

_STATES: dict[str, Q] = {
    "unnotified": Q(acked_at=None, notified_at=None),
    "notified": Q(acked_at=None, notified_at__isnull=False),
    "pending": Q(acked_at=None),
    "acknowledged": Q(acked_at__isnull=False),
}


class NotificationFilter(TypedDict, total=False):
    """What a list of notifications can be narrowed by; None and absent ask for nothing."""

    conversation_id: str | None
    notification_type: str | None
    entity_id: str | None
    session_id: uuid.UUID | None
    state: NotificationState | None


def list_notifications(wanted: NotificationFilter) -> Rows:
    """In the order ["-created_at", "-id"]. Index notification_list, or notification_conversation,
    notification_type, notification_session under that filter, notification_pending where few are;
    the others are checked on the rows that these give."""
    state = wanted.get("state")
    given = {k: v for k, v in wanted.items() if v is not None and k != "state"}
    rows = Notification.objects.filter(**given)
    if state is not None:
        rows = rows.filter(_STATES[state])
    return rows.values(*columns(Notification, NotificationOut))


def list_pending_notifications(
    conversation_id: str, *, state: NotificationState = "pending"
) -> Rows:
    """What a conversation has not acknowledged. In the order ["id"]. Index notification_pending."""
    rows = Notification.objects.filter(_STATES[state], conversation_id=conversation_id)
    return rows.values(*columns(Notification, NotificationOut))


def count_pending_notifications(conversation_id: str) -> int:
    """Index notification_pending."""
    return Notification.objects.filter(conversation_id=conversation_id, acked_at=None).count()


def find_notification(
    *, conversation_id: str, notification_type: str, entity_id: str
) -> Notification:
    """The one about this entity, which is there. Index notification_unique."""
    return Notification.objects.get(
        conversation_id=conversation_id, notification_type=notification_type, entity_id=entity_id
    )


class HandoffFilter(TypedDict, total=False):
    """What a list of handoffs can be narrowed by; None and absent ask for nothing."""

    status: str | None
    conversation_id: str | None
    from_session_id: uuid.UUID | None
    to_session_id: uuid.UUID | None
    to_agent_id: uuid.UUID | None
    role: str | None


def list_handoffs(wanted: HandoffFilter) -> Rows:
    """In the order ["-created_at", "-id"]. Index handoff_list, or handoff_status,
    handoff_conversation, handoff_from, handoff_to, handoff_agent under that filter."""
    given: dict[str, Any] = {k: v for k, v in wanted.items() if v is not None}
    return Handoff.objects.filter(**given).values(*columns(Handoff, HandoffRow))
