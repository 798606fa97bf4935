"""A memory's page for reading: its text, where it comes from, what it rests on, when it holds, and
how it hangs together. Editing is its form, one tab away (memories.py).
"""

import uuid
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q
from django.db.models.functions import JSONObject
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from config.lib.admin import show
from contacts.admin.access import allows, page_of
from contacts.admin.history import compare, describe
from contacts.models.workspace import Role
from contacts.selectors import history
from memory.admin.evidence import evidence_of
from memory.admin.graph import graph_of
from memory.admin.validity import line_of
from memory.models import Memory, MemoryAbout, MemoryDuplicate, SearchFeedback
from memory.models.duplicates import DuplicateState
from sessions.admin.markdown import plain, render

MOST_CHANGES, MOST_FEEDBACK, MOST_PAIRS, MOST_ABOUT = 20, 10, 3, 20
# What is longer is read in full in its form.
MOST_TEXT = 20_000
ABOUT = {
    "contact": "contacts.contact",
    "project": "agent_sessions.project",
    "task": "agent_sessions.task",
}
AFFECT = (("valence", -1.0), ("arousal", 0.0), ("dominance", -1.0), ("intensity", 0.0))
_TABS = (
    ("read", "Memory", "neurology"),
    ("change", "Edit", "edit"),
    ("history", "History", "history"),
)


def reading_url(admin: Any) -> URLPattern:
    view = page_of(admin, read_view)
    return path("<uuid:object_id>/read/", view, name="memory_memory_read")


def read_view(admin: Any, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
    """Eight queries of its own, each bounded."""
    memory = find_memory(object_id)
    if memory is None:
        raise Http404
    changes = list(history(memory.pk)[: MOST_CHANGES + 1])
    beginning = " ".join(memory.text.split())
    graph = graph_of(memory.pk, beginning, memory.kind, memory.state)
    feedback = list(feedback_of(memory.pk)[: MOST_FEEDBACK + 1])
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "original": memory,
        "title": beginning[:80],
        "buttons": admin.buttons(request, memory),
        "links": admin.row_links(request, memory),
        "may_decide": allows(request, Role.REVIEWER),
        **memory_tabs(memory.pk, "read"),
        **shown(memory),
        "line": line_of(memory),
        "affect": affect_of(memory),
        "graph": graph,
        "about": about_of(memory),
        "pairs": pairs_of(memory.pk),
        "changes": describe(changes[:MOST_CHANGES]),
        "made": made_by(changes),
        "older": len(changes) > MOST_CHANGES,
        "feedback": feedback[:MOST_FEEDBACK],
        "more_feedback": len(feedback) > MOST_FEEDBACK,
    }
    return TemplateResponse(request, "admin/memory/read.html", context)


def memory_tabs(pk: uuid.UUID, tab: str) -> dict[str, Any]:
    """The pages of a memory; also on top of its form."""
    return {
        "tab": tab,
        "tabs": [
            {
                "name": name,
                "label": label,
                "icon": icon,
                "url": reverse(f"admin:memory_memory_{name}", args=[pk]),
            }
            for name, label, icon in _TABS
        ],
    }


def find_memory(pk: uuid.UUID) -> Memory | None:
    rows = Memory.objects.select_related("agent", "project", "session", "superseded_by")
    return rows.annotate(told_about=_about()).defer(
        "agent__metadata", "project__description", "project__docs", "project__features",
        "project__data", "project__metadata", "session__prompt", "session__context",
        "session__summary", "session__summary_data", "session__metadata", "superseded_by__data",
        "superseded_by__metadata",
    ).filter(pk=pk).first()  # fmt: skip


def shown(memory: Memory) -> dict[str, Any]:
    """Template context of a memory's text and what it rests on. One query."""
    evidence, more = evidence_of(memory.pk)
    text = memory.text[:MOST_TEXT]
    return {
        "memory": memory,
        "text": render(text) if len(text) < MOST_TEXT else plain(text),
        "text_more": len(memory.text) - len(text),
        "percent": round(memory.confidence * 100),
        "evidence": evidence,
        "evidence_more": more,
    }


def affect_of(memory: Memory) -> list[dict[str, Any]]:
    """Each figure as a bar: {name, value, start, width}, percentages of its range."""
    affect = memory.affect if isinstance(memory.affect, dict) else {}
    found = []
    for name, low in AFFECT:
        value = affect.get(name)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            continue
        place, zero = ((number - low) / (1 - low) * 100 for number in (float(value), 0.0))
        found.append(
            {
                "name": name,
                "value": f"{value:+.2f}" if low < 0 else f"{value:.2f}",
                "start": round(min(place, zero), 1),
                "width": round(abs(place - zero), 1),
            }
        )
    return found


def _about() -> ArraySubquery:
    """Whom and what a memory is about, with the memory itself. Index memoryabout_memory."""
    rows = MemoryAbout.objects.filter(memory_id=OuterRef("pk")).order_by("id")
    told = JSONObject(
        contact_id="contact_id", contact="contact__name",
        project_id="project_id", project="project__title",
        task_id="task_id", task="task__title",
    )  # fmt: skip
    return ArraySubquery(rows.values(told=told)[:MOST_ABOUT])


def about_of(memory: Memory) -> list[dict[str, Any]]:
    """What `_about` found, as the page shows it."""
    found = []
    for one in getattr(memory, "told_about", ()):
        for kind, label in ABOUT.items():
            if one[f"{kind}_id"] is not None:
                url = show.change_url(label, one[f"{kind}_id"])
                found.append({"kind": kind, "name": one[kind], "url": url})
    return found


def pairs_of(pk: uuid.UUID) -> list[dict[str, Any]]:
    """Open near duplicates: what this one says, and what the other one has of it and not. Indexes
    memoryduplicate_unique, memoryduplicate_newer."""
    rows = MemoryDuplicate.objects.filter(
        Q(older_id=pk) | Q(newer_id=pk), state=DuplicateState.OPEN
    ).select_related("older", "newer")
    found = []
    for pair in rows.order_by("-similarity", "-id")[:MOST_PAIRS]:
        mine, other = (pair.older, pair.newer) if pair.older_id == pk else (pair.newer, pair.older)
        pieces = compare(mine.text, other.text)
        found.append(
            {
                "pair": pair,
                "other": other,
                "mine_is": "older" if pair.older_id == pk else "newer",
                "other_is": "newer" if pair.older_id == pk else "older",
                "mine_pieces": [one for one in pieces if one.kind != "new"],
                "other_pieces": [one for one in pieces if one.kind != "gone"],
                "similarity": f"{pair.similarity:.0%}",
                "overlap": f"{pair.overlap:.0%}",
            }
        )
    return found


def feedback_of(pk: uuid.UUID) -> Any:
    """What was said of it in searches, newest first. Index searchfeedback_hit."""
    rows = SearchFeedback.objects.filter(hit_id=pk, kind="memory").select_related("receipt")
    return rows.only(
        "id", "workspace_id", "verdict", "note", "asker_label", "updated_at", "receipt__q",
        "receipt__workspace_id",
    ).order_by("-id")  # fmt: skip


def made_by(changes: list[Any]) -> Any:
    """The Revision that made it, where it is among its latest changes."""
    last = changes[-1] if changes else None
    return last if last is not None and last.action in ("create", "restore") else None
