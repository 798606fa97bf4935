"""The command palette (Ctrl-K): jump to a row or a page of the sidebar by its words.

Simple look-ups by name within the workspace; not the product's search, which has its own page.
"""

from collections.abc import Callable
from typing import Any

from django.db.models import Q
from django.db.models.functions import Left
from django.urls import reverse
from unfold.dataclasses import SearchResult

from config.settings.unfold import UNFOLD
from contacts.models import Agent, Contact
from memory.models import Memory
from sessions.models import Project, Session, Task

PER_KIND = 6
TITLE = 120


def results(term: str) -> list[SearchResult]:
    """Pages first, then rows, newest first. Six queries, each stopped at a few rows."""
    found = [page for page in _pages() if term.lower() in page.title.lower()]
    for read in (_sessions, _memories, _tasks, _projects, _contacts, _agents):
        found += read(term)
    return found


def _pages() -> list[SearchResult]:
    """What the sidebar leads everybody to."""
    entries = [one for part in UNFOLD["SIDEBAR"]["navigation"] for one in part["items"]]
    return [
        SearchResult(one["title"], "page", str(one["link"]), one["icon"])
        for one in entries
        if "permission" not in one
    ]


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


def _tasks(term: str) -> list[SearchResult]:
    rows = Task.objects.filter(title__icontains=term).order_by("-created_at", "-id")
    return _rows(rows.values("id", "title"), "task", "task_alt",
                 lambda r: reverse("admin:agent_sessions_task_change", args=[r["id"]]),
                 lambda r: r["title"])  # fmt: skip


def _contacts(term: str) -> list[SearchResult]:
    rows = Contact.objects.filter(Q(name__icontains=term) | Q(company__icontains=term))
    return _rows(rows.order_by("-created_at", "-id").values("id", "name"), "contact", "contacts",
                 lambda r: reverse("admin:contacts_contact_change", args=[r["id"]]),
                 lambda r: r["name"])  # fmt: skip


def _agents(term: str) -> list[SearchResult]:
    rows = Agent.objects.filter(name__icontains=term).order_by("name")
    return _rows(rows.values("id", "name"), "agent", "smart_toy",
                 lambda r: reverse("admin:contacts_agent_change", args=[r["id"]]),
                 lambda r: r["name"])  # fmt: skip
