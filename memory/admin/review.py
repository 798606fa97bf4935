"""The review queue: one memory at a time, with the reason it waits and what it rests on, beside the
next ones; decided by keys or by buttons, one by one or many at once, and taken back.

Who decides and what that means: services/review.py. What waits: selectors_review.py.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.db import transaction
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from config.lib.errors import DomainError, Invalid, NotFound, Stale
from config.lib.scope import current_workspace_id
from contacts.admin.access import actor_of, allows, require_entry, require_role
from contacts.admin.forms import normal, posted_reason, posted_version
from contacts.models import ApiKey
from contacts.models.workspace import Role
from contacts.selectors import history
from memory.admin.reading import find_memory, made_by, pairs_of, shown
from memory.admin.reasons import reasons_of
from memory.models import Memory
from memory.models.duplicates import Kept
from memory.models.memory import Kind
from memory.search.corpus import Kept as KeptSeconds
from memory.selectors_review import (
    BADGE,
    WINDOW,
    Entry,
    Queue,
    ReviewFilter,
    Why,
    around,
    contradictions_of,
    review_queue,
    waiting_count,
)
from memory.services.duplicates import dismiss_duplicate
from memory.services.memories import update_memory
from memory.services.review import (
    approve_memory,
    last_change,
    merge_reviewed,
    reject_memory,
    take_back,
)

BEFORE, AFTER = 2, 12
MOST_OTHERS, MOST_CHANGES = 5, 10
# Decided in one request, with a Revision each.
MOST_AT_ONCE = 200
SAMPLE = 12
PREVIEW = 160
# The person's own last decisions, so that each can be taken back, the last one first.
REMEMBERED = "review_done"
MOST_REMEMBERED = 20
FILTERS = ("agent", "key", "session", "source", "kind")
# Without one of these a bulk decision would be about everything.
BULK_NEEDS = ("agent", "key", "session", "source")
LABELS = {
    Why.PROPOSED: "Proposed",
    Why.QUARANTINED: "Quarantined",
    Why.CONTRADICTING: "Contradicting",
    Why.UNSURE: "Low confidence",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address says: which part of the queue, and where in it."""

    wanted: ReviewFilter
    why: Why | None
    at: uuid.UUID | None

    @property
    def filters(self) -> dict[str, str]:
        found = {name: getattr(self.wanted, name) for name in FILTERS}
        values = {name: str(value) for name, value in found.items() if value}
        return {**values, **({"why": self.why.value} if self.why else {})}

    def url(self, at: object = None, **changed: str) -> str:
        """The queue with these filters, `changed` ones changed (empty ones left out)."""
        values = {**self.filters, **changed, **({"at": str(at)} if at else {})}
        query = urlencode({name: value for name, value in values.items() if value})
        address = reverse("admin:review")
        return f"{address}?{query}" if query else address


def review_urls(site: AdminSite) -> list[URLPattern]:
    """The queue's addresses, below the site's."""

    def guarded(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        def run(request: HttpRequest, **found: Any) -> HttpResponse:
            require_role(request, Role.VIEWER)
            request.current_app = site.name
            if request.method == "POST":
                _counted.keep(current_workspace_id(), 0, 0.0)
            return view(site, request, **found)

        return site.admin_view(run)

    return [
        path("review/", guarded(queue_view), name="review"),
        path("review/many/", guarded(many_view), name="review_many"),
        path("review/back/", guarded(back_view), name="review_back"),
        path("review/<uuid:memory_id>/", guarded(decide_view), name="review_decide"),
    ]


# The sidebar of every page says how many wait; no page counts them anew for it.
COUNTED_SECONDS = 15.0
_counted: KeptSeconds[int] = KeptSeconds(1000)


def badge(request: HttpRequest) -> str:
    """For the sidebar: how many wait, `99+` at most, nothing where none does. Some seconds old,
    unless somebody has decided in this process."""
    workspace_id = current_workspace_id()
    count = _counted.get(workspace_id)
    if count is None:
        count = waiting_count()
        _counted.keep(workspace_id, count, COUNTED_SECONDS)
    if not count:
        return ""
    return f"{BADGE}+" if count > BADGE else str(count)


# --- The page ---------------------------------------------------------------------------------


def asked(request: HttpRequest) -> Asked:
    """Out of the address; what is no id, kind or reason asks for nothing."""
    values = {name: request.GET.get(name, "").replace("\x00", "").strip() for name in FILTERS}
    why = request.GET.get("why", "")
    return Asked(
        wanted=ReviewFilter(
            agent=_id(values["agent"]),
            key=_id(values["key"]),
            session=_id(values["session"]),
            source=values["source"][:60],
            kind=values["kind"] if values["kind"] in Kind.values else "",
        ),
        why=Why(why) if why in set(Why) else None,
        at=_id(request.GET.get("at", "")),
    )


def _id(value: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(value)
    except ValueError:
        return None


def queue_view(site: AdminSite, request: HttpRequest) -> HttpResponse:
    return _page(site, request, asked(request))


def _page(
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
        _counted.keep(current_workspace_id(), sum(queue.counts.values()), COUNTED_SECONDS)
    entries = queue.entries
    at = next((n for n, one in enumerate(entries) if one.id == wanted.at), 0)
    done = _remembered(request)
    beside = around(entries, at, before=BEFORE, after=AFTER)
    titles = _titles([one.id for one in beside] + [uuid.UUID(one["memory"]) for one in done[-1:]])
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": "Review",
        "asked": wanted,
        "query": urlencode(wanted.filters),
        "tabs": _tabs(queue, wanted),
        "rows": [_row(one, titles, wanted, entries[at]) for one in beside],
        "place": at + 1,
        "total": len(entries),
        "at_least": bool(queue.more if wanted.why is None else wanted.why in queue.more),
        "window": WINDOW,
        "before": max(0, at - BEFORE),
        "beyond": max(0, len(entries) - at - 1 - AFTER),
        "choices": _choices(queue, wanted),
        "chips": _chips(queue, wanted),
        "bulk": any(getattr(wanted.wanted, name) for name in BULK_NEEDS),
        "may_decide": allows(request, Role.REVIEWER),
        "may_edit": allows(request, Role.OPERATOR),
        "last": _last(done, titles),
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
    others = contradictions_of(memory.pk, MOST_OTHERS)
    changes = list(history(memory.pk)[:MOST_CHANGES])
    after = entries[at + 1].id if at + 1 < len(entries) else None
    before = entries[at - 1].id if at else None
    return {
        **shown(memory),
        "reasons": reasons_of(memory, others, changes),
        "others": others,
        "pairs": pairs_of(memory.pk),
        "made": made_by(changes),
        "next_id": after or before,
        "next_url": wanted.url(after) if after else None,
        "previous_url": wanted.url(before) if before else None,
    }


def _titles(ids: list[uuid.UUID]) -> dict[uuid.UUID, dict[str, Any]]:
    rows = Memory.objects.filter(pk__any_of=ids).annotate(beginning=Left("text", PREVIEW))
    columns = ("id", "beginning", "kind", "confidence", "trust")
    return {row["id"]: row for row in rows.values(*columns)}


def _row(
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

    total = sum(queue.counts.values())
    everything = {
        "label": "All",
        "url": wanted.url(why=""),
        "count": counted(total, bool(queue.more)),
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


def _choices(queue: Queue, wanted: Asked) -> list[dict[str, Any]]:
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


def _chips(queue: Queue, wanted: Asked) -> list[dict[str, str]]:
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


# --- Deciding ---------------------------------------------------------------------------------


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
            return _page(site, request, here, typed=_typed(request), status=status)
        return HttpResponseRedirect(wanted.url(memory_id))
    if revisions:
        _remember(request, memory_id, decision.done, revisions)
    stays = action in ("edit", "dismiss")
    following = memory_id if stays else _id(request.POST.get("next", ""))
    if not revisions:
        messages.success(request, f"{decision.done}.")
    return HttpResponseRedirect(wanted.url(following))


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
    dismiss_duplicate(actor=actor_of(request), duplicate_id=_pair(request))
    return []


def _pair(request: HttpRequest) -> uuid.UUID:
    found = _id(request.POST.get("pair", ""))
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
}


# --- Taking back ------------------------------------------------------------------------------


def _remembered(request: HttpRequest) -> list[dict[str, Any]]:
    """The person's last decisions here, oldest first: ids only, no stored text."""
    kept = request.session.get(REMEMBERED, {})
    found: list[dict[str, Any]] = kept.get(str(require_entry(request).workspace.id), [])
    return found


def _keep(request: HttpRequest, done: list[dict[str, Any]]) -> None:
    kept = request.session.get(REMEMBERED, {})
    workspace = str(require_entry(request).workspace.id)
    request.session[REMEMBERED] = {**kept, workspace: done[-MOST_REMEMBERED:]}


def _remember(
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
    _keep(request, [*_remembered(request), one])


def _last(
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
    done = _remembered(request)
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


# --- Many at once -----------------------------------------------------------------------------


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
    titles = _titles([one.id for one in chosen[:SAMPLE]])
    context = {
        **site.each_context(request),
        "title": f"{action.capitalize()} many",
        "action": action,
        "asked": wanted,
        "query": urlencode({**wanted.filters, "action": action}),
        "count": len(chosen),
        "beyond": len(queue.entries) - len(chosen),
        "at_least": bool(queue.more),
        "sample": [_row(one, titles, wanted, chosen[0]) for one in chosen[:SAMPLE]],
        "unshown": max(0, len(chosen) - SAMPLE),
        "by_why": [(LABELS[name], sum(one.why == name for one in chosen)) for name in Why],
        "chips": _said_filters(queue, wanted),
        "ids": " ".join(f"{pk}:{version}" for pk, version in versions.items()),
    }
    return TemplateResponse(request, "admin/memory/review_many.html", context)


def _said_filters(queue: Queue, wanted: Asked) -> list[str]:
    said = [chip["label"] for chip in _chips(queue, wanted)]
    for choice in _choices(queue, wanted):
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
        memory_id = _id(pk)
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
        _remember(request, last, label, revisions, many=len(revisions))
    if left:
        messages.warning(request, f"{left:,} were changed meanwhile and left as they are.")
    return HttpResponseRedirect(wanted.url())
