"""Priorities: the lines of a day's lists, one list for each pool.

A list belongs to a day in the workspace's own time zone. Whoever puts lines on a list holds the
lock of the workspace's lists, so that places are taken, and days carried over, one after the other.
"""

import uuid
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from django.db.models import QuerySet

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Invalid
from contacts.selectors import today
from contacts.services import funnel
from sessions.models import Priority
from sessions.services.ordering import (
    lock_workspace_lists,
    place_at_end,
    place_at_top,
    place_beside,
    refuse_stale,
)

EDITABLE = frozenset({"content", "level", "pool", "date", "metadata"})
ON_CREATION = EDITABLE | {"source", "external_id"}
# As many as a request has time for; the job goes on with the rest.
MAX_CARRIED = 500


def create_priority(*, actor: Actor, content: str, **fields: Any) -> tuple[Priority, bool]:
    """A line at the end of its day's list, today's unless `date` says otherwise; (line, is new).

    With `external_id` (and `source`) set, a line of that identity is returned as it is instead of
    made again.
    """
    unknown = fields.keys() - ON_CREATION
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be set on a priority"))
    if fields.get("external_id"):
        fields["source"] = fields.get("source") or "api"
        known = Priority.objects.filter(source=fields["source"], external_id=fields["external_id"])
        found = known.first()
        if found is not None:
            return found, False
    lock_workspace_lists()
    row = Priority(content=content, **{"date": today(), **fields})
    row.position = place_at_end(_list(row.date, row.pool), "position")
    return funnel.create(row, actor=actor), True


def update_priority(
    *,
    actor: Actor,
    priority_id: uuid.UUID,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str = "",
) -> Priority:
    """Change a line. With another day or pool it goes to the end of that list; a day that a person
    gave it is its first."""
    changes = dict(changes)
    unknown = changes.keys() - EDITABLE
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be changed on a priority"))
    lock_workspace_lists()
    row = funnel.get_row(Priority, priority_id, lock=True)
    day, pool = changes.get("date", row.date), changes.get("pool", row.pool)
    if (day, pool) != (row.date, row.pool):
        changes["position"] = place_at_end(_list(day, pool), "position")
        if day != row.date:
            changes["carried_from"] = None
    return funnel.update(
        row, changes, actor=actor, expected_version=expected_version, reason=reason
    )


def move_priority(
    *,
    actor: Actor,
    priority_id: uuid.UUID,
    before: uuid.UUID | None = None,
    after: uuid.UUID | None = None,
    place: Literal["top", "bottom"] | None = None,
    expected_version: int | None = None,
) -> Priority:
    """Move a line on its list: right before or after another one, or to the top or bottom. Stale
    where `expected_version` is given and is not the line's.

    Raises Invalid unless exactly one of the three is given, and for a line of another list.
    """
    given = [name for name, v in {"before": before, "after": after, "place": place}.items() if v]
    if len(given) != 1:
        wrong = given or ["place"]
        raise Invalid(dict.fromkeys(wrong, "give one of before, after and place"))
    lock_workspace_lists()
    row = funnel.get_row(Priority, priority_id, lock=True)
    refuse_stale(row, expected_version)
    others = _list(row.date, row.pool).exclude(pk=row.pk)
    beside = before or after
    if beside is not None:
        neighbour = funnel.get_row(Priority, beside)
        if neighbour.pk == row.pk:
            raise Invalid({given[0]: "is the priority itself"})
        if (neighbour.date, neighbour.pool) != (row.date, row.pool):
            raise Invalid({given[0]: "is on another list: of another day or pool"})
        position = place_beside(others, "position", neighbour, before=before is not None)
    elif place == "top":
        position = place_at_top(others, "position")
    else:
        position = place_at_end(others, "position")
    return funnel.update(row, {"position": position}, actor=actor, action="move")


def complete_priority(*, actor: Actor, priority_id: uuid.UUID, reason: str = "") -> Priority:
    """Done. Completing twice changes nothing: the first completed_at stays."""
    row = funnel.get_row(Priority, priority_id, lock=True)
    if row.completed_at is not None:
        return row
    changes = {"completed_at": clock.now()}
    return funnel.update(row, changes, actor=actor, action="complete", reason=reason)


def reopen_priority(*, actor: Actor, priority_id: uuid.UUID, reason: str = "") -> Priority:
    """Open again, on the day it is on; an earlier day's is carried over with the next ones."""
    row = funnel.get_row(Priority, priority_id, lock=True)
    return funnel.update(row, {"completed_at": None}, actor=actor, action="reopen", reason=reason)


def delete_priority(
    *, actor: Actor, priority_id: uuid.UUID, expected_version: int | None = None, reason: str = ""
) -> None:
    row = funnel.get_row(Priority, priority_id, lock=True)
    funnel.delete(row, actor=actor, expected_version=expected_version, reason=reason)


def has_overdue() -> bool:
    """Whether an earlier day has open lines. Index priority_open."""
    return Priority.objects.filter(completed_at=None, date__lt=today()).exists()


def carry_over(*, actor: Actor) -> list[Priority]:
    """Put up to 500 open lines of earlier days on today's lists, behind what is there; those lines.

    They keep their order among each other, and the first day each was on. Doing it again finds
    nothing more to do, and of two at once the second waits and finds nothing.
    """
    lock_workspace_lists()
    day = today()
    rows = Priority.objects.filter(completed_at=None, date__lt=day)
    overdue = list(rows.order_by("date", "id").select_for_update(no_key=True)[:MAX_CARRIED])
    overdue.sort(key=lambda row: (row.date, row.position, row.id))
    for row in overdue:
        changes = {
            "date": day,
            "carried_from": row.carried_from or row.date,
            "position": place_at_end(_list(day, row.pool), "position"),
        }
        funnel.update(row, changes, actor=actor, action="carry_over")
    return overdue


def _list(day: date, pool: str) -> QuerySet[Priority]:
    """Index priority_pool."""
    return Priority.objects.filter(date=day, pool=pool)
