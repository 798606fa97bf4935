"""What there is to tell: the episodes that no narrative tells of yet, by session or by day."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate

from config.lib import clock
from contacts.preferences import preferences
from memory.models import ConsolidationRun, Memory
from memory.models.consolidation import ConsolidationState
from memory.models.memory import (
    CONSOLIDATED_METHOD,
    EPISODES,
    STANDING,
    UNVOUCHED,
    MemoryState,
    Trust,
)
from sessions.models import Session

# Fewer say as much by themselves as a text about them.
LEAST_SOURCES = 3
# One run is one transaction.
MOST_GROUPS, MOST_SOURCES = 50, 100


@dataclass(frozen=True, slots=True)
class Group:
    """What one narrative tells of: a session, or a day without one."""

    sources: list[str]
    title: str
    session: str = ""
    day: str = ""
    project: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would read, make and change, and how many it would archive of how many in use."""

    groups: list[Group]
    would_hide: int
    of: int

    @property
    def read(self) -> int:
        return sum(len(group.sources) for group in self.groups)


def plan(*, hides: bool, again: bool = True) -> Plan:
    """What there is to tell, oldest first, at most MOST_GROUPS of it; without `again` nothing that
    a person did not want told. In a scope. Index memory_unconsolidated."""
    untold = untold_rows() if again else untold_rows().exclude(pk__in=_unwanted())
    groups = [*_of_sessions(untold, MOST_GROUPS)]
    groups += _of_days(untold, MOST_GROUPS - len(groups))
    would_hide = of = 0
    if hides and groups:
        ids = [pk for group in groups for pk in group.sources]
        would_hide = may_hide(Memory.objects.filter(pk__in=ids)).count()
        of = Memory.objects.filter(state=MemoryState.ACTIVE).count()
    return Plan(groups, would_hide, of)


def untold_rows() -> QuerySet[Memory]:
    return Memory.objects.filter(
        ~Q(trust=Trust.EXTERNAL),
        ~Q(method=CONSOLIDATED_METHOD),
        state=MemoryState.ACTIVE,
        consolidated=False,
        kind__in=EPISODES,
    )


def _unwanted() -> set[str]:
    """What runs told that were taken back, or would have told that were dismissed."""
    states = (ConsolidationState.REVERTED, ConsolidationState.DISMISSED)
    runs = ConsolidationRun.objects.filter(state__in=states).values_list("groups", flat=True)
    return {pk for groups in runs for group in groups for pk in group["sources"]}


def may_hide(rows: QuerySet[Memory]) -> QuerySet[Memory]:
    """What a run may archive: nothing that a person vouched for or pinned, nothing that holds."""
    return rows.filter(trust__in=UNVOUCHED, pinned=False).exclude(kind__in=STANDING)


def _of_sessions(untold: QuerySet[Memory], most: int) -> Iterable[Group]:
    told = (
        untold.filter(session__ended_at__isnull=False)
        .values("session_id", "project_id")
        .annotate(rows=Count("id"))
        .filter(rows__gte=LEAST_SOURCES)
        .order_by("session_id", "project_id")[:most]
    )
    for one in told:
        rows = untold.filter(session_id=one["session_id"], project_id=one["project_id"])
        session = Session.objects.get(pk=one["session_id"])
        yield Group(
            sources=_ids(rows),
            title=session.name or f"Session of {session.created_at:%Y-%m-%d}",
            session=str(session.pk),
            project=str(one["project_id"] or ""),
        )


def _of_days(untold: QuerySet[Memory], most: int) -> list[Group]:
    zone = preferences().timezone
    today = clock.now().astimezone(zone).date()
    told = (
        untold.filter(session=None)
        .annotate(day=TruncDate("recorded_at", tzinfo=zone))
        .values("day", "project_id")
        .annotate(rows=Count("id"))
        .filter(rows__gte=LEAST_SOURCES, day__lt=today)
        .order_by("day", "project_id")[: max(0, most)]
    )
    return [
        Group(
            sources=_ids(
                untold.filter(session=None, project_id=one["project_id"], **_on(one["day"], zone))
            ),
            title=f"{one['day']:%Y-%m-%d}",
            day=f"{one['day']:%Y-%m-%d}",
            project=str(one["project_id"] or ""),
        )
        for one in told
    ]


def _on(day: date, zone: Any) -> dict[str, datetime]:
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    after = day + timedelta(days=1)
    end = datetime(after.year, after.month, after.day, tzinfo=zone)
    return {"recorded_at__gte": start, "recorded_at__lt": end}


def _ids(rows: QuerySet[Memory]) -> list[str]:
    return [str(pk) for pk in rows.order_by("id").values_list("id", flat=True)[:MOST_SOURCES]]
