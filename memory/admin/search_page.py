"""The search page: everything the workspace holds, by words and by meaning, with all filters.

What is asked stands in the address, so that it can be shared and gone back to. A search is kept
as over REST; `receipt` in the address goes on with one that was kept before, so that looking at it
again (a reload, the way back, a verdict) makes no second one.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http import JsonResponse as Json
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from config.lib.db.together import read_together
from config.lib.errors import DomainError, Invalid
from config.lib.ids import read_id
from contacts.admin.access import actor_of, allows, require_entry, require_role
from contacts.admin.scope import outside
from contacts.models import Agent
from contacts.models.workspace import Role
from contacts.preferences import preferences_in
from memory.admin.asking import LIMITS, NAMES, RECEIPT, Asking, address_of, read
from memory.admin.found import ICONS, Reads, Shown, names_of, show_hits
from memory.admin.marks import Piece, pieces_of
from memory.admin.why import Bar, Leg, bars_of, legs_of
from memory.models import Receipt, SearchFeedback
from memory.models.memory import Kind, MemoryState, Trust
from memory.models.passage import PassageKind
from memory.models.receipt import Verdict
from memory.search.schemas import (
    DateUse,
    Hit,
    NeighbourOut,
    SearchAnswer,
    SearchMode,
    SearchQuery,
)
from memory.services.receipts import ask_and_keep, asker_of, give_feedback, request_of
from sessions.models import Project

# Offered while one types a name; any other can be typed as well.
OFFERED = 100
# Of the newest searches so many are looked through for one's own, of which so many are shown.
LOOKED_THROUGH, RECENT = 60, 6
MODES = (
    (SearchMode.HYBRID, "Words and meaning"),
    (SearchMode.LEXICAL, "Words"),
    (SearchMode.SEMANTIC, "Meaning"),
)
DATES = (
    (DateUse.PREFER, "prefer that time"),
    (DateUse.FILTER, "only that time"),
    (DateUse.IGNORE, "read as words"),
)
PLURALS = {
    PassageKind.MEMORY: "Memories",
    PassageKind.MESSAGE: "Messages",
    PassageKind.EVENT: "Events",
    PassageKind.SUMMARY: "Sessions",
    PassageKind.PROJECT: "Projects",
    PassageKind.TASK: "Tasks",
    PassageKind.CONTACT: "Contacts",
}
VERDICTS = (
    (Verdict.USEFUL, "Useful", "thumb_up"),
    (Verdict.WRONG, "Wrong", "thumb_down"),
    (Verdict.OUTDATED, "Outdated", "history"),
)
LABELS = {
    "kinds": "kind", "memory_kinds": "kind of memory", "states": "state", "min_trust": "trust",
    "from": "from", "to": "to", "as_of": "as of", "dates": "times",
}  # fmt: skip
# What says how much is shown, or how, and narrows nothing.
NOT_FILTERS = ("q", "mode", "limit", "dates")


@dataclass(frozen=True, slots=True)
class Row:
    """A hit as the page shows it. `judged` says whether a verdict can be given, `verdict` and
    `note` are the person's own, `total` what the ranking's parts add up to."""

    hit: Hit
    shown: Shown
    pieces: list[Piece]
    legs: list[Leg]
    bars: list[Bar]
    total: float
    before: list[NeighbourOut]
    after: list[NeighbourOut]
    judged: bool
    verdict: str
    note: str


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is set, and the address without it."""

    label: str
    value: str
    without: str


def search_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """GET: the page, with hits where something was asked. `context` is the site's own."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET"])
    held = preferences_in(require_entry(request).workspace.settings)
    asking = read(request.GET, held.timezone)
    kept = _goes_on(request, asking.query)
    answer, took = None, 0.0
    if asking.query is not None:
        query = asking.query.model_copy(update={"explain": True, "receipt": kept is None})
        began = time.perf_counter()
        # The query's vector takes a model's run, and the search opens scopes of its own.
        with outside(request) as workspace_id:
            try:
                answer = ask_and_keep(workspace_id, query, actor=actor_of(request))
            except Invalid as error:
                asking.refuse(error)
        took = (time.perf_counter() - began) * 1000
    # What the form offers, and what the hits are called.
    read_rows = read_together(_offered() | names_of([] if answer is None else answer.hits))
    context |= {"asking": asking, "title": "Search", "took": took, **_choices(asking, read_rows)}
    if answer is None:
        context |= {"recent": _recent(request) if asking.is_empty else []}
    else:
        context |= _found(request, asking, answer, kept, read_rows)
    return TemplateResponse(request, "admin/search/page.html", context)


def feedback(request: HttpRequest) -> HttpResponse:
    """POST `search`, `hit`, `kind`, `verdict`, maybe `note` and `next`: what the person says of a
    hit. Answers JSON to scripts, and leads everybody else back."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    # As over REST, where a key that may search may say so.
    require_role(request, Role.VIEWER)
    sent = {name: request.POST.get(name, "").replace("\x00", "") for name in request.POST}
    script = request.headers.get("Accept", "") == "application/json"
    try:
        said = give_feedback(
            actor=actor_of(request),
            receipt=sent.get("search", ""),
            hit_id=sent.get("hit", ""),
            kind=sent.get("kind", ""),
            verdict=sent.get("verdict", ""),
            note=sent.get("note", "").strip(),
        )
    except DomainError as error:
        if script:
            return Json({"detail": error.detail}, status=422)
        messages.error(request, error.detail)
    else:
        if script:
            return Json({"verdict": said.verdict})
        messages.success(request, f"Noted: {said.verdict}.")
    back = sent.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = reverse("admin:search")
    return HttpResponseRedirect(back)


def _goes_on(request: HttpRequest, query: SearchQuery | None) -> Receipt | None:
    """The person's own search that the address names, if it asked just this."""
    wanted = read_id(request.GET.get(RECEIPT, ""))
    if query is None or wanted is None or isinstance(wanted, str):
        return None
    found = Receipt.objects.filter(pk=wanted, api_key_id=None).first()
    if found is None or found.asker != actor_of(request).label:
        return None
    return found if found.request == request_of(query) else None


def _offered() -> dict[str, QuerySet[Any, Any]]:
    """Two bounded reads."""
    projects = Project.objects.order_by("-created_at", "-id").values("title")
    return {
        "agents": Agent.objects.order_by("name").values("name")[:OFFERED],
        "projects": projects[:OFFERED],
    }


def _choices(asking: Asking, offered: Reads) -> dict[str, Any]:
    """What the form offers."""
    return {
        "modes": MODES,
        "kinds": [(kind, label, ICONS[kind]) for kind, label in PLURALS.items()],
        "memory_kinds": Kind.choices,
        "states": [one for one in MemoryState.choices if one[0] != MemoryState.ERASED],
        "trusts": Trust.choices,
        "dates": DATES,
        "limits": LIMITS,
        "agents": [row["name"] for row in offered["agents"]],
        "projects": list(dict.fromkeys(row["title"] for row in offered["projects"])),
        "chips": _chips(asking),
        "strange": [(n, text) for n, text in asking.errors.items() if n not in NAMES],
    }


def _chips(asking: Asking) -> list[Chip]:
    chips: list[Chip] = []
    for name in NAMES:
        values = asking.given.get(name, [])
        if name in NOT_FILTERS:
            continue
        for value in values:
            rest = [other for other in values if other != value]
            label = LABELS.get(name, name)
            chips.append(Chip(label, value, asking.address(**{name: rest})))
    return chips


def _found(
    request: HttpRequest,
    asking: Asking,
    answer: SearchAnswer,
    kept: Receipt | None,
    read_rows: Reads,
) -> dict[str, Any]:
    """The hits, what was said of them, and what the search could see."""
    receipt_id = answer.receipt_id if kept is None else kept.pk
    said: Mapping[tuple[str, Any], tuple[str, str]] = {}
    known = {(hit.kind.value, str(hit.id)) for hit in answer.hits}
    if kept is not None:
        known = {(hit["kind"], hit["id"]) for hit in kept.hits}
        rows = SearchFeedback.objects.filter(receipt=kept, asker=asker_of(actor_of(request)))
        told = rows.values_list("kind", "hit_id", "verdict", "note")
        said = {(kind, str(hit)): (verdict, note) for kind, hit, verdict, note in told}
    shown = show_hits(answer.hits, read_rows)
    limit = asking.query.limit if asking.query else 0
    more = next((n for n in LIMITS if n > limit), None) if len(answer.hits) == limit else None
    here = asking.address(**{RECEIPT: str(receipt_id)} if receipt_id else {})
    return {
        "answer": answer,
        "rows": [
            _row(hit, answer, shown, judged=receipt_id is not None and key in known,
                 said=said.get(key, ("", "")))
            for hit in answer.hits
            for key in [(hit.kind.value, str(hit.id))]
        ],
        "receipt_id": receipt_id,
        "kept_at_all": settings.RECEIPT_DAYS > 0,
        "here": f"{request.path}?{here}",
        "more": asking.address(limit=more) if more else "",
        "again": asking.address(),
        "by_words_only": "semantic" not in answer.legs and asking.one("mode") != SearchMode.LEXICAL,
        "dates_chosen": asking.one("dates") or DateUse.PREFER.value,
        "only_time": asking.address(dates=DateUse.FILTER.value),
        "no_time": asking.address(dates=DateUse.IGNORE.value),
        "prefer_time": asking.address(dates=None),
        "without_filters": asking.address(
            **{name: None for name in NAMES if name not in NOT_FILTERS}
        ),
        "all_states": asking.address(
            states=[state.value for state in MemoryState if state != MemoryState.ERASED]
        ),
        "verdicts": VERDICTS,
        "pin_url": reverse("admin:memory_receipt_do", args=[receipt_id, "pin"])
        if receipt_id and answer.hits and allows(request, Role.OPERATOR)
        else "",
    }  # fmt: skip


def _row(
    hit: Hit,
    answer: SearchAnswer,
    shown: Mapping[Any, Shown],
    *,
    judged: bool,
    said: tuple[str, str],
) -> Row:
    """`said` is the person's verdict and note."""
    explained = hit.explain
    return Row(
        hit=hit,
        shown=shown[hit.kind.value, str(hit.id)],
        pieces=pieces_of(hit.snippet, hit.text),
        legs=legs_of(explained, answer.legs) if explained else [],
        bars=bars_of(explained) if explained else [],
        total=sum((explained.parts or {}).values()) if explained else 0.0,
        before=[one for one in hit.neighbours if hit.idx is not None and one.idx < hit.idx],
        after=[one for one in hit.neighbours if hit.idx is not None and one.idx > hit.idx],
        judged=judged,
        verdict=said[0],
        note=said[1],
    )


def _recent(request: HttpRequest) -> list[dict[str, Any]]:
    """The person's own last searches, each once. Index receipt_list."""
    label = actor_of(request).label
    rows = Receipt.objects.order_by("-created_at", "-id").values(
        "q", "request", "hit_count", "created_at", "asker", "api_key_id"
    )[:LOOKED_THROUGH]
    mine: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["asker"] == label and row["api_key_id"] is None:
            mine.setdefault(address_of(row["request"]), row)
    return [{**row, "address": address} for address, row in list(mine.items())[:RECENT]]
