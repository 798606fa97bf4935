"""A conversation over its sessions: where the context was reset, and what each left for the next.

A conversation has no row of its own; it is the sessions that share a conversation_id.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F
from django.db.models.fields.tuple_lookups import TupleGreaterThan
from django.db.models.functions import Left
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from sessions.admin.conversation import beginning, one_line
from sessions.admin.frame import number
from sessions.admin.markdown import render
from sessions.models import Handoff, Session
from sessions.selectors_conversations import (
    ORDER,
    last_responses,
    list_conversations,
    with_totals,
)

SESSIONS = 50
TITLE, LEFT = 200, 4_000
_PLACE = (F("started_at"), F("id"))


@dataclass(frozen=True, slots=True)
class Reset:
    """Between two sessions of a conversation. `pause` is None where they ran beside each other."""

    before: Session
    after: Session
    pause: timedelta | None
    handoff: Handoff | None
    left: SafeString | str
    url: str


def _rows() -> Any:
    return (
        Session.objects.select_related("agent", "project")
        .annotate(asked=Left("prompt", TITLE), told=Left("summary", LEFT))
        .defer("prompt", "context", "metadata", "summary", "summary_data", "agent__metadata",
               "project__description", "project__docs", "project__features", "project__data",
               "project__metadata")
    )  # fmt: skip


def _handoffs(sessions: list[Session]) -> dict[Any, Handoff]:
    """The last one that each session left. Index handoff_from."""
    rows = Handoff.objects.filter(from_session__in=[row.pk for row in sessions])
    rows = rows.select_related("to_agent").defer("to_agent__metadata", "metadata", "error")
    return {row.from_session_id: row for row in rows.order_by("created_at", "id")[: 4 * SESSIONS]}


def _reset(before: Session, after: Session, handoff: Handoff | None, told: str) -> Reset:
    ended = before.ended_at
    pause = after.started_at - ended if ended and ended <= after.started_at else None
    left = handoff.content[:LEFT] if handoff is not None else told
    url = reverse("admin:agent_sessions_session_conversation", args=[after.pk])
    return Reset(before, after, pause, handoff, render(left) if left else "", url)


def reset_after(session: Session) -> Reset | None:
    """What lies between a session and the next of its conversation; None after the last one.
    Indexes session_conversation and handoff_from."""
    rows = _rows().filter(conversation_id=session.conversation_id)
    place = (session.started_at, session.pk)
    after = rows.filter(TupleGreaterThan(_PLACE, place)).order_by("started_at", "id").first()
    if after is None:
        return None
    handoff = _handoffs([session]).get(session.pk)
    return _reset(session, after, handoff, session.summary[:LEFT])


def of_conversation_view(admin: Any, request: HttpRequest, conversation_id: str) -> HttpResponse:
    """Its totals and its sessions in order, `?page=`. Index session_conversation."""
    conversation_id = conversation_id.replace("\x00", "")
    head = list_conversations({"conversation_id": conversation_id}).order_by(*ORDER).first()
    if head is None:
        raise Http404
    (totals,) = with_totals([head])
    page = max(1, number(request, "page", 1))
    rows = _rows().filter(conversation_id=conversation_id).order_by("started_at", "id")
    # One more on each side, so that a reset between two pages is on the later one.
    start = max(0, (page - 1) * SESSIONS - 1)
    found: list[Any] = list(rows[start : page * SESSIONS + 1])
    more = len(found) > page * SESSIONS - start
    handoffs = _handoffs(found)
    said = last_responses([row.pk for row in found])
    steps: list[dict[str, Any]] = []
    before: Any = None
    for at, row in enumerate(found[: page * SESSIONS - start], start + 1):
        row.said = one_line(said.get(row.pk, ""))
        row.asked = beginning(row.asked)
        reset = None
        if before is not None:
            reset = _reset(before, row, handoffs.get(before.pk), before.told)
        if page == 1 or before is not None:
            steps.append({"number": at, "session": row, "reset": reset})
        before = row
    last = before if not more and before is not None else None
    request.current_app = admin.admin_site.name
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": f"Conversation {conversation_id}",
        "conversation_id": conversation_id,
        "totals": totals,
        "took": (totals["ended_at"] or totals["last_seen_at"]) - totals["started_at"],
        "steps": steps,
        "page_number": page,
        "more": more,
        "last": last,
        "last_left": _left_open(last, handoffs),
        "listed": reverse("admin:agent_sessions_session_changelist"),
    }
    return TemplateResponse(request, "admin/agent_sessions/of_conversation.html", context)


def _left_open(last: Any, handoffs: dict[Any, Handoff]) -> SafeString | str:
    """What the last session leaves for one that did not begin yet."""
    handoff = handoffs.get(last.pk) if last is not None else None
    return render(handoff.content[:LEFT]) if handoff is not None else ""
