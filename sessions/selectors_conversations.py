"""Reads of conversations: lists, totals, and one transcript across context resets.

A conversation has no row of its own; it is the sessions that share a conversation_id.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.fields.tuple_lookups import TupleGreaterThan, TupleGreaterThanOrEqual
from django.db.models.functions import Coalesce, Left

from config.lib.cursor import read_cursor, write_cursor
from config.lib.errors import NotFound
from sessions.models import Message, Notification, Session
from sessions.schemas_threads import MessageOut
from sessions.selectors import PROMPT_START, SessionFilter, columns, list_sessions
from sessions.selectors_attention import count_pending_notifications, list_handoffs

ORDER = ["-started_at", "-id"]
# As many sessions and handoffs as a conversation's own page shows.
SHOWN = 100
# How many messages back a last answer is looked for.
LOOK_BACK = 20
_SUMS = (
    "message_count", "event_count", "tool_count", "error_count", "input_tokens", "output_tokens",
    "cache_creation_tokens", "cache_read_tokens", "cost_usd",
)  # fmt: skip
_LATEST = (
    "agent_id", "project_id", "name", "role", "mode", "current_state", "status_text",
    "context_used_percent", "conversation_id", "id", "started_at",
)  # fmt: skip


def list_conversations(
    wanted: SessionFilter, *, active: bool | None = None
) -> QuerySet[Session, dict[str, Any]]:
    """The latest session, of those that `wanted` fits, of each conversation that has one.

    In the order ["-started_at", "-id"]. Index session_list (session_agent, session_project under
    that filter, session_active for the active ones); that no later one fits is one look into
    session_conversation for each row, so a page costs what it shows and not the workspace.
    """
    conditions: dict[str, Any] = {k: v for k, v in wanted.items() if v is not None}
    since = conditions.pop("since", None)
    if active:
        conditions["ended_at"] = None
    fitting = Session.objects.filter(**conditions)
    later = Q(started_at__gt=OuterRef("started_at")) | Q(id__gt=OuterRef("id"))
    same = Q(conversation_id=OuterRef("conversation_id"), started_at__gte=OuterRef("started_at"))
    rows = fitting.filter(~Exists(fitting.filter(same, later)))
    if since is not None:
        rows = rows.filter(started_at__gte=since)
    if active is False:
        running = Session.objects.filter(conversation_id=OuterRef("conversation_id"), ended_at=None)
        rows = rows.filter(~Exists(running))
    return rows.values(
        *_LATEST,
        agent_name=F("agent__name"),
        project_title=F("project__title"),
        prompt_start=_first_prompt(),
        response_start=_last_response(),
    )


def _first_prompt() -> Subquery:
    """Index session_conversation, from its end."""
    of_it = Session.objects.filter(conversation_id=OuterRef("conversation_id"))
    first = of_it.order_by("started_at", "id").values(start=Left("prompt", PROMPT_START))
    return Subquery(first[:1])


def _last_response() -> Coalesce:
    """The last answer among the last messages, or else the summary. Index message_session,
    backwards; looking on until there is an answer could mean the whole session."""
    lately = Message.objects.filter(session_id=OuterRef(OuterRef("id"))).order_by("-occurred_at")
    said = Message.objects.filter(id__in=Subquery(lately.values("id")[:LOOK_BACK]))
    answers = said.filter(role="assistant").exclude(content="").order_by("-occurred_at", "-id")
    last = answers.values(start=Left("content", PROMPT_START))[:1]
    return Coalesce(Subquery(last), Left("summary", PROMPT_START))


def last_responses(session_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, str]:
    """What each session said last, its start only, or its summary's. One query for them all."""
    rows = Session.objects.filter(id__any_of=session_ids).values_list("id", _last_response())
    return {session_id: said or "" for session_id, said in rows}


def with_totals(heads: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The page's rows with the totals of their conversations. One query, session_conversation."""
    ids = [head["conversation_id"] for head in heads]
    totals = (
        Session.objects.filter(conversation_id__any_of=ids)
        .values("conversation_id")
        .order_by()
        .annotate(
            session_count=Count("id"),
            active_sessions=Count("id", filter=Q(ended_at=None)),
            first_started_at=Min("started_at"),
            last_seen=Max("last_seen_at"),
            last_end=Max("ended_at"),
            **{f"sum_{name}": Sum(name) for name in _SUMS},
        )
    )
    by_id = {total["conversation_id"]: total for total in totals}
    return [_row(head, by_id[head["conversation_id"]]) for head in heads]


def _row(head: Mapping[str, Any], total: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **head,
        "latest_session_id": head["id"],
        "latest_started_at": head["started_at"],
        "started_at": total["first_started_at"],
        "last_seen_at": total["last_seen"],
        "ended_at": None if total["active_sessions"] else total["last_end"],
        "session_count": total["session_count"],
        "active_sessions": total["active_sessions"],
        **{name: total[f"sum_{name}"] for name in _SUMS},
    }


def get_conversation(conversation_id: str) -> dict[str, Any]:
    """With its sessions, handoffs and how many notifications are pending. Or NotFound."""
    head = list_conversations({"conversation_id": conversation_id}).order_by(*ORDER).first()
    if head is None:
        raise NotFound("conversation", conversation_id)
    (row,) = with_totals([head])
    sessions = list_sessions({"conversation_id": conversation_id}).order_by(*ORDER)
    handoffs = list_handoffs({"conversation_id": conversation_id}).order_by("-created_at", "-id")
    return {
        **row,
        "pending_notifications": count_pending_notifications(conversation_id),
        "sessions": list(sessions[:SHOWN]),
        "handoffs": list(handoffs[:SHOWN]),
    }


def check_conversation(conversation_id: str) -> str:
    """The id, if a session has it. NotFound. Index session_conversation."""
    if not Session.objects.filter(conversation_id=conversation_id).exists():
        raise NotFound("conversation", conversation_id)
    return conversation_id


def check_told(conversation_id: str) -> str:
    """The id, if a session has it or it was told anything, as a mission's is before any session of
    it begins. NotFound. Indexes notification_unique and session_conversation."""
    if Notification.objects.filter(conversation_id=conversation_id).exists():
        return conversation_id
    return check_conversation(conversation_id)


# --- The transcript ---------------------------------------------------------------------------

_IN_SESSION = ("occurred_at", "thread_id", "idx")


def page_transcript(
    conversation_id: str, *, cursor: str | None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """One page of all messages: session after session, and in time within each; the next cursor.

    Index session_conversation for the sessions, message_session within each; one query for each
    session that the page shows, and a page shows no session without a message.
    """
    sessions = Session.objects.filter(conversation_id=conversation_id, message_count__gt=0)
    after: tuple[Any, ...] | None = None
    if cursor:
        fields = [Session._meta.get_field(name) for name in ("started_at", "id")]
        fields += [Message._meta.get_field(name) for name in _IN_SESSION]
        started_at, session_id, *after_in_session = read_cursor(cursor, fields)
        after = (session_id, tuple(after_in_session))
        reached = TupleGreaterThanOrEqual((F("started_at"), F("id")), (started_at, session_id))
        sessions = sessions.filter(reached)
    found: list[dict[str, Any]] = []
    starts = {}
    places = sessions.order_by("started_at", "id").values_list("id", "started_at")
    for session_id, started_at in places[: limit + 2]:
        starts[session_id] = started_at
        rows = Message.objects.filter(session_id=session_id)
        if after is not None and after[0] == session_id:
            rows = rows.filter(TupleGreaterThan(tuple(map(F, _IN_SESSION)), after[1]))
        rows = rows.order_by(*_IN_SESSION)
        found += rows.values(*columns(Message, MessageOut))[: limit + 1 - len(found)]
        if len(found) > limit:
            found.pop()
            last = found[-1]
            place = [starts[last["session_id"]], last["session_id"]]
            return found, write_cursor(place + [last[name] for name in _IN_SESSION])
    return found, None
