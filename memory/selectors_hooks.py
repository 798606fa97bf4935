"""Reads of raw payloads of hooks."""

import uuid
from datetime import datetime

from django.db.models import QuerySet

from config.lib.db.lookup import find_row
from contacts.selectors import find_agent
from memory.models import HookPayload, HookStream
from memory.models.hooks import PayloadState
from sessions.models import Session

LIST_ORDER = ["-created_at", "-id"]
# What an operator has to look at.
LEFT = (PayloadState.UNMAPPED, PayloadState.FAILED)
# Answers of one session that are looked through for what it was told.
MOST_ANSWERS = 500


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


def rows_told_on(
    *, dialect: str, session_name: str, since: datetime | None, but: uuid.UUID | None = None
) -> frozenset[str]:
    """Ids of what answers told an agent's session, as it names it, since it lost its context; but
    for one payload's answer. Index hookpayload_answered."""
    rows = HookPayload.objects.filter(dialect=dialect, session_name=session_name, answered=True)
    if but is not None:
        rows = rows.exclude(pk=but)
    if since is not None:
        rows = rows.filter(created_at__gte=since)
    answers = rows.order_by("-id").values_list("answer", flat=True)[:MOST_ANSWERS]
    return frozenset(
        row for answer in answers for name in ("rows", "notices") for row in answer.get(name, [])
    )


def rows_told(session: Session) -> frozenset[str]:
    """The same of a session, by whichever name it is reported. Index hookstream_session."""
    streams = HookStream.objects.filter(session=session)
    return frozenset[str]().union(
        *(
            rows_told_on(
                dialect=stream.dialect,
                session_name=stream.session_name,
                since=stream.fresh_since,
            )
            for stream in streams
        )
    )
