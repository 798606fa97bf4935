"""The review queue's page: one memory with what speaks for and against it, beside the next ones."""

import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from contacts.admin.access import allows
from contacts.models import ApiKey
from contacts.models.workspace import Role
from contacts.selectors import history
from memory.admin.reading import find_memory, made_by, pairs_of, shown
from memory.admin.reasons import reasons_of
from memory.admin.review_asked import BULK_NEEDS, LABELS, Asked, asked
from memory.admin.review_back import last_done, remembered
from memory.admin.review_count import note_count
from memory.models import Memory, MemoryLink
from memory.models.memory import Kind
from memory.selectors_review import (
    WINDOW,
    Entry,
    Queue,
    Why,
    around,
    review_queue,
)
from memory.services.contradictions import open_contradictions

BEFORE, AFTER = 2, 12
# How the rules of contradictions are told; another's is told by its link alone.
DIFFERING = {
    "negation": "One denies what the other one says.",
    "changed_value": "They differ in one value.",
    "changed_date": "They differ in a date.",
    "replaced": "One says that this has been replaced.",
    "model": "A language model said so.",
}
MOST_OTHERS, MOST_CHANGES = 5, 10
PREVIEW = 160


class Against:
    """A contradiction as one of its two memories sees it."""

    def __init__(self, link: MemoryLink, mine: uuid.UUID) -> None:
        self.link = link
        self.is_newer = link.source_id == mine
        self.other = link.target if self.is_newer else link.source
        self.said = DIFFERING.get(str(link.metadata.get("rule", "")), "")
        # Whole sentences stand above and below.
        changed = str(link.metadata.get("rule", "")).startswith("changed")
        self.words = link.metadata.get("words", []) if changed else []


def queue_view(site: AdminSite, request: HttpRequest) -> HttpResponse:
    return page(site, request, asked(request))


def page(
    site: AdminSite,
    request: HttpRequest,
    wanted: Asked,
    *,
    typed: dict[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    """The queue at one memory. `typed` is what a person wrote that could not be saved."""
    queue = review_queue(wanted.wanted, wanted.why)
    if not wanted.filters:
        note_count(queue.total)
    entries = queue.entries
    at = next((n for n, one in enumerate(entries) if one.id == wanted.at), 0)
    done = remembered(request)
    beside = around(entries, at, before=BEFORE, after=AFTER)
    titles = titles_of([one.id for one in beside] + [uuid.UUID(one["memory"]) for one in done[-1:]])
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": "Review",
        "asked": wanted,
        "query": urlencode(wanted.filters),
        "tabs": _tabs(queue, wanted),
        "rows": [row_of(one, titles, wanted, entries[at]) for one in beside],
        "place": at + 1,
        "total": len(entries),
        "at_least": bool(queue.more if wanted.why is None else wanted.why in queue.more),
        "window": WINDOW,
        "before": max(0, at - BEFORE),
        "beyond": max(0, len(entries) - at - 1 - AFTER),
        "choices": choices_of(queue, wanted),
        "chips": chips_of(queue, wanted),
        "bulk": any(getattr(wanted.wanted, name) for name in BULK_NEEDS),
        "may_decide": allows(request, Role.REVIEWER),
        "may_edit": allows(request, Role.OPERATOR),
        "last": last_done(done, titles),
        "kinds": Kind.choices,
    }
    if entries:
        context |= _current(entries, at, wanted)
        memory = context["memory"]
        # What was typed belongs to the memory it was typed for; that one may be decided by now.
        kept = typed if memory.pk == wanted.at else None
        context["typed"] = kept or {
            "text": memory.text,
            "kind": memory.kind,
            "tags": "\n".join(memory.tags),
        }
        context["editing"] = kept is not None
    return TemplateResponse(request, "admin/memory/review.html", context, status=status)


def _current(entries: Sequence[Entry], at: int, wanted: Asked) -> dict[str, Any]:
    """Context of the memory that is looked at: five queries."""
    memory = find_memory(entries[at].id)
    assert memory is not None, "it was read in this transaction"
    against = [Against(link, memory.pk) for link in open_contradictions(memory.pk, MOST_OTHERS)]
    others = [one.other for one in against]
    changes = list(history(memory.pk)[:MOST_CHANGES])
    after = entries[at + 1].id if at + 1 < len(entries) else None
    before = entries[at - 1].id if at else None
    return {
        **shown(memory),
        "reasons": reasons_of(memory, others, changes),
        "against": against,
        "pairs": pairs_of(memory.pk),
        "made": made_by(changes),
        "next_id": after or before,
        "next_url": wanted.url(after) if after else None,
        "previous_url": wanted.url(before) if before else None,
    }


def titles_of(ids: list[uuid.UUID]) -> dict[uuid.UUID, dict[str, Any]]:
    rows = Memory.objects.filter(pk__any_of=ids).annotate(beginning=Left("text", PREVIEW))
    columns = ("id", "beginning", "kind", "confidence", "trust")
    return {row["id"]: row for row in rows.values(*columns)}


def row_of(
    one: Entry, titles: dict[uuid.UUID, dict[str, Any]], wanted: Asked, current: Entry
) -> dict[str, Any]:
    return {
        "entry": one,
        "title": " ".join(titles[one.id]["beginning"].split()),
        "confidence": round(titles[one.id]["confidence"] * 100),
        "label": LABELS[one.why],
        "url": wanted.url(one.id),
        "current": one is current,
    }


def _tabs(queue: Queue, wanted: Asked) -> list[dict[str, Any]]:
    def counted(count: int, more: bool) -> str:
        return f"{count:,}+" if more else f"{count:,}"

    everything = {
        "label": "All",
        "url": wanted.url(why=""),
        "count": counted(queue.total, bool(queue.more)),
        "active": wanted.why is None,
    }
    return [
        everything,
        *(
            {
                "label": LABELS[name],
                "url": wanted.url(why=name.value),
                "count": counted(queue.counts[name], name in queue.more),
                "active": wanted.why == name,
            }
            for name in Why
        ),
    ]


def choices_of(queue: Queue, wanted: Asked) -> list[dict[str, Any]]:
    """The filters that can be chosen: what those that wait have."""
    return [
        {"name": name, "label": label, "options": options, "value": wanted.filters.get(name, "")}
        for name, label, options in (
            ("agent", "Agent", queue.agents),
            ("session", "Session", queue.sessions),
            ("source", "Source", queue.sources),
            ("kind", "Kind", queue.kinds),
        )
    ]


def chips_of(queue: Queue, wanted: Asked) -> list[dict[str, str]]:
    """A chosen filter that no select shows, and how to leave it. One query where a key is asked."""
    found = []
    if wanted.wanted.key is not None:
        key = ApiKey.objects.filter(pk=wanted.wanted.key).values_list("name", flat=True).first()
        found.append(
            {"label": f"Saved by key {key or wanted.wanted.key}", "url": wanted.url(key="")}
        )
    for name, options in (("agent", queue.agents), ("session", queue.sessions),
                          ("source", queue.sources), ("kind", queue.kinds)):  # fmt: skip
        value = wanted.filters.get(name, "")
        if value and value not in {one.value for one in options}:
            found.append({"label": f"{name.capitalize()} {value}", "url": wanted.url(**{name: ""})})
    return found
