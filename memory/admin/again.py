"""A search that was made, asked again: its hits of then and of now beside each other."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from config.lib.errors import DomainError
from contacts.admin.scope import outside
from memory.admin.found import ICONS, Key, Shown, beginnings, row_url, show_hits
from memory.admin.marks import Piece, pieces_of
from memory.models import Receipt
from memory.search.schemas import SearchAnswer
from memory.services.receipts import Replay, replay


@dataclass(frozen=True, slots=True)
class Line:
    """A hit on one side. `tone` colours `change`, which is empty where nothing differs."""

    rank: int
    score: float
    title: str
    url: str
    icon: str
    pieces: list[Piece]
    change: str = ""
    tone: str = "grey"
    gone: bool = False


def ask_again(request: HttpRequest, receipt_id: uuid.UUID, context: dict[str, Any]) -> HttpResponse:
    """The page. A search that cannot be made any more says why instead."""
    row = Receipt.objects.filter(pk=receipt_id).first()
    if row is None:
        raise Http404
    found, problem = None, ""
    with outside(request) as workspace_id:
        try:
            found = replay(workspace_id, str(receipt_id))
        except DomainError as error:
            problem = error.detail
    context |= {"receipt": row, "title": "Ask again", "problem": problem}
    if found is not None:
        shown = show_hits(found.answer.hits)
        context |= {
            "replay": found,
            "then": _then(found, shown),
            "now": _now(found, shown),
            "moved": len(found.moved),
            "came": len(found.came),
            "went": len(found.went),
        }
    return TemplateResponse(request, "admin/search/again.html", context)


def _then(found: Replay, shown: Mapping[Key, Shown]) -> list[Line]:
    went = {(hit["kind"], hit["id"]): hit for hit in found.went}
    moved = _moves(found)
    texts = beginnings(found.receipt.hits)
    lines = []
    for hit in found.receipt.hits:
        key = hit["kind"], hit["id"]
        of = shown.get(key)
        change, tone = ("", "grey")
        if key in went:
            change, tone = ("deleted", "red") if went[key]["deleted"] else ("not found now", "red")
        elif key in moved:
            change, tone = f"now #{moved[key][1]}", "blue"
        lines.append(
            Line(
                rank=hit["rank"],
                score=hit["score"],
                title=of.title if of else hit["kind"].capitalize(),
                url=of.url if of else row_url(*key),
                icon=ICONS[hit["kind"]],
                pieces=[(texts[key], False)] if key in texts else [],
                change=change,
                tone=tone,
                gone=key in went and went[key]["deleted"],
            )
        )
    return lines


def _now(found: Replay, shown: Mapping[Key, Shown]) -> list[Line]:
    came = {(hit["kind"], hit["id"]) for hit in found.came}
    moved = _moves(found)
    return [
        Line(
            rank=rank,
            score=hit.score,
            title=shown[key].title,
            url=shown[key].url,
            icon=shown[key].icon,
            pieces=pieces_of(hit.snippet, hit.text),
            change="new" if key in came else _step(moved.get(key)),
            tone="green" if key in came or _rose(moved.get(key)) else "amber",
        )
        for rank, key, hit in _ranked(found.answer)
    ]


def _ranked(answer: SearchAnswer) -> list[tuple[int, Key, Any]]:
    return [(rank, (hit.kind.value, str(hit.id)), hit) for rank, hit in enumerate(answer.hits, 1)]


def _moves(found: Replay) -> dict[Key, tuple[int, int]]:
    """(kind, id) -> its rank before and now."""
    return {(hit["kind"], hit["id"]): (hit["rank_before"], hit["rank"]) for hit in found.moved}


def _rose(move: tuple[int, int] | None) -> bool:
    return move is not None and move[1] < move[0]


def _step(move: tuple[int, int] | None) -> str:
    if move is None:
        return ""
    before, now = move
    arrow = "↑" if now < before else "↓"
    return f"{arrow} {abs(before - now)}, was #{before}"
