"""Reads of priorities."""

import datetime
from typing import Any, TypedDict

from django.db.models import QuerySet

from sessions.models import Priority
from sessions.schemas_priorities import PriorityOut
from sessions.selectors import columns

Rows = QuerySet[Any, dict[str, Any]]


class PriorityFilter(TypedDict, total=False):
    """What a list of priorities can be narrowed by; None and absent ask for nothing."""

    date: datetime.date | None
    since: datetime.date | None
    until: datetime.date | None
    pool: str | None
    level: str | None
    completed: bool | None


_LOOKUPS = {"since": "date__gte", "until": "date__lte"}


def list_priorities(wanted: PriorityFilter) -> tuple[Rows, list[str]]:
    """(rows, their order). A day's in their place: index priority_day, or priority_pool. All days,
    the newest first: index priority_list; level, completion and pool are checked on its rows."""
    conditions: dict[str, Any] = {
        _LOOKUPS.get(name, name): value
        for name, value in wanted.items()
        if value is not None and name != "completed"
    }
    completed = wanted.get("completed")
    if completed is not None:
        conditions["completed_at__isnull"] = not completed
    rows = Priority.objects.filter(**conditions).values(*columns(Priority, PriorityOut))
    return rows, ["position", "id"] if wanted.get("date") else ["-date", "-id"]
