"""The parts of a briefing: what is read for each, and how a row of it is told, in one line or few.

Each read says which index serves it. Not for how parts become one text (briefing.py).
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any

import orjson
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from config.lib import clock
from config.lib.ids import short_id
from config.lib.recalled import without_recalled
from config.lib.text import visible
from memory.models import Memory
from memory.models.memory import STANDING, MemoryState, Trust
from memory.search.context import cut, one_line
from memory.services.chunks import estimate_tokens
from sessions.models import Handoff, Message, Notification, Priority, Session, Task
from sessions.models.attention import HandoffStatus
from sessions.models.priority import Level
from sessions.models.task import TaskStatus, Urgency

MOST_NOTICES, MOST_TASKS, MOST_PRIORITIES, MOST_STANDING = 10, 8, 8, 8
MOST_HANDOFFS, MOST_SESSIONS = 2, 3
LINE_TOKENS = 120
# Of tasks, in the order in which they are told.
OPEN = (TaskStatus.DOING, TaskStatus.REVIEW, TaskStatus.TODO)


def _flat(text: str, tokens: int = LINE_TOKENS) -> str:
    flat = " ".join(visible(text).split())
    return flat if estimate_tokens(flat) <= tokens else cut(flat, tokens - 1) + " …"


# --- Notifications ------------------------------------------------------------------------------


def pending_notifications(conversation_id: str) -> QuerySet[Notification]:
    """What the conversation has not acknowledged, newest first. Index notification_pending."""
    rows = Notification.objects.filter(conversation_id=conversation_id, acked_at=None)
    return rows.order_by("-id")[:MOST_NOTICES]


def tell_notification(row: Notification) -> str:
    told: Mapping[str, Any] = row.payload
    if row.notification_type == "ping_answered":
        asked, said = _flat(str(told.get("message", "")), 60), _flat(str(told.get("answer", "")))
        by = _flat(str(told.get("answered_by")), 20)
        return f"Your question {one_line(asked)} was answered by {by}: {said}"
    rest = _flat(orjson.dumps(dict(told)).decode())
    return f"{row.notification_type} {row.created_at:%Y-%m-%d %H:%M}Z {rest}"


# --- Sessions -----------------------------------------------------------------------------------


def last_sessions(
    session: Session | None, conversation_id: str, project_id: uuid.UUID | None
) -> list[Session]:
    """Of a session, the one before it in the conversation, else in the project; without one, the
    last of the conversation, the project or the workspace, the newest first. Indexes
    session_conversation, session_project and session_list."""
    rows = Session.objects.select_related("agent").order_by("-started_at", "-id")
    if session is not None:
        others = rows.exclude(pk=session.pk)
        last = list(others.filter(conversation_id=conversation_id)[:1]) if conversation_id else []
        if not last and project_id is not None:
            last = list(others.filter(project_id=project_id, ended_at__isnull=False)[:1])
        return last
    if conversation_id:
        rows = rows.filter(conversation_id=conversation_id)
    elif project_id is not None:
        rows = rows.filter(project_id=project_id)
    return list(rows[:MOST_SESSIONS])


def session_title(last: Session, *, is_first: bool) -> str:
    state = "" if last.ended_at else ", still open"
    which = "the last session here" if is_first else "an earlier one"
    return f"Left by {which}, {short_id(last.pk)}, begun {last.started_at:%Y-%m-%d %H:%M}Z{state}"


def tell_session(last: Session) -> str:
    """Its summary and next steps; without them what it was asked and what it said last."""
    data = last.summary_data if isinstance(last.summary_data, dict) else {}
    parts = [f"Session {one_line(last.name)}"] if last.name else []
    named = len(parts)
    parts += [_flat(last.summary, 250)] if last.summary else []
    for name in ("next_steps", "decisions"):
        items = data.get(name)
        if isinstance(items, list) and items:
            told = "; ".join(str(item) for item in items[:5])
            parts.append(f"{name.replace('_', ' ').capitalize()}: {_flat(told)}")
    if len(parts) == named:
        if last.prompt:
            parts.append(f"Was asked: {_flat(without_recalled(last.prompt), 60)}")
        # Index message_session.
        said = Message.objects.filter(session=last, role="assistant").order_by("-occurred_at")
        content = said.values_list("content", flat=True).first()
        if content:
            parts.append(f"Said last: {_flat(without_recalled(content))}")
    return "\n".join(parts)


# --- Handoffs -----------------------------------------------------------------------------------


def handed_over(
    session: Session | None,
    agent_id: uuid.UUID | None,
    conversation_id: str,
    project_id: uuid.UUID | None,
) -> QuerySet[Handoff]:
    """What waits for the agent, or, for nobody by name, in the conversation or the project (who
    begins anew in the folder is in no conversation yet), or anywhere where neither is known. The
    newest first. Index handoff_status."""
    here = Q()
    if conversation_id:
        here |= Q(conversation_id=conversation_id)
    if project_id is not None:
        here |= Q(from_session__project_id=project_id)
    rows = Handoff.objects.filter(
        Q(to_agent_id=agent_id) | Q(here, to_agent=None), status=HandoffStatus.PENDING
    )
    if session is not None:
        rows = rows.exclude(from_session_id=session.pk)
    return rows.order_by("-created_at", "-id")[:MOST_HANDOFFS]


def tell_handoff(row: Handoff) -> str:
    return f"handoff {row.short_id}: {_flat(row.content, 200)}"


# --- Memories -----------------------------------------------------------------------------------


def standing_memories(project_id: uuid.UUID | None) -> list[Memory]:
    """What is pinned, and how people want things done, in the project and anywhere; what several
    agents saved in the same words once. The pinned and most salient first. Index memory_standing,
    which is in that order within one project, so that each is asked for by itself."""
    here = _standing(project=None)
    if project_id is not None:
        here += _standing(project=project_id)
    first: dict[str, Memory] = {}
    for row in sorted(here, key=_rank, reverse=True):
        first.setdefault(folded(row.text), row)
    return list(first.values())[:MOST_STANDING]


def _standing(*, project: uuid.UUID | None) -> list[Memory]:
    now = clock.now()
    rows = Memory.objects.filter(project_id=project, state=MemoryState.ACTIVE)
    rows = rows.filter(Q(pinned=True) | Q(kind__in=STANDING)).exclude(trust=Trust.EXTERNAL)
    rows = rows.filter(Q(expires_at=None) | Q(expires_at__gt=now))
    rows = rows.filter(Q(valid_to=None) | Q(valid_to__gt=now))
    # By the project first, though there is one: of none PostgreSQL would sort them all otherwise.
    ordered = rows.order_by("project_id", "-pinned", "-salience", "-recorded_at", "-id")
    return list(ordered[: 2 * MOST_STANDING])


def _rank(row: Memory) -> tuple[bool, float, datetime, uuid.UUID]:
    return (row.pinned, row.salience, row.recorded_at, row.pk)


def folded(text: str) -> str:
    """By which two texts are found to say the same."""
    return " ".join(text.lower().split())


def tell_memory(row: Memory) -> str:
    return f"[{row.kind} {row.short_id} {row.recorded_at:%Y-%m-%d} {row.trust}] {_flat(row.text)}"


# --- Work ---------------------------------------------------------------------------------------


def open_tasks(project_id: uuid.UUID | None) -> Iterable[Task]:
    """What is being done first. Of a project then by priority (index task_board); of the whole
    workspace the newest of each status, read as far as they are wanted (index task_status)."""
    rows = Task.objects.filter(archived_at=None)
    if project_id is not None:
        rows = rows.filter(project_id=project_id).exclude(status=TaskStatus.DONE)
        urgent = _ranked("priority", list(reversed(Urgency)))
        return rows.order_by(_ranked("status", OPEN), urgent, "order", "id")[:MOST_TASKS]
    rows = rows.select_related("project").order_by("-created_at", "-id")
    each = (rows.filter(status=status)[:MOST_TASKS] for status in OPEN)
    return islice(chain.from_iterable(each), MOST_TASKS)


def tell_task(row: Task) -> str:
    return f"{row.short_id} [{row.status}, {row.priority}] {_flat(row.title, 60)}"


def tell_task_anywhere(row: Task) -> str:
    project = f" (project {one_line(row.project.title)})" if row.project else ""
    return tell_task(row) + project


def open_priorities(day: Any) -> QuerySet[Priority]:
    """What is still open of the day. Index priority_day."""
    rows = Priority.objects.filter(date=day, completed_at=None)
    return rows.order_by(_ranked("level", list(Level)), "position", "id")[:MOST_PRIORITIES]


def tell_priority(row: Priority) -> str:
    return f"[{row.level}] {_flat(row.content, 60)}"


def _ranked(name: str, values: Sequence[Any]) -> Case:
    """Order by a value's place in `values`."""
    return Case(
        *(When(**{name: value}, then=Value(place)) for place, value in enumerate(values)),
        default=Value(len(values)),
        output_field=IntegerField(),
    )
