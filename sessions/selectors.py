"""Reads of projects, sessions, events, threads and messages.

Lists are values() rows with the columns that lists show; each says which index serves it.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

from django.db.models import Count, F, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Left

from config.lib.db.lookup import find_id, find_row
from config.lib.db.models import WorkspaceRow
from sessions.models import Message, Project, Session, SessionEvent, Thread
from sessions.models.thread import OPENING
from sessions.schemas import ProjectRow, SessionRow, SessionSummary
from sessions.schemas_events import EventOut
from sessions.schemas_threads import MessageOut, ThreadOut

Rows = QuerySet[Any, dict[str, Any]]

# What lists show of a prompt, which may have a million characters.
PROMPT_START = 200


def columns(model: type[WorkspaceRow], schema: Any) -> list[str]:
    """The model's columns that a schema shows: lists select these and no others."""
    known = {field.attname for field in model._meta.concrete_fields}
    return [name for name in schema.model_fields if name in known]


# --- Projects ---------------------------------------------------------------------------------


def find_project(text: str) -> uuid.UUID:
    """A project's id by its title (the oldest of it), or its own id. Index project_title."""
    found = Project.objects.filter(title=text).order_by("id").values_list("id", flat=True).first()
    return found or find_id(Project, text)


def list_projects(*, archived: bool = False) -> Rows:
    """In the order ["-pinned", "-created_at", "-id"]. Index project_list."""
    rows = Project.objects.filter(archived_at__isnull=not archived)
    return rows.values(*columns(Project, ProjectRow))


# --- Sessions ---------------------------------------------------------------------------------


class SessionFilter(TypedDict, total=False):
    """What a list of sessions can be narrowed by; None and absent ask for nothing."""

    agent_id: uuid.UUID | None
    project_id: uuid.UUID | None
    parent_id: uuid.UUID | None
    conversation_id: str | None
    claude_session_id: str | None
    current_state: str | None
    role: str | None
    mode: str | None
    outcome: str | None
    since: datetime | None
    until: datetime | None


# Filters that are not equality of a column.
_LOOKUPS = {"since": "started_at__gte", "until": "started_at__lt"}


def list_sessions(wanted: SessionFilter) -> Rows:
    """In the order ["-started_at", "-id"]. Index session_list, or session_agent, session_project,
    session_conversation, session_state under that filter, session_claude_id; the others are
    checked on the rows that these give."""
    return _session_rows(SessionRow).filter(**_conditions(wanted, _LOOKUPS))


def list_active_sessions(agent_id: uuid.UUID | None = None) -> Rows:
    """Not ended, in the order ["-last_seen_at", "-id"]. Index session_active."""
    return _session_rows(SessionRow).filter(
        ended_at=None, **_conditions({"agent_id": agent_id}, {})
    )


def list_recent_sessions(wanted: SessionFilter) -> Rows:
    """With what came of each. In the order ["-started_at", "-id"]; indexes as list_sessions."""
    return _session_rows(SessionSummary).filter(**_conditions(wanted, _LOOKUPS))


def _session_rows(schema: Any) -> Rows:
    return Session.objects.values(
        *columns(Session, schema),
        agent_name=F("agent__name"),
        project_title=F("project__title"),
        prompt_start=Left("prompt", PROMPT_START),
    )


def _conditions(wanted: Mapping[str, Any], lookups: Mapping[str, str]) -> dict[str, Any]:
    return {lookups.get(k, k): v for k, v in wanted.items() if v is not None}


def get_session(text: str) -> Session:
    """By a full or shortened id, with its agent and project. Or NotFound."""
    return find_row(Session.objects.select_related("agent", "project"), text)


def last_session(agent_id: uuid.UUID) -> Session | None:
    """The one an agent began last. Index session_agent."""
    rows = Session.objects.select_related("agent", "project").filter(agent_id=agent_id)
    return rows.order_by("-started_at", "-id").first()


def count_sessions_by_agent(*, since: datetime) -> list[dict[str, Any]]:
    """Agents with sessions begun since then, by name: {agent_id, agent_name, total, by_state,
    last_started_at}. Index session_list: one pass over these sessions."""
    groups = (
        Session.objects.filter(started_at__gte=since)
        .order_by("agent__name")
        .values("agent_id", "current_state", agent_name=F("agent__name"))
        .annotate(count=Count("id"), last=Max("started_at"))
    )
    found: dict[uuid.UUID, dict[str, Any]] = {}
    for group in groups:
        agent = found.setdefault(
            group["agent_id"],
            {
                "agent_id": group["agent_id"],
                "agent_name": group["agent_name"],
                "total": 0,
                "by_state": {},
                "last_started_at": group["last"],
            },
        )
        agent["total"] += group["count"]
        agent["by_state"][group["current_state"]] = group["count"]
        agent["last_started_at"] = max(agent["last_started_at"], group["last"])
    return list(found.values())


# --- What sessions hold -----------------------------------------------------------------------


def list_events(session_id: uuid.UUID, *, event_type: str | None = None) -> Rows:
    """In the order ["seq"] or ["-seq"]. Index event_seq_unique, or event_session_type."""
    rows = SessionEvent.objects.filter(session_id=session_id)
    if event_type is not None:
        rows = rows.filter(event_type=event_type)
    return rows.values(*columns(SessionEvent, EventOut))


class ThreadFilter(TypedDict, total=False):
    """What a list of threads can be narrowed by; None and absent ask for nothing."""

    session_id: uuid.UUID | None
    parent_id: uuid.UUID | None
    external_id: str | None
    source: str | None


def list_threads(wanted: ThreadFilter) -> Rows:
    """In the order ["-created_at", "-id"]. Index thread_list, or thread_session, thread_parent,
    thread_external_id_unique (with `source`) under that filter."""
    return Thread.objects.filter(**_conditions(wanted, {})).values(*columns(Thread, ThreadOut))


def list_session_threads(session_id: uuid.UUID) -> Rows:
    """In the order ["created_at", "id"]. Index thread_session."""
    return list_threads({"session_id": session_id})


def find_threads(text: str, *, session_id: uuid.UUID | None = None) -> Rows:
    """Threads whose first user message is `text`, in the order ["-created_at", "-id"].

    Index thread_opening finds those that begin alike; where `text` is longer than an opening,
    their first user message is compared whole (index message_idx_unique).
    """
    rows = list_threads({"session_id": session_id}).filter(opening=text[:OPENING])
    if len(text) >= OPENING:
        said = Message.objects.filter(thread_id=OuterRef("id"), role="user")
        first = said.filter(content__regex=r"\S").order_by("idx").values("content")[:1]
        rows = rows.alias(first_message=Subquery(first)).filter(first_message=text)
    return rows


def list_messages(thread_id: uuid.UUID) -> Rows:
    """In the order ["idx"] or ["-idx"]. Index message_idx_unique."""
    return Message.objects.filter(thread_id=thread_id).values(*columns(Message, MessageOut))


def count_messages(thread_id: uuid.UUID) -> int:
    """How many messages a thread has, by its own counter."""
    return Thread.objects.values_list("message_count", flat=True).get(pk=thread_id)
