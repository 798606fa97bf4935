"""One decision of the review queue about one memory, then on to the next one."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect

from config.lib.errors import DomainError, Invalid, NotFound, Stale
from contacts.admin.access import actor_of, require_role
from contacts.admin.forms import normal, posted_reason, posted_version
from contacts.models.workspace import Role
from memory.admin.review_asked import Asked, asked, read_id
from memory.admin.review_back import remember
from memory.admin.review_page import page
from memory.models import Memory
from memory.models.duplicates import Kept
from memory.models.memory import MemoryState
from memory.services.contradictions import Decision as Contradicting
from memory.services.contradictions import decide_contradiction
from memory.services.duplicates import dismiss_duplicate
from memory.services.memories import update_memory
from memory.services.review import (
    approve_memory,
    last_change,
    merge_reviewed,
    reject_memory,
)

# Of two that contradict each other, said of the one under review.
HOLDS = "Stays in use, in place of what it contradicts"
GIVES_WAY = "Superseded by what it contradicts"


def decide_view(site: AdminSite, request: HttpRequest, memory_id: uuid.UUID) -> HttpResponse:
    """POST `action`: one decision about one memory, then on to the next one."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require_role(request, Role.REVIEWER)
    wanted = asked(request)
    action = request.POST.get("action", "")
    decision = DECISIONS.get(action)
    if decision is None:
        raise NotFound("decision", action[:40])
    if decision.role is not Role.REVIEWER:
        require_role(request, decision.role)
    try:
        with transaction.atomic():
            revisions = decision.run(request, memory_id)
    except DomainError as error:
        messages.error(request, _refusal(error))
        if action.startswith("edit"):
            here = Asked(wanted.wanted, wanted.why, memory_id)
            status = 422 if isinstance(error, Invalid) else 409
            return page(site, request, here, typed=_typed(request), status=status)
        return HttpResponseRedirect(wanted.url(memory_id))
    if revisions:
        remember(request, memory_id, _done(decision, memory_id), revisions)
    stays = action in ("edit", "dismiss")
    following = memory_id if stays else read_id(request.POST.get("next", ""))
    if not revisions:
        messages.success(request, f"{decision.done}.")
    return HttpResponseRedirect(wanted.url(following))


def _done(decision: "Decision", memory_id: uuid.UUID) -> str:
    """What came of it for the memory that it stands beside on the page."""
    states = Memory.objects.filter(pk=memory_id).values_list("state", flat=True)
    if decision.done == HOLDS and states.first() == MemoryState.SUPERSEDED:
        return GIVES_WAY
    return decision.done


def _refusal(error: DomainError) -> str:
    if isinstance(error, Stale):
        return (
            "Somebody changed this memory while you looked at it. Nothing was decided; look again."
        )
    if isinstance(error, Invalid):
        return " ".join(f"{name}: {text}." for name, text in error.errors.items())
    return error.detail


def _typed(request: HttpRequest) -> dict[str, str]:
    return {name: normal(request.POST.get(name, "")) for name in ("text", "kind", "tags")}


def _edits(request: HttpRequest) -> dict[str, Any]:
    typed = _typed(request)
    tags = [line.strip() for line in typed["tags"].splitlines()]
    return {"text": typed["text"], "kind": typed["kind"], "tags": [tag for tag in tags if tag]}


def _approve(request: HttpRequest, memory_id: uuid.UUID) -> list[uuid.UUID]:
    approve_memory(actor=actor_of(request), memory_id=memory_id,
                   expected_version=posted_version(request),
                   reason=posted_reason(request))  # fmt: skip
    return [last_change(memory_id)]


def _reject(request: HttpRequest, memory_id: uuid.UUID) -> list[uuid.UUID]:
    reject_memory(actor=actor_of(request), memory_id=memory_id,
                  expected_version=posted_version(request),
                  reason=posted_reason(request))  # fmt: skip
    return [last_change(memory_id)]


def _edit(request: HttpRequest, memory_id: uuid.UUID) -> list[uuid.UUID]:
    version = posted_version(request)
    memory = update_memory(actor=actor_of(request), memory_id=memory_id, changes=_edits(request),
                           expected_version=version, reason=posted_reason(request))  # fmt: skip
    return [last_change(memory_id)] if memory.version != version else []


def _edit_approve(request: HttpRequest, memory_id: uuid.UUID) -> list[uuid.UUID]:
    approve_memory(actor=actor_of(request), memory_id=memory_id, changes=_edits(request),
                   expected_version=posted_version(request),
                   reason=posted_reason(request))  # fmt: skip
    return [last_change(memory_id)]


def _merge(keep: Kept) -> Callable[[HttpRequest, uuid.UUID], list[uuid.UUID]]:
    def run(request: HttpRequest, memory_id: uuid.UUID) -> list[uuid.UUID]:
        _, revisions = merge_reviewed(
            actor=actor_of(request),
            duplicate_id=_pair(request),
            keep=keep,
            reason=posted_reason(request),
        )
        return revisions

    return run


def _dismiss(request: HttpRequest, memory_id: uuid.UUID) -> list[uuid.UUID]:
    dismiss_duplicate(
        actor=actor_of(request), duplicate_id=_pair(request), reason=posted_reason(request)
    )
    return []


def _contradiction(decision: Contradicting) -> Callable[[HttpRequest, uuid.UUID], list[uuid.UUID]]:
    def run(request: HttpRequest, memory_id: uuid.UUID) -> list[uuid.UUID]:
        link_id = read_id(request.POST.get("link", ""))
        if link_id is None:
            raise NotFound("contradiction", request.POST.get("link", "")[:40])
        decide_contradiction(
            actor=actor_of(request),
            link_id=link_id,
            decision=decision,
            reason=posted_reason(request),
        )
        return [last_change(link_id)]

    return run


def _pair(request: HttpRequest) -> uuid.UUID:
    found = read_id(request.POST.get("pair", ""))
    if found is None:
        raise NotFound("near duplicate", request.POST.get("pair", "")[:40])
    return found


@dataclass(frozen=True, slots=True)
class Decision:
    """`run` returns the changes it made, in their order, where they can be taken back."""

    done: str
    run: Callable[[HttpRequest, uuid.UUID], list[uuid.UUID]]
    role: Role = Role.REVIEWER


DECISIONS = {
    "approve": Decision("Approved", _approve),
    "reject": Decision("Rejected", _reject),
    "edit": Decision("Saved", _edit, Role.OPERATOR),
    "edit-approve": Decision("Edited and approved", _edit_approve, Role.OPERATOR),
    "keep-older": Decision("Merged", _merge(Kept.OLDER)),
    "keep-newer": Decision("Merged", _merge(Kept.NEWER)),
    "dismiss": Decision("Noted: they are two", _dismiss),
    "against-newer": Decision(HOLDS, _contradiction(Contradicting.KEEP_NEWER)),
    "against-older": Decision(HOLDS, _contradiction(Contradicting.KEEP_OLDER)),
    "against-both": Decision("Both are kept", _contradiction(Contradicting.KEEP_BOTH)),
    "against-none": Decision(
        "Noted: they do not contradict each other", _contradiction(Contradicting.DISMISS)
    ),
}
