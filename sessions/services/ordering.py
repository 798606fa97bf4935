"""Places in an ordered list: a board's column of tasks, a day's list of priorities.

A row's place is a number, and of equal ones the older row comes first. There is room between most
numbers, so that a move writes one row; where there is none, the rows behind it are shifted. The
caller holds the list's lock, so two moves never see the same room. Not for what a list is.
"""

from typing import Any

from django.db.models import F, QuerySet
from django.db.models.fields.tuple_lookups import (
    TupleGreaterThan,
    TupleGreaterThanOrEqual,
    TupleLessThan,
)

from config.lib.db.models import VersionedRow
from config.lib.errors import Stale
from config.lib.scope import current_workspace_id
from contacts.models import Workspace

# Ten moves to one and the same place fit in between before anything is shifted.
STEP = 1024


def lock_workspace_lists() -> None:
    """Wait for others who order lists that belong to the workspace as a whole."""
    Workspace.objects.select_for_update(no_key=True).get(pk=current_workspace_id())


def refuse_stale(row: VersionedRow, expected_version: int | None) -> None:
    """For a locked row, before a place is taken beside it: making room would write others."""
    if expected_version is not None and expected_version != row.version:
        name = str(row._meta.verbose_name)
        raise Stale(name, expected=expected_version, actual=row.version)


def place_at_end(rows: QuerySet[Any], column: str) -> int:
    """The number of a row behind all of `rows`."""
    last = rows.order_by(f"-{column}", "-id").values_list(column, flat=True).first()
    return STEP if last is None else max(last, 0) + STEP


def place_at_top(rows: QuerySet[Any], column: str) -> int:
    """The number of a row before all of `rows`."""
    first = rows.order_by(column, "id").first()
    return STEP if first is None else place_beside(rows, column, first, before=True)


def place_beside(rows: QuerySet[Any], column: str, neighbour: VersionedRow, *, before: bool) -> int:
    """A number right before or after `neighbour` among `rows`, which hold it but not the row that
    is moved. Shifts what follows where there is no room: their own order stays, and nobody
    changed them, so they get neither version nor Revision."""
    own = (F(column), F("id"))
    key = (getattr(neighbour, column), neighbour.pk)
    if before:
        upper = key[0]
        lower = rows.filter(TupleLessThan(own, key)).order_by(f"-{column}", "-id")
        beside = lower.values_list(column, flat=True).first()
        if beside is None:
            # Numbers may be positive only.
            if upper >= 2:
                return int(upper // 2)
        elif upper - beside >= 2:
            return int((upper + beside) // 2)
        behind = rows.filter(TupleGreaterThanOrEqual(own, key))
    else:
        behind = rows.filter(TupleGreaterThan(own, key))
        beside = behind.order_by(column, "id").values_list(column, flat=True).first()
        if beside is None:
            return int(key[0]) + STEP
        if beside - key[0] >= 2:
            return int((beside + key[0]) // 2)
    behind.update(**{column: F(column) + 2 * STEP})
    return int(key[0]) + STEP
