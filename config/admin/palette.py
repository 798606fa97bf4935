"""The command palette (Ctrl-K): jump to a session, memory, project, agent or page by its words.

Simple look-ups by name within the workspace; not the product's search, which has its own page.
"""

from collections.abc import Callable
from typing import Any

from django.db.models import Q
from django.db.models.functions import Left
from django.urls import reverse
from unfold.dataclasses import SearchResult

from config.lib.admin import show
from contacts.models import Agent
from memory.models import Memory
from sessions.models import Project, Session

PER_KIND = 6
TITLE = 120


def results(term: str) -> list[SearchResult]:
    """Pages first, then rows, newest first. Four queries, each stopped at a few rows."""
    found = [page for page in _pages() if term.lower() in page.title.lower()]
    for read in (_sessions, _memories, _projects, _agents):
        found += read(term)
    return found


def _pages() -> list[SearchResult]:
    pages = [
        ("Sessions", "agent_sessions.session", "forum"),
        ("Memories", "memory.memory", "neurology"),
        ("Projects", "agent_sessions.project", "folder"),
        ("Agents", "contacts.agent", "smart_toy"),
        ("API keys", "contacts.apikey", "key"),
        ("Members", "contacts.membership", "group"),
        ("History", "contacts.revision", "history"),
    ]
    return [SearchResult(t, "page", show.changelist_url(m), icon) for t, m, icon in pages]


def _rows(
    rows: Any, kind: str, icon: str, url: Callable[[Any], str], title: Callable[[Any], str]
) -> list[SearchResult]:
    return [
        SearchResult(" ".join(title(row).split())[:TITLE] or kind, kind, url(row), icon)
        for row in rows[:PER_KIND]
    ]


def _sessions(term: str) -> list[SearchResult]:
    rows = (
        Session.objects.filter(Q(name__icontains=term) | Q(prompt__icontains=term))
        .order_by("-started_at", "-id")
        .annotate(asked=Left("prompt", TITLE))
        .values("id", "name", "asked")
    )
    page = "admin:agent_sessions_session_conversation"
    return _rows(rows, "session", "forum", lambda r: reverse(page, args=[r["id"]]),
                 lambda r: r["name"] or r["asked"])  # fmt: skip


def _memories(term: str) -> list[SearchResult]:
    rows = (
        Memory.objects.filter(text__icontains=term)
        .order_by("-recorded_at", "-id")
        .annotate(beginning=Left("text", TITLE))
        .values("id", "beginning")
    )
    return _rows(rows, "memory", "neurology",
                 lambda r: reverse("admin:memory_memory_change", args=[r["id"]]),
                 lambda r: r["beginning"])  # fmt: skip


def _projects(term: str) -> list[SearchResult]:
    rows = Project.objects.filter(title__icontains=term).order_by("-created_at", "-id")
    return _rows(rows.values("id", "title"), "project", "folder",
                 lambda r: reverse("admin:agent_sessions_project_change", args=[r["id"]]),
                 lambda r: r["title"])  # fmt: skip


def _agents(term: str) -> list[SearchResult]:
    rows = Agent.objects.filter(name__icontains=term).order_by("name")
    return _rows(rows.values("id", "name"), "agent", "smart_toy",
                 lambda r: reverse("admin:contacts_agent_change", args=[r["id"]]),
                 lambda r: r["name"])  # fmt: skip
