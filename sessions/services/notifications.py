"""Notifications: a conversation is told of something exactly once."""

import uuid
from collections.abc import Mapping
from typing import Any

from config.lib.actor import Actor
from contacts.services import funnel
from sessions.models import Notification


def notify(
    *,
    actor: Actor,
    conversation_id: str,
    notification_type: str,
    entity_id: str | uuid.UUID,
    payload: Mapping[str, Any] | None = None,
) -> Notification | None:
    """Tell a conversation of an entity, once for each type; None where it was told already.

    Without a conversation there is nobody to tell, and nothing is written. Two writers at once
    leave one row: the second waits for the first and finds it. Index notification_unique.
    """
    if not conversation_id:
        return None
    row = Notification(
        conversation_id=conversation_id,
        notification_type=notification_type,
        entity_id=str(entity_id),
        payload=dict(payload or {}),
    )
    return row if funnel.append_once(row, actor=actor) else None
