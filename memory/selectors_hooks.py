"""Reads of raw payloads of hooks."""

import uuid
from datetime import datetime

from django.db.models import QuerySet

from config.lib.db.lookup import find_row
from contacts.selectors import find_agent
from memory.models import HookPayload
from memory.models.hooks import PayloadState

LIST_ORDER = ["-created_at", "-id"]
# What an operator has to look at.
LEFT = (PayloadState.UNMAPPED, PayloadState.FAILED)


def list_payloads(
    *,
    state: PayloadState | None = None,
    left: bool | None = None,
    agent: str | None = None,
    session_id: uuid.UUID | None = None,
    session_name: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[HookPayload]:
    """The newest first, by LIST_ORDER: index hookpayload_list, or hookpayload_left,
    hookpayload_agent, hookpayload_session, hookpayload_unique (a session's name) under that filter.

    `left` asks for what was not mapped, or for what was or still waits.
    """
    rows = HookPayload.objects.defer("payload", "raw", "answer")
    if state is not None:
        rows = rows.filter(state=state)
    if left is not None:
        rows = rows.filter(state__in=LEFT) if left else rows.exclude(state__in=LEFT)
    if agent is not None:
        rows = rows.filter(agent=find_agent(agent))
    given = {
        "session_id": session_id,
        "session_name": session_name,
        "created_at__gte": since,
        "created_at__lt": until,
    }
    return rows.filter(**{name: value for name, value in given.items() if value is not None})


def get_payload(text: str) -> HookPayload:
    """By a full or shortened id. Or NotFound."""
    return find_row(HookPayload.objects.all(), text, what="payload")
