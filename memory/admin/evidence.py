"""What a memory rests on, shown in place: the words relied on, marked in the message or event that
they stand in, with what was said just before and after it. Not for rendering whole messages.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, OuterRef, Subquery, Value
from django.db.models.functions import (
    Greatest,
    JSONObject,
    Left,
    Length,
    StrIndex,
    Substr,
)
from django.urls import reverse

from config.lib.admin import show
from memory.models import Evidence
from sessions.admin.threads import message_url
from sessions.models import Message

MOST = 20
# Characters on each side of the words relied on, and of the messages beside theirs.
CONTEXT, BESIDE = 400, 240
MOST_QUOTE = 2_000


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A passage of a source with the words relied on in it. `stands` says whether they do."""

    before: str
    quote: str
    after: str
    cut_before: bool
    cut_after: bool
    stands: bool


@dataclass(frozen=True, slots=True)
class Beside:
    role: str
    words: str


@dataclass(frozen=True, slots=True)
class ShownEvidence:
    """One piece of evidence. `url` is None for what has no page of ours."""

    icon: str
    label: str
    url: str | None
    at: datetime
    excerpt: Excerpt | None
    before: Beside | None = None
    after: Beside | None = None


def evidence_of(memory_id: uuid.UUID) -> tuple[list[ShownEvidence], bool]:
    """(the first ones, whether there are more). One query. Indexes evidence_memory and, for the
    messages beside, message_idx_unique."""
    rows = (
        Evidence.objects.filter(memory_id=memory_id)
        .order_by("id")
        .select_related("message", "event", "task", "mission__scheduled_mission")
        .only(
            "id", "workspace_id", "created_at", "uri", "quote", "message__workspace_id",
            "message__thread_id", "message__idx", "message__role", "message__occurred_at",
            "event__workspace_id", "event__session_id", "event__seq", "event__event_type",
            "event__occurred_at", "task__workspace_id", "task__title", "mission__workspace_id",
            "mission__scheduled_for", "mission__scheduled_mission__workspace_id",
            "mission__scheduled_mission__name",
        )
        .annotate(
            **_around("said", "message__content"),
            **_around("told", "event__text"),
            said_before=_beside(-1),
            said_after=_beside(1),
        )
    )  # fmt: skip
    found = list(rows[: MOST + 1])
    return [_shown(row) for row in found[:MOST]], len(found) > MOST


def _around(name: str, source: str) -> dict[str, Any]:
    """Where the words stand in a text (from 1; 0 is nowhere), that part of it, and its length."""
    place = StrIndex(F(source), F("quote"))
    start = Greatest(place - CONTEXT, Value(1))
    return {
        f"{name}_place": place,
        f"{name}_part": Substr(F(source), start, Length("quote") + 2 * CONTEXT),
        f"{name}_length": Length(F(source)),
    }


def _beside(distance: int) -> Subquery:
    rows = Message.objects.filter(
        thread_id=OuterRef("message__thread_id"), idx=OuterRef("message__idx") + distance
    )
    said = JSONObject(role=F("role"), words=Left("content", BESIDE))
    return Subquery(rows.values(said=said)[:1])


def _shown(row: Any) -> ShownEvidence:
    if row.message is not None:
        return ShownEvidence(
            icon="chat_bubble",
            label=f"{row.message.role} message {row.message.idx}",
            url=message_url(row.message.thread_id, row.message.idx),
            at=row.message.occurred_at,
            excerpt=excerpt(row.quote, row.said_part, row.said_place, row.said_length),
            before=_neighbour(row.said_before),
            after=_neighbour(row.said_after),
        )
    if row.event is not None:
        return ShownEvidence(
            icon="bolt",
            label=f"{row.event.event_type} #{row.event.seq}",
            url=show.change_url("agent_sessions.sessionevent", row.event_id),
            at=row.event.occurred_at,
            excerpt=excerpt(row.quote, row.told_part, row.told_place, row.told_length),
        )
    quoted = excerpt(row.quote, row.quote, 1, len(row.quote)) if row.quote else None
    if row.task is not None:
        url = reverse("admin:agent_sessions_task_change", args=[row.task_id])
        return ShownEvidence("task_alt", row.task.title, url, row.created_at, quoted)
    if row.mission is not None:
        url = reverse("admin:agent_sessions_mission_change", args=[row.mission_id])
        name = row.mission.scheduled_mission.name
        return ShownEvidence("rocket_launch", name, url, row.mission.scheduled_for, quoted)
    # Never fetched and not a link: an address in stored text is data.
    label = row.uri or "a source that is gone"
    return ShownEvidence("link", label, None, row.created_at, quoted)


def excerpt(quote: str, part: str, place: int, length: int) -> Excerpt:
    """The words in their passage: `part` begins CONTEXT characters before `place`, or at the
    text's beginning. Words whose white space differs are found as well."""
    part = part or ""
    start = max(place - CONTEXT, 1)
    begin, end = _find(quote, part, place - start if place else -1)
    cut_before, cut_after = start > 1, start - 1 + len(part) < length
    if begin < 0:
        beginning = part[:CONTEXT]
        cut_after = len(beginning) < length
        return Excerpt(beginning, quote[:MOST_QUOTE], "", False, cut_after, stands=False)
    found = part[begin:end]
    if len(found) > MOST_QUOTE:
        return Excerpt(part[:begin], found[:MOST_QUOTE], "", cut_before, True, stands=True)
    return Excerpt(part[:begin], found, part[end:], cut_before, cut_after, stands=True)


def _find(quote: str, part: str, at: int) -> tuple[int, int]:
    """(begin, end) of the words in the passage, (-1, -1) where they are not."""
    if not quote.strip():
        return -1, -1
    if at >= 0:
        return at, at + len(quote)
    words = quote.split()
    if len(words) > 400:
        return -1, -1
    found = re.search(r"\s+".join(re.escape(word) for word in words), part)
    return found.span() if found else (-1, -1)


def _neighbour(said: dict[str, str] | None) -> Beside | None:
    if said is None:
        return None
    words = " ".join((said["words"] or "").split())
    return Beside(said["role"], words or "without words")
