"""Notifications: a conversation is told of something exactly once.

One waits (unnotified) until a session of its conversation is handed it (notified), and is pending
until somebody acknowledges it. Not for what people are asked; those are pings.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Invalid, NotFound
from contacts.services import funnel
from sessions.models import Notification, Session
from sessions.services.orphans import require_live

# As many as one call hands out or settles.
MAX_BATCH = 200


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


def deliver_notifications(
    *, actor: Actor, session_id: uuid.UUID, limit: int = MAX_BATCH
) -> list[Notification]:
    """What the session's conversation has not been told, oldest first; it counts as told then.

    Each goes to one session, also when two ask at once: rows that the other one is being handed
    are skipped. Conflict when the session has ended; an orphan revives. What is delivered and
    never acknowledged stays pending. Index notification_pending.
    """
    if not 1 <= limit <= MAX_BATCH:
        raise Invalid({"limit": f"must be from 1 to {MAX_BATCH}"})
    session = funnel.get_row(Session, session_id, lock=True)
    require_live(actor=actor, session=session)
    waiting = Notification.objects.filter(
        conversation_id=session.conversation_id, acked_at=None, notified_at=None
    )
    locked = waiting.order_by("id").select_for_update(skip_locked=True, no_key=True)
    rows = list(locked[:limit])
    funnel.touch_all(rows, notified_at=clock.now(), session_id=session.id)
    return rows


def acknowledge_notifications(*, actor: Actor, ids: Sequence[uuid.UUID]) -> int:
    """Settle these; how many were pending. Settling twice keeps the first acked_at.

    NotFound where an id is nobody's: then none of them is settled.
    """
    if len(ids) > MAX_BATCH:
        raise Invalid({"ids": f"{len(ids):,} ids; at most {MAX_BATCH} at once"})
    locked = Notification.objects.order_by("id").select_for_update(no_key=True)
    rows = list(locked.filter(pk__in=ids))
    missing = set(ids) - {row.id for row in rows}
    if missing:
        raise NotFound("notification", min(missing))
    return _settle(rows)


def acknowledge_delivered(*, actor: Actor, conversation_id: str) -> int:
    """Settle everything a conversation was handed and has not acknowledged; how many these were.

    What no session has seen yet stays. Index notification_pending.
    """
    told = Notification.objects.filter(
        conversation_id=conversation_id, acked_at=None, notified_at__isnull=False
    )
    return _settle(list(told.order_by("id").select_for_update(no_key=True)))


def _settle(rows: Sequence[Notification]) -> int:
    pending = [row for row in rows if row.acked_at is None]
    funnel.touch_all(pending, acked_at=clock.now())
    return len(pending)
