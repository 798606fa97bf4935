"""Moves on pages of ordered lists, as a browser sends them, with a script or without.

A script names a place (`item`, `version`, `column`, and one of `before`, `after`, `place`); a
button names a direction (`move=ID:VERSION:up`). Both are answered with the page's lists as they
are: to a script alone (`part`), else by the page itself. Not for what a move does: the services.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse

from config.lib.errors import Conflict, DomainError, Invalid, NotFound, Stale
from contacts.admin.access import require_role
from contacts.models.workspace import Role

Direction = Literal["up", "down", "left", "right"]
DIRECTIONS: tuple[Direction, ...] = ("up", "down", "left", "right")


@dataclass(frozen=True, slots=True)
class Move:
    """`direction` is a button's; without it `column`, where it is to be another one, and a place
    in it: beside a row, or `place`."""

    row_id: uuid.UUID
    version: int | None
    direction: Direction | None = None
    column: str = ""
    before: uuid.UUID | None = None
    after: uuid.UUID | None = None
    place: Literal["top", "bottom"] | None = None


def read_move(request: HttpRequest) -> Move | None:
    """None where the form is about something else. Invalid for what no page of ours sends."""
    sent = request.POST
    if sent.get("move"):
        row_id, _, rest = sent["move"].partition(":")
        version, _, way = rest.partition(":")
        direction = next((one for one in DIRECTIONS if one == way), None)
        if direction is None:
            raise Invalid({"move": "is none of up, down, left and right"})
        return Move(_id("move", row_id), _number(version), direction)
    if not sent.get("item"):
        return None
    place = sent.get("place") or None
    if place not in (None, "top", "bottom"):
        raise Invalid({"place": "is top or bottom"})
    before, after = (
        _id(name, sent[name]) if sent.get(name) else None for name in ("before", "after")
    )
    return Move(
        _id("item", sent["item"]),
        _number(sent.get("version", "")),
        column=sent.get("column", "")[:200],
        place=place,  # type: ignore[arg-type]
        before=before,
        after=after,
    )


def _id(name: str, value: str) -> uuid.UUID:
    try:
        return uuid.UUID(value)
    except ValueError:
        raise Invalid({name: "is no id"}) from None


def _number(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None


def changed_meanwhile(error: DomainError, what: str, lists: str) -> str:
    """Why nothing was done, to somebody who looks at `lists` (the board)."""
    match error:
        case NotFound():
            why = f"This {what}, or the one beside it, is gone."
        case Stale() | Conflict():
            why = f"Somebody moved or changed this {what} meanwhile."
        case Invalid(errors=found) if found.keys() & {"before", "after"}:
            why = f"The {what} beside it was moved meanwhile."
        case _:
            return error.detail
    return f"{why} Nothing was moved; this is {lists} as it is now."


def answer(
    request: HttpRequest,
    do: Callable[[], str],
    *,
    part: str,
    context: Callable[[], dict[str, Any]],
    back: str,
    explain: Callable[[DomainError], str],
) -> HttpResponse:
    """Run `do`, an operator's POST, which returns what happened in a sentence.

    The lists as they are then (template `part`), with 409 where it was refused; to a browser
    without the script the page `back`, which shows the sentence.
    """
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require_role(request, Role.OPERATOR)
    said = problem = ""
    try:
        with transaction.atomic():
            said = do()
    except DomainError as error:
        problem = explain(error)
    if "part" not in request.POST:
        if problem:
            messages.error(request, problem)
        elif said:
            messages.success(request, said)
        return HttpResponseRedirect(back)
    shown = {**context(), "said": problem or said, "problem": bool(problem)}
    return TemplateResponse(request, part, shown, status=409 if problem else 200)
