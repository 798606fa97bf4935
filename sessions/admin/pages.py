"""The reading pages of a session: its conversation, events, workers, memories, searches and raw
lines, and where each has its address.

Each is one address that can be shared; long ones load in pages, also without JavaScript. Not for
the editable form, which is Django's change page (sessions.py), nor for the conversation over
several sessions (conversation_pages.py).
"""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from config.lib.admin import show
from contacts.admin.access import page_of
from sessions.admin.conversation import PAGE, outline, read_page
from sessions.admin.conversation_pages import of_conversation_view, reset_after
from sessions.admin.find import MAX_WORDS
from sessions.admin.frame import find_session, frame, number, threads_of, words
from sessions.admin.timeline import timeline_view
from sessions.admin.workers import TONES
from sessions.models import Message, RawLine, Session, SessionEvent, Thread, Worker
from sessions.models.worker import WorkerStatus

EVENTS, LINES, MEMORIES, WORKERS, SEARCHES = 100, 100, 50, 50, 50
# A pause worth seeing between two events.
GAP = timedelta(minutes=5)
# What a link into the middle of a conversation or of events shows before its target.
BEFORE = 20


def session_urls(admin: Any) -> list[URLPattern]:
    """The pages' addresses, below the model's."""
    views: dict[str, Callable[..., HttpResponse]] = {
        "conversation": conversation_view,
        "timeline": timeline_view,
        "events": events_view,
        "workers": workers_view,
        "memories": memories_view,
        "searches": searches_view,
        "raw": raw_view,
    }

    def at(address: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        return path(address, page_of(admin, view), name=f"agent_sessions_session_{name}")

    return [
        at("conversation/<path:conversation_id>/", of_conversation_view, "of_conversation"),
        *(at(f"<uuid:object_id>/{name}/", view, name) for name, view in views.items()),
    ]


def conversation_view(admin: Any, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
    """The main thread."""
    session = find_session(object_id)
    threads = threads_of(session.pk)
    thread = next((t for t in threads if t.parent_id is None), threads[0] if threads else None)
    return conversation(admin, request, session, thread, threads)


def conversation(
    admin: Any, request: HttpRequest, session: Session, thread: Thread | None, threads: list[Thread]
) -> HttpResponse:
    """A thread's chat view: `?from=` a message, `?at=` around one.

    `?part=1` is only what follows, `?part=earlier&until=` what comes before a message. `?in=1`
    says that the part goes into another thread's page, `?through=1` that one reads on into the
    next session of the conversation.
    """
    part = request.GET.get("part")
    within = bool(part) and "in" in request.GET
    at = number(request, "at", -1)
    through = "through" in request.GET
    context: dict[str, Any] = {
        "session": session, "thread": thread, "threads": threads, "base_url": request.path,
        "at": at, "within": within, "through": through,
        "more": f"{'&in=1' if within else ''}{'&through=1' if through else ''}",
        "prefix": f"t{thread.pk.hex}-" if within and thread is not None else "",
        "find": words(request, "find", MAX_WORDS),
    }  # fmt: skip
    if thread is not None:
        if part == "earlier":
            until = number(request, "until", PAGE)
            page = read_page(thread, max(0, until - PAGE), threads, until)
            template = "admin/agent_sessions/conversation_earlier.html"
            return TemplateResponse(request, template, {**context, "page": page})
        start = max(0, at - BEFORE) if at >= 0 else number(request, "from")
        context["page"] = read_page(thread, start, threads)
    if thread is None or (thread.parent_id is None and context["page"].next is None):
        context["reset"] = reset_after(session)
    if part:
        return TemplateResponse(request, "admin/agent_sessions/conversation_part.html", context)
    if thread is not None:
        context["outline"] = outline(thread)
    return TemplateResponse(
        request,
        "admin/agent_sessions/conversation.html",
        {**frame(admin, request, session, "conversation"), **context},
    )


def events_view(admin: Any, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
    """Events in order; `?after=` a seq, `?at=` around one, `?type=` one type.

    Indexes event_seq_unique, event_session_type and message_native_uuid_unique.
    """
    session = find_session(object_id)
    after = max(0, number(request, "at") - BEFORE) or number(request, "after")
    rows = SessionEvent.objects.filter(session=session, seq__gt=after)
    chosen = words(request, "type", 60)
    if chosen:
        rows = rows.filter(event_type=chosen)
    found = list(rows.order_by("seq")[: EVENTS + 1])
    said = _messages_of(session, found[:EVENTS])
    shown: list[dict[str, Any]] = []
    previous: datetime | None = None
    for event in found[:EVENTS]:
        gap = event.occurred_at - previous if previous else None
        message = said.get(_message_uuid(event))
        shown.append(
            {"event": event, "gap": gap if gap and gap >= GAP else None, "message": message}
        )
        previous = event.occurred_at
    context = {
        **frame(admin, request, session, "events"),
        "events": shown,
        "first": after,
        "next": found[EVENTS - 1].seq if len(found) > EVENTS else None,
        "chosen": chosen,
        "types": sorted({e["event"].event_type for e in shown} | ({chosen} if chosen else set())),
    }
    return TemplateResponse(request, "admin/agent_sessions/events.html", context)


def _message_uuid(event: SessionEvent) -> str:
    value = event.data.get("message_uuid") if isinstance(event.data, dict) else None
    return value if isinstance(value, str) else ""


def _messages_of(session: Session, events: list[SessionEvent]) -> dict[str, dict[str, Any]]:
    """The messages that say what these events say, by their native id."""
    named = [name for event in events if (name := _message_uuid(event))]
    if not named:
        return {}
    rows = Message.objects.filter(session=session, native_uuid__any_of=named)
    found = rows.values("native_uuid", "thread_id", "idx")
    return {row["native_uuid"]: row for row in found}


def workers_view(admin: Any, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
    """What it spawned, newest first, and what ran in it. Indexes worker_session and
    worker_run_session."""
    session = find_session(object_id)
    rows = (
        Worker.objects.order_by("-created_at", "-id")
        .select_related("run_session")
        .annotate(asked=Left("instructions", 200))
        .defer("instructions", "params", "metadata", "report", *_OF_RUN)
    )
    spawned = list(rows.filter(session=session)[: WORKERS + 1])
    ran = list(rows.filter(run_session=session)[: WORKERS + 1])
    for worker in (*spawned, *ran):
        worker.__dict__["state"] = show.badge(
            worker.status, tone=TONES[WorkerStatus(worker.status)]
        )
    context = {
        **frame(admin, request, session, "workers"),
        "sections": [
            {
                "title": title,
                "workers": found[:WORKERS],
                "all": f"{field}__id__exact={session.pk}" if len(found) > WORKERS else "",
            }
            for title, found, field in (
                ("Spawned by this session", spawned, "session"),
                ("Ran in this session", ran, "run_session"),
            )
            if found
        ],
    }
    return TemplateResponse(request, "admin/agent_sessions/workers.html", context)


_OF_RUN = tuple(
    f"run_session__{name}" for name in ("prompt", "context", "summary", "summary_data", "metadata")
)


def memories_view(admin: Any, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
    """What was learned in the session, newest first. Index memory_session."""
    session = find_session(object_id)
    rows = session.memories.order_by("-recorded_at", "-id").defer("data", "metadata")
    found = list(rows[: MEMORIES + 1])
    context = {
        **frame(admin, request, session, "memories"),
        "memories": found[:MEMORIES],
        "more": len(found) > MEMORIES,
    }
    return TemplateResponse(request, "admin/agent_sessions/memories.html", context)


def searches_view(admin: Any, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
    """What its agent searched for while it ran, in order; `?page=`. A search does not know which
    session made it, so two sessions of one agent at one time show the same. Index receipt_agent."""
    session = find_session(object_id)
    until = session.ended_at or session.last_seen_at
    page = max(1, number(request, "page", 1))
    # The relation is of an app above this one, so no type of ours knows it.
    of_agent: Any = session.agent
    rows = of_agent.searches.filter(created_at__gte=session.started_at, created_at__lte=until)
    rows = rows.order_by("created_at", "id").defer("hits", "request", "filters")
    found = list(rows[(page - 1) * SEARCHES : page * SEARCHES + 1])
    context = {
        **frame(admin, request, session, "searches"),
        "searches": found[:SEARCHES],
        "until": until,
        "page_number": page,
        "more": len(found) > SEARCHES,
    }
    return TemplateResponse(request, "admin/agent_sessions/searches.html", context)


def raw_view(admin: Any, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
    """The lines the session was read from, as they stood; `?page=`. Index rawline_order."""
    session = find_session(object_id)
    page = max(1, number(request, "page", 1))
    rows = (
        RawLine.objects.filter(session=session)
        .order_by("file", "line_no", "id")
        .annotate(beginning=Left("raw", 300))
        .defer("raw", "digest")
    )
    found = list(rows[(page - 1) * LINES : page * LINES + 1])
    context = {
        **frame(admin, request, session, "raw"),
        "lines": found[:LINES],
        "page_number": page,
        "more": len(found) > LINES,
    }
    return TemplateResponse(request, "admin/agent_sessions/raw.html", context)
