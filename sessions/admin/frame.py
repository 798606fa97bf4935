"""What every page of a session stands in: the row, its header, meters and tabs."""

import uuid
from typing import Any

from django.http import Http404, HttpRequest
from django.urls import reverse

from sessions.models import Session, Thread

# A session with more subagents than this is listed by its threads' own list.
MAX_THREADS = 200
TABS = (
    ("conversation", "Conversation", "forum"),
    ("timeline", "Timeline", "timeline"),
    ("events", "Events", "bolt"),
    ("workers", "Workers", "engineering"),
    ("memories", "Memories", "neurology"),
    ("searches", "Searches", "search"),
    ("raw", "Raw lines", "data_object"),
)


def number(request: HttpRequest, name: str, default: int = 0) -> int:
    """A whole number from the address; anything else is the default."""
    value = request.GET.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 9 else default


def words(request: HttpRequest, name: str, longest: int) -> str:
    """A text from the address, as PostgreSQL can take it."""
    return request.GET.get(name, "").replace("\x00", "").strip()[:longest]


def find_session(object_id: uuid.UUID) -> Session:
    rows = Session.objects.select_related("agent", "project", "parent")
    found = rows.defer("context", "metadata", "agent__metadata", "parent__prompt").filter(
        pk=object_id
    )
    session = found.first()
    if session is None:
        raise Http404
    return session


def threads_of(session_id: uuid.UUID) -> list[Thread]:
    """Index thread_session."""
    rows = Thread.objects.filter(session_id=session_id).order_by("created_at", "id")
    return list(rows[:MAX_THREADS])


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
