"""The command palette (Ctrl-K): a page, an action, a row by its name, or what a search finds.

Names are looked up within the newest rows of each kind, so that a keystroke costs the same at a
million rows; the words of all rows are the product's search's.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import structlog
from django.db import DatabaseError
from django.db.models import Q, QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.urls import reverse
from pydantic import ValidationError

from config.lib.db.together import read_together
from config.lib.errors import DomainError
from config.settings.unfold import UNFOLD
from contacts.admin.access import allows, require_entry
from contacts.admin.scope import outside
from contacts.models import Agent, Contact
from contacts.models.workspace import Role
from memory.admin.found import show_hits
from memory.admin.marks import Piece, pieces_of
from memory.search.ask import ask
from memory.search.schemas import SearchAnswer, SearchQuery
from sessions.models import Project, Session, Task

log = structlog.get_logger()

PER_KIND, PAGES, OPENING, HITS = 4, 5, 6, 6
TITLE = 120
# The newest of each kind that are looked through for a name.
LOOKED_THROUGH = 2000
# Longer than this nobody waits between two keys; the search page has the answer then.
SECONDS = 0.3
# What a person may begin from anywhere, by the role that it takes.
ACTIONS = (
    ("New memory", "admin:memory_memory_add", "neurology", Role.OPERATOR),
    ("New task", "admin:agent_sessions_task_add", "task_alt", Role.OPERATOR),
    ("New project", "admin:agent_sessions_project_add", "folder", Role.OPERATOR),
    ("New contact", "admin:contacts_contact_add", "contacts", Role.OPERATOR),
    ("New agent", "admin:contacts_agent_add", "smart_toy", Role.OPERATOR),
    ("New API key", "admin:contacts_apikey_add", "key", Role.OWNER),
    ("Invite a person", "admin:contacts_invitation_add", "mail", Role.OWNER),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the palette. `pieces` is the title with what matched."""

    pieces: list[Piece]
    what: str
    url: str
    icon: str

    @property
    def title(self) -> str:
        return "".join(part for part, _ in self.pieces)


@dataclass(frozen=True, slots=True)
class Group:
    """Lines under one heading."""

    name: str
    entries: list[Entry]


def groups(request: HttpRequest, term: str) -> list[Group]:
    """Pages and actions, rows by name, what a search finds, and the way to all of it: two
    statements beside the search's, stopped at a few rows. Without a term: where one goes most."""
    if not term:
        return [Group("Go to", _pages("")[:OPENING]), Group("Begin", _actions(request, ""))]
    answer = _ask(request, term)
    names = _named(term)
    everywhere = Entry(
        [(f"Search everything for “{term}”", False)],
        "words and meaning",
        f"{reverse('admin:search')}?{urlencode({'q': term})}",
        "search",
    )
    found = [
        Group("Go to", [*_pages(term)[:PAGES], *_actions(request, term)]),
        Group("Named so", names),
        Group("Found", _hits(answer, {one.url for one in names})),
        Group("Search", [everywhere]),
    ]
    return [group for group in found if group.entries]


def _ask(request: HttpRequest, term: str) -> SearchAnswer | None:
    """By words and meaning as far as that is quick; nothing where it is not."""
    workspace_id: uuid.UUID = require_entry(request).workspace.id
    asked = {"q": term, "limit": HITS, "rerank": False, "receipt": False}
    with outside(request):
        try:
            return ask(workspace_id, SearchQuery.model_validate(asked), seconds=SECONDS)
        except DatabaseError as error:
            log.info("palette_search_late", error=type(error).__name__)
        except (DomainError, ValidationError):
            # It cannot be looked for; its name may still be one.
            pass
    return None


def _hits(answer: SearchAnswer | None, shown_already: set[str]) -> list[Entry]:
    if answer is None or "recent" in answer.legs:
        return []
    shown = show_hits(answer.hits)
    entries = []
    for hit in answer.hits:
        row = shown[hit.kind.value, str(hit.id)]
        if row.url not in shown_already:
            pieces = pieces_of(hit.snippet, hit.text)
            entries.append(Entry(pieces, f"{hit.kind.value} · {row.title}", row.url, row.icon))
    return entries


def _pages(term: str) -> list[Entry]:
    """What the sidebar leads everybody to."""
    entries = [one for part in UNFOLD["SIDEBAR"]["navigation"] for one in part["items"]]
    return [
        Entry(_marked(one["title"], term), "page", str(one["link"]), one["icon"])
        for one in entries
        if "permission" not in one and term.lower() in one["title"].lower()
    ]


def _actions(request: HttpRequest, term: str) -> list[Entry]:
    return [
        Entry(_marked(title, term), "action", reverse(page), icon)
        for title, page, icon, role in ACTIONS
        if term.lower() in title.lower() and allows(request, role)
    ]


def _marked(title: str, term: str) -> list[Piece]:
    """The first place of the term in the title, whatever its case."""
    title = " ".join(title.split())[:TITLE]
    start = title.lower().find(term.lower())
    # Another case may have another length, as that of some letters has.
    if start < 0 or len(title.lower()) != len(title):
        return [(title, False)]
    end = start + len(term)
    pieces = [(title[:start], False), (title[start:end], True), (title[end:], False)]
    return [piece for piece in pieces if piece[0]]


def _newest(rows: QuerySet[Any, Any], wanted: Q) -> QuerySet[Any, Any]:
    """Those of the newest rows, by primary key, whose name has the term."""
    newest = rows.order_by("-id").values("pk")[:LOOKED_THROUGH]
    return rows.filter(wanted, pk__in=newest).order_by("-id")


@dataclass(frozen=True, slots=True)
class Named:
    """A kind of rows that are looked for by name: the rows (values() that begin with `id` and what
    they are called, the first that is not empty), and the page that each has."""

    kind: str
    icon: str
    page: str
    find: Callable[[str], QuerySet[Any, Any]]


def _sessions(term: str) -> QuerySet[Any, Any]:
    # What follows in a prompt is in the session's first message, which the search knows.
    rows = Session.objects.annotate(asked=Left("prompt", TITLE))
    named = _newest(rows, Q(name__icontains=term) | Q(asked__icontains=term))
    return named.values("id", "name", "asked")


def _contacts(term: str) -> QuerySet[Any, Any]:
    wanted = Q(name__icontains=term) | Q(company__icontains=term)
    return _newest(Contact.objects.all(), wanted).values("id", "name")


NAMED = (
    Named("session", "forum", "admin:agent_sessions_session_conversation", _sessions),
    Named("task", "task_alt", "admin:agent_sessions_task_change",
          lambda term: _newest(Task.objects.all(), Q(title__icontains=term)).values("id", "title")),
    Named("project", "folder", "admin:agent_sessions_project_change",
          lambda term: _newest(Project.objects.all(), Q(title__icontains=term))
          .values("id", "title")),
    Named("contact", "contacts", "admin:contacts_contact_change", _contacts),
    Named("agent", "smart_toy", "admin:contacts_agent_change",
          lambda term: Agent.objects.filter(name__icontains=term).order_by("name")
          .values("id", "name")),
)  # fmt: skip


def _named(term: str) -> list[Entry]:
    """Rows by their names, PER_KIND of each kind. One statement."""
    found = read_together({one.kind: one.find(term)[:PER_KIND] for one in NAMED})
    entries = []
    for one in NAMED:
        for row in found[one.kind]:
            row_id, *names = row.values()
            title = next(filter(None, names), one.kind)
            url = reverse(one.page, args=[row_id])
            entries.append(Entry(_marked(title, term), one.kind, url, one.icon))
    return entries
