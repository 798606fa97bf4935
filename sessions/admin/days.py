"""Priorities by day and pool: today's lists first, then the coming days', then yesterday's; and
what is done to lines of such lists, here and on the home page.

Not for the list of all priorities and their forms (priorities.py).
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any, Literal

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from config.lib.errors import Invalid, NotFound
from contacts.admin.access import actor_of, allows, page_of
from contacts.admin.actions import posted_next, run_action
from contacts.admin.forms import normal
from contacts.admin.listing import bounded_count
from contacts.models.workspace import Role
from contacts.selectors import today
from sessions.admin.moves import Move, answer, changed_meanwhile, read_move
from sessions.models import Priority
from sessions.services.priorities import (
    carry_over,
    create_priority,
    move_priority,
    update_priority,
)

AHEAD = timedelta(days=14)
DAY = timedelta(days=1)
# More lines than these are read in the list.
MAX_LINES = 500
COUNTED = 1000
# What a line is in when nobody says so.
MAIN = "main"
URGENCY = {"critical": "red", "high": "amber"}
_LINE = (
    "id", "content", "level", "pool", "date", "carried_from", "completed_at", "version",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pool:
    """A list: of one day and one pool. `key` is how a move names it."""

    key: str
    name: str
    lines: list[dict[str, Any]]
    open: int


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    label: str
    pools: list[Pool]
    is_today: bool = False


def days_urls(admin: Any) -> list[URLPattern]:
    return [
        path("days/", page_of(admin, days_view), name="agent_sessions_priority_days"),
        path("days/do/", page_of(admin, do_view), name="agent_sessions_priority_days_do"),
    ]


def days_view(admin: Any, request: HttpRequest) -> HttpResponse:
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": "Priorities by day",
        **days(request),
    }
    return TemplateResponse(request, "admin/agent_sessions/days.html", context)


def days(request: HttpRequest) -> dict[str, Any]:
    """Context of days_part.html. Two queries, by the indexes priority_day and priority_open."""
    now = today()
    rows = Priority.objects.filter(date__gte=now - DAY, date__lte=now + AHEAD)
    found = list(rows.order_by("date", "position", "id").values(*_LINE)[: MAX_LINES + 1])
    overdue = Priority.objects.filter(completed_at=None, date__lt=now)
    lines = found[:MAX_LINES]
    pools = _ordered({line["pool"] for line in lines} | {MAIN})
    coming = sorted({line["date"] for line in lines if line["date"] > now} | {now + DAY})
    shown = [_day(now, "Today", lines, pools, is_today=True)]
    shown += [_day(day, _label(day, now), lines, []) for day in coming]
    shown.append(_day(now - DAY, "Yesterday", lines, []))
    return {
        "days": shown,
        "overdue": bounded_count(overdue, COUNTED),
        "more": len(found) > MAX_LINES,
        "may_move": allows(request, Role.OPERATOR),
    }


def _ordered(pools: set[str]) -> list[str]:
    return sorted(pools, key=lambda pool: (pool != MAIN, pool))


def _label(day: date, now: date) -> str:
    return "Tomorrow" if day == now + DAY else f"{day:%A}"


def _day(
    day: date,
    label: str,
    lines: Sequence[dict[str, Any]],
    pools: Sequence[str],
    *,
    is_today: bool = False,
) -> Day:
    """With those of `pools`, and its own, that it has; an empty day has one list to begin."""
    mine = [line for line in lines if line["date"] == day]
    names = list(pools) or _ordered({line["pool"] for line in mine}) or [MAIN]
    return Day(day, label, [_pool(day, name, mine) for name in names], is_today)


def _pool(day: date, name: str, lines: Sequence[dict[str, Any]]) -> Pool:
    mine = [{**one, "tone": URGENCY.get(one["level"], "")} for one in lines if one["pool"] == name]
    still = sum(one["completed_at"] is None for one in mine)
    return Pool(list_key(day, name), name, mine, still)


# --- What is done on it -----------------------------------------------------------------------


def do_view(admin: Any, request: HttpRequest) -> HttpResponse:
    """POST a move; or `complete`, `reopen` an id; or `carry`; or `content` for `list`."""
    return answer(
        request,
        partial(_do, admin, request),
        part="admin/agent_sessions/includes/days_part.html",
        context=partial(days, request),
        back=posted_next(request, reverse("admin:agent_sessions_priority_days")),
        explain=lambda error: changed_meanwhile(error, "priority", "the list"),
    )


def _do(admin: Any, request: HttpRequest) -> str:
    actor, sent = actor_of(request), request.POST
    for name, done in (("complete", "is completed"), ("reopen", "is open again")):
        if sent.get(name):
            chosen, row = admin.find_action(request, _id(sent[name]), name)
            run_action(request, chosen, row)
            return f"“{row}” {done}."
    if sent.get("carry"):
        count = len(carry_over(actor=actor))
        return f"{count} carried over to today." if count else "Nothing was left over."
    move = read_move(request)
    if move is not None:
        row = _moved(request, move)
        return f"“{row}” is on the list {row.pool} of {row.date:%A, %d %B} now."
    if "content" in sent:
        content = normal(sent["content"]).strip()
        if not content:
            raise Invalid({"content": "must not be empty"})
        day, pool = _list(sent.get("list", ""))
        pool = normal(sent.get("pool", "")).strip() or pool
        row, _ = create_priority(actor=actor, content=content, date=day, pool=pool)
        return f"“{row}” is added."
    return ""


def _id(value: str) -> uuid.UUID:
    try:
        return uuid.UUID(value)
    except ValueError:
        raise Invalid({"priority": "is no id"}) from None


def list_key(day: date, pool: str) -> str:
    """How a form names one of the lists."""
    return f"{day.isoformat()}|{pool}"


def _list(key: str) -> tuple[date, str]:
    day, _, pool = key.partition("|")
    try:
        return date.fromisoformat(day), pool or MAIN
    except ValueError:
        raise Invalid({"list": "is of no day"}) from None


def _moved(request: HttpRequest, move: Move) -> Priority:
    """Over to another day or pool first, where the place is on such a list."""
    actor, version = actor_of(request), move.version
    if move.column:
        day, pool = _list(move.column)
        row = Priority.objects.filter(pk=move.row_id).first()
        if row is not None and (row.date, row.pool) != (day, pool):
            update_priority(
                actor=actor,
                priority_id=row.pk,
                changes={"date": day, "pool": pool},
                expected_version=version,
            )
            version = None
    place: Literal["top", "bottom"] | None = move.place
    before, after = move.before, move.after
    if move.direction is not None:
        before, after, place = _towards(move)
    elif not (before or after or place):
        place = "bottom"
    return move_priority(
        actor=actor,
        priority_id=move.row_id,
        before=before,
        after=after,
        place=place,
        expected_version=version,
    )


def _towards(
    move: Move,
) -> tuple[uuid.UUID | None, uuid.UUID | None, Literal["top", "bottom"] | None]:
    """(before, after, place) of where a button leads from where the line is now."""
    row = Priority.objects.filter(pk=move.row_id).first()
    if row is None:
        raise NotFound("priority", move.row_id)
    lines = Priority.objects.filter(date=row.date, pool=row.pool)
    here = Q(position=row.position)
    if move.direction == "up":
        above = lines.filter(Q(position__lt=row.position) | here & Q(id__lt=row.pk))
        other = above.order_by("-position", "-id").first()
        return (other.pk, None, None) if other else (None, None, "top")
    below = lines.filter(Q(position__gt=row.position) | here & Q(id__gt=row.pk))
    other = below.order_by("position", "id").first()
    return (None, other.pk, None) if other else (None, None, "bottom")
