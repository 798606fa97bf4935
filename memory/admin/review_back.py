"""Taking back what a person decided in the review queue: the last decision, then the one before."""

import uuid
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect

from config.lib.errors import DomainError
from contacts.admin.access import actor_of, require_entry, require_role
from contacts.models.workspace import Role
from memory.admin.review_asked import asked
from memory.services.review import take_back

# The person's own last decisions, so that each can be taken back, the last one first.
REMEMBERED = "review_done"
MOST_REMEMBERED = 20


def remembered(request: HttpRequest) -> list[dict[str, Any]]:
    """The person's last decisions here, oldest first: ids only, no stored text."""
    kept = request.session.get(REMEMBERED, {})
    found: list[dict[str, Any]] = kept.get(str(require_entry(request).workspace.id), [])
    return found


def _keep(request: HttpRequest, done: list[dict[str, Any]]) -> None:
    kept = request.session.get(REMEMBERED, {})
    workspace = str(require_entry(request).workspace.id)
    request.session[REMEMBERED] = {**kept, workspace: done[-MOST_REMEMBERED:]}


def remember(
    request: HttpRequest,
    memory_id: uuid.UUID,
    label: str,
    revisions: Sequence[uuid.UUID],
    *,
    many: int = 1,
) -> None:
    one = {
        "memory": str(memory_id),
        "label": label,
        "revisions": [str(pk) for pk in revisions],
        "many": many,
    }
    _keep(request, [*remembered(request), one])


def last_done(
    done: list[dict[str, Any]], titles: dict[uuid.UUID, dict[str, Any]]
) -> dict[str, Any] | None:
    if not done:
        return None
    one = done[-1]
    row = titles.get(uuid.UUID(one["memory"]))
    title = " ".join(row["beginning"].split()) if row else ""
    return {"label": one["label"], "title": title, "many": one["many"]}


def back_view(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """POST: take back the person's last decision, then look at that memory again."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require_role(request, Role.REVIEWER)
    done = remembered(request)
    if not done:
        messages.info(request, "There is no decision of yours to take back.")
        return HttpResponseRedirect(asked(request).url())
    one = done[-1]
    _keep(request, done[:-1])
    revisions = [uuid.UUID(pk) for pk in one["revisions"]]
    if one["many"] > 1:
        _many_back(request, revisions)
        return HttpResponseRedirect(asked(request).url())
    try:
        with transaction.atomic():
            take_back(actor=actor_of(request), revision_ids=revisions)
    except DomainError as error:
        messages.error(request, f"Not taken back: {error.detail}")
        return HttpResponseRedirect(asked(request).url())
    messages.success(request, "Taken back.")
    return HttpResponseRedirect(asked(request).url(one["memory"]))


def _many_back(request: HttpRequest, revisions: Sequence[uuid.UUID]) -> None:
    """Each by itself: what was changed since stays as it is."""
    left = 0
    for pk in revisions:
        try:
            with transaction.atomic():
                take_back(actor=actor_of(request), revision_ids=[pk])
        except DomainError:
            left += 1
    text = f"{len(revisions) - left:,} taken back"
    messages.success(request, f"{text}, {left:,} were changed since." if left else f"{text}.")
