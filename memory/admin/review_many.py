"""Deciding on many of the review queue at once: what it would be about first, then those alone."""

import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from config.lib.errors import DomainError, Invalid, NotFound
from contacts.admin.access import actor_of, require_role
from contacts.admin.forms import posted_reason
from contacts.models.workspace import Role
from memory.admin.review_asked import BULK_NEEDS, LABELS, Asked, asked, read_id
from memory.admin.review_back import remember
from memory.admin.review_page import chips_of, choices_of, row_of, titles_of
from memory.models import Memory
from memory.selectors_review import Queue, Why, review_queue
from memory.services.review import approve_memory, last_change, reject_memory

# Decided in one request, with a Revision each.
MOST_AT_ONCE = 200
SAMPLE = 12


def many_view(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """GET `action` approve or reject, and filters: what that would be about. POST: do it, with
    exactly those that were shown."""
    require_role(request, Role.REVIEWER)
    wanted = asked(request)
    action = request.GET.get("action", "")
    if action not in ("approve", "reject"):
        raise NotFound("decision", action[:40])
    if not any(getattr(wanted.wanted, name) for name in BULK_NEEDS):
        messages.error(request, "Choose an agent, a key, a session or a source first.")
        return HttpResponseRedirect(wanted.url())
    if request.method == "POST":
        return _decide_many(request, wanted, action)
    queue = review_queue(wanted.wanted, wanted.why)
    chosen = queue.entries[:MOST_AT_ONCE]
    rows = Memory.objects.filter(pk__any_of=[one.id for one in chosen])
    versions = dict(rows.values_list("id", "version"))
    titles = titles_of([one.id for one in chosen[:SAMPLE]])
    context = {
        **site.each_context(request),
        "title": f"{action.capitalize()} many",
        "action": action,
        "asked": wanted,
        "query": urlencode({**wanted.filters, "action": action}),
        "count": len(chosen),
        "beyond": len(queue.entries) - len(chosen),
        "at_least": bool(queue.more),
        "sample": [row_of(one, titles, wanted, chosen[0]) for one in chosen[:SAMPLE]],
        "unshown": max(0, len(chosen) - SAMPLE),
        "by_why": [(LABELS[name], sum(one.why == name for one in chosen)) for name in Why],
        "chips": _said_filters(queue, wanted),
        "ids": " ".join(f"{pk}:{version}" for pk, version in versions.items()),
    }
    return TemplateResponse(request, "admin/memory/review_many.html", context)


def _said_filters(queue: Queue, wanted: Asked) -> list[str]:
    said = [chip["label"] for chip in chips_of(queue, wanted)]
    for choice in choices_of(queue, wanted):
        said += [
            f"{choice['label']} {one.label}"
            for one in choice["options"]
            if one.value == choice["value"]
        ]
    return said


def _decide_many(request: HttpRequest, wanted: Asked, action: str) -> HttpResponse:
    shown_ids = request.POST.get("ids", "").split()[: MOST_AT_ONCE + 1]
    if len(shown_ids) > MOST_AT_ONCE:
        raise Invalid({"ids": f"at most {MOST_AT_ONCE} at once"})
    decide: Any = approve_memory if action == "approve" else reject_memory
    revisions: list[uuid.UUID] = []
    last: uuid.UUID | None = None
    for one in shown_ids:
        pk, _, version = one.partition(":")
        memory_id = read_id(pk)
        if memory_id is None or not version.isdecimal():
            continue
        try:
            with transaction.atomic():
                decide(
                    actor=actor_of(request),
                    memory_id=memory_id,
                    expected_version=int(version),
                    reason=posted_reason(request),
                )
        except DomainError:
            # Changed or gone since it was shown: nobody has looked at what it is now.
            continue
        revisions.append(last_change(memory_id))
        last = memory_id
    done = "approved" if action == "approve" else "rejected"
    left = len(shown_ids) - len(revisions)
    if last is not None:
        label = f"{len(revisions):,} {done}"
        remember(request, last, label, revisions, many=len(revisions))
    if left:
        messages.warning(request, f"{left:,} were changed meanwhile and left as they are.")
    return HttpResponseRedirect(wanted.url())
