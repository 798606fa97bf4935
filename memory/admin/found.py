"""Rows that a search found, as pages show them: what each is called, and where it is read.

Shared by the search page, the palette, the pages of searches that were made and asking again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.safestring import SafeString

from config.lib.admin import show
from config.lib.db.together import read_together
from config.lib.ids import short_id
from config.lib.scope import current_workspace_id
from contacts.models import Contact
from memory.models.memory import Kind
from memory.models.passage import PassageKind
from memory.search.schemas import Hit
from sessions.admin.threads import message_url
from sessions.models import SessionEvent, Task

# Where a row has its page, by its kind.
PAGES = {
    "memory": "memory.memory",
    "summary": "agent_sessions.session",
    "event": "agent_sessions.sessionevent",
    "message": "agent_sessions.message",
    "project": "agent_sessions.project",
    "task": "agent_sessions.task",
    "contact": "contacts.contact",
}
ICONS = {
    "memory": "neurology",
    "summary": "forum",
    "event": "bolt",
    "message": "chat_bubble",
    "project": "folder",
    "task": "task_alt",
    "contact": "contacts",
}
BEGINNING = 200
Key = tuple[str, str]
# What read_together gives.
Reads = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A row that was found: what it is called, and its place."""

    title: str
    url: str
    icon: str
    of: str = ""


def row_link(kind: str, row_id: object) -> SafeString:
    """The row by its id: its text is shown where it is kept."""
    return show.link(row_url(kind, row_id), f"{kind} {str(row_id).replace('-', '')[-12:]}")


def row_url(kind: str, row_id: object) -> str:
    if kind == PassageKind.SUMMARY:
        return reverse("admin:agent_sessions_session_conversation", args=[row_id])
    return show.change_url(PAGES[kind], row_id) or ""


def show_hits(hits: Iterable[Hit], read: Reads | None = None) -> dict[Key, Shown]:
    """(kind, id) -> how it is shown. One statement, by primary keys; none where hits say it all,
    or where `names_of` them has been read already."""
    hits = list(hits)
    if read is None:
        read = read_together(names_of(hits))
    names = {row["id"]: row for kind in _NAMED for row in read.get(kind, ())}
    return {(hit.kind.value, str(hit.id)): _shown(hit, names.get(hit.id, {})) for hit in hits}


_NAMED = (PassageKind.EVENT, PassageKind.TASK, PassageKind.CONTACT)


def names_of(hits: Sequence[Hit]) -> dict[str, QuerySet[Any, Any]]:
    """To be read together: what a hit does not say of itself, an event's type and place, a task's
    and contact's name."""
    asked: dict[str, QuerySet[Any, Any]] = {
        PassageKind.EVENT: SessionEvent.objects.values("id", "seq", "event_type"),
        PassageKind.TASK: Task.objects.values("id", "title"),
        PassageKind.CONTACT: Contact.objects.values("id", "name"),
    }
    return {
        kind: rows.filter(pk__in=ids)
        for kind, rows in asked.items()
        if (ids := [hit.id for hit in hits if hit.kind == kind])
    }


def _shown(hit: Hit, names: Mapping[str, Any]) -> Shown:
    icon, url = ICONS[hit.kind], row_url(hit.kind, hit.id)
    session = hit.session or (f"Session {short_id(hit.session_id)}" if hit.session_id else "")
    match hit.kind:
        case PassageKind.MEMORY:
            title = Kind(hit.memory_kind).label if hit.memory_kind else "Memory"
        case PassageKind.MESSAGE:
            title = f"{(hit.role or 'message').capitalize()} · {session}"
            if hit.thread_id is not None and hit.idx is not None:
                url = message_url(hit.thread_id, hit.idx)
        case PassageKind.EVENT:
            title = f"{names.get('event_type', 'event')} · {session}"
            if names and hit.session_id is not None:
                page = reverse("admin:agent_sessions_session_events", args=[hit.session_id])
                # The page begins behind a number, and shows the event as the first.
                url = f"{page}?after={max(names['seq'] - 1, 0)}#e-{names['seq']}"
        case PassageKind.SUMMARY:
            title = session
        case PassageKind.PROJECT:
            title = hit.project or "Project"
        case PassageKind.TASK:
            title = names.get("title", "Task")
        case PassageKind.CONTACT:
            title = names.get("name", "Contact")
    return Shown(" ".join(title.split()) or hit.kind.label, url, icon, session)


def beginnings(kept: Iterable[Mapping[str, Any]]) -> dict[Key, str]:
    """(kind, id) -> the beginning of the passage that was found then, where it is still there.

    `kept` are hits of a receipt. Indexes passage_of_*_unique.
    """
    wanted: dict[str, list[tuple[str, int]]] = {}
    for hit in kept:
        wanted.setdefault(hit["kind"], []).append((hit["id"], hit["chunk"]))
    if not wanted:
        return {}
    statements: list[str] = []
    parameters: list[Any] = []
    for kind, rows in wanted.items():
        column = f"of_{PassageKind(kind).value}_id"
        statements.append(
            f"SELECT %s, {column}::text, left(text, %s) FROM memory_passage "  # noqa: S608
            f"WHERE workspace_id = %s AND ({column}, chunk) IN "
            "(SELECT * FROM unnest(%s::uuid[], %s::int[]))"
        )
        ids, chunks = zip(*rows, strict=True)
        parameters += [kind, BEGINNING, current_workspace_id(), list(ids), list(chunks)]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(statements), parameters)
        return {(kind, row_id): text for kind, row_id, text in cursor.fetchall()}
