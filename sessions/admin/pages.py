"""The reading pages of a session: its conversation, events, memories and raw lines.

Each is one address that can be shared; long ones load in pages, also without JavaScript. Not for
the editable form, which is Django's change page (sessions.py).
"""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models.functions import Left
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from sessions.admin.conversation import outline, read_page
from sessions.models import RawLine, Session, SessionEvent, Thread

EVENTS, LINES, MEMORIES = 100, 100, 50
# A session with more subagents than this is listed by its threads' own list.
MAX_THREADS = 200
# A pause worth seeing between two events.
GAP = timedelta(minutes=5)
# What a link into the middle of a conversation shows before its target.
BEFORE = 20
TABS = (
    ("conversation", "Conversation", "forum"),
    ("events", "Events", "bolt"),
    ("memories", "Memories", "neurology"),
    ("raw", "Raw lines", "data_object"),
)


def number(request: HttpRequest, name: str, default: int = 0) -> int:
    """A whole number from the address; anything else is the default."""
    value = request.GET.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 9 else default


def session_urls(admin: Any) -> list[URLPattern]:
    """The pages' addresses, below the model's."""
    views: dict[str, Callable[..., HttpResponse]] = {
        "conversation": conversation_view,
        "events": events_view,
        "memories": memories_view,
        "raw": raw_view,
    }

    def bound(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        def run(request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
            if not admin.has_view_permission(request):
                raise PermissionDenied
            return view(admin, request, object_id)

        return run

    return [
        path(
            f"<uuid:object_id>/{name}/",
            admin.admin_site.admin_view(bound(view)),
            name=f"agent_sessions_session_{name}",
        )
        for name, view in views.items()
    ]


def find_session(object_id: uuid.UUID) -> Session:
    rows = Session.objects.select_related("agent", "project", "parent")
    found = rows.defer("context", "metadata", "agent__metadata", "parent__prompt").filter(
        pk=object_id
    )
    session = found.first()
    if session is None:
        raise Http404
    return session


def frame(admin: Any, request: HttpRequest, session: Session, tab: str) -> dict[str, Any]:
    """Context that every page of a session has: header, meters and tabs."""
    request.current_app = admin.admin_site.name
    tabs = [
        {
            "name": name,
            "label": label,
            "icon": icon,
            "url": reverse(f"admin:agent_sessions_session_{name}", args=[session.pk]),
        }
        for name, label, icon in TABS
    ]
    details = reverse("admin:agent_sessions_session_change", args=[session.pk])
    tabs.append({"name": "details", "label": "Details", "icon": "tune", "url": details})
    return {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "original": session,
        "session": session,
        "title": str(session),
        "tabs": tabs,
        "tab": tab,
        "history_url": reverse("admin:agent_sessions_session_history", args=[session.pk]),
        "buttons": admin.buttons(request, session),
    }


def threads_of(session_id: uuid.UUID) -> list[Thread]:
    """Index thread_session."""
    rows = Thread.objects.filter(session_id=session_id).order_by("created_at", "id")
    return list(rows[:MAX_THREADS])


def conversation_view(admin: Any, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
    """The main thread, or with `?thread=` one of the others."""
    session = find_session(object_id)
    threads = threads_of(session.pk)
    thread = next((t for t in threads if t.parent_id is None), threads[0] if threads else None)
    return conversation(admin, request, session, thread, threads)


def conversation(
    admin: Any, request: HttpRequest, session: Session, thread: Thread | None, threads: list[Thread]
) -> HttpResponse:
    """A thread's chat view: `?from=` a message, `?at=` around one, `?part` only what follows."""
    context: dict[str, Any] = {"session": session, "thread": thread, "threads": threads}
    if thread is not None:
        at = number(request, "at", -1)
        start = max(0, at - BEFORE) if at >= 0 else number(request, "from")
        page = read_page(thread, start, threads)
        context |= {"page": page, "base_url": request.path, "at": at}
        if "part" in request.GET:
            return TemplateResponse(request, "admin/agent_sessions/conversation_part.html", context)
        context["outline"] = outline(thread)
    return TemplateResponse(
        request,
        "admin/agent_sessions/conversation.html",
        {**frame(admin, request, session, "conversation"), **context},
    )


def events_view(admin: Any, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
    """Events in order; `?after=` a seq, `?type=` one type.

    Indexes event_seq_unique and event_session_type.
    """
    session = find_session(object_id)
    rows = SessionEvent.objects.filter(session=session, seq__gt=number(request, "after"))
    chosen = request.GET.get("type", "").replace("\x00", "")[:60]
    if chosen:
        rows = rows.filter(event_type=chosen)
    found = list(rows.order_by("seq")[: EVENTS + 1])
    shown: list[dict[str, Any]] = []
    previous: datetime | None = None
    for event in found[:EVENTS]:
        gap = event.occurred_at - previous if previous else None
        shown.append({"event": event, "gap": gap if gap and gap >= GAP else None})
        previous = event.occurred_at
    context = {
        **frame(admin, request, session, "events"),
        "events": shown,
        "next": found[EVENTS - 1].seq if len(found) > EVENTS else None,
        "chosen": chosen,
        "types": sorted({e["event"].event_type for e in shown} | ({chosen} if chosen else set())),
    }
    return TemplateResponse(request, "admin/agent_sessions/events.html", context)


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
