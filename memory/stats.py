"""How much there is: what the job has counted (services/counts.py), and what came since.

No table is counted from its beginning: what is kept is added to the newest rows, of which at most
MOST are looked at, and each figure that is not of this very moment says so. Before the job's first
run, and in small workspaces for ever, nothing is kept and the newest rows are all there are.
"""

import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from config.lib import clock
from config.lib.scope import current_workspace_id
from memory.counted import BY_DAY, COUNTED, PENDING, START, Counted, live, newest
from memory.models import DayCount, EmbeddingSpace, Passage, RowCount
from memory.models.memory import MemoryState
from memory.models.passage import COLUMNS, Lane, Slot, SpaceState
from memory.models.passage import PENDING as PENDING_IN

# More new rows than this since the job's last run are a bulk import: their number is given as
# "at least".
MOST = 5000


@dataclass(slots=True)
class Figure:
    """One table's counts. `counted_at` is null where they are of this moment; `exact` is False
    where there are more rows than were looked at."""

    by: Counter[tuple[str, str]] = field(default_factory=Counter)
    counted_at: datetime | None = None
    exact: bool = True

    @property
    def total(self) -> int:
        return self.by.total()

    def by_state(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for (state, _), count in self.by.items():
            found[state] += count
        return {state: found[state] for state in sorted(found) if found[state]}


def read_stats() -> dict[str, Any]:
    """As schemas_stats.StatsOut. Seven statements, whatever there is."""
    figures = _figures()
    # Index embeddingspace_one_active
    space = EmbeddingSpace.objects.filter(state=SpaceState.ACTIVE).first()
    slot = Slot(space.slot) if space else Slot.FIRST
    index, pending_since = _index(figures["passages"], slot)
    sessions = figures["sessions"]
    return {
        "agents": figures["agents"].total,
        "agents_by_status": figures["agents"].by_state(),
        "projects": figures["projects"].total,
        "projects_by_state": figures["projects"].by_state(),
        "contacts": figures["contacts"].total,
        "contacts_by_state": figures["contacts"].by_state(),
        "threads": figures["threads"].total,
        "threads_by_status": figures["threads"].by_state(),
        "sessions": {
            "total": sessions.total,
            "by_state": sessions.by_state(),
            "events": figures["events"].total,
            "messages": figures["messages"].total,
        },
        "memories": _memories(figures["memories"]),
        **{
            what: {"total": figures[what].total, "by_state": figures[what].by_state()}
            for what in (
                "tasks", "workers", "scheduled_missions", "missions", "priorities", "pings",
                "notifications", "staged_content", "handoffs",
            )
        },
        "index": index,
        "embedding": _embedding(space),
        "queue": {"lag_seconds": _queue_lag()},
        "kept": pending_since | {
            what: {"counted_at": figure.counted_at, "exact": figure.exact}
            for what, figure in figures.items()
            if figure.counted_at is not None or not figure.exact
        },
    }  # fmt: skip


def _figures() -> dict[str, Figure]:
    kept = {row.what: row for row in RowCount.objects.all() if row.what in COUNTED}
    figures = {what: _kept(each, kept.get(what)) for what, each in COUNTED.items()}
    after = [(each, _after(kept.get(what))) for what, each in COUNTED.items()]
    seen: Counter[str] = Counter()
    for what, state, kind, _, count in newest(after, MOST + 1, days=False):
        figures[what].by[state, kind] += count
        seen[what] += count
    for what in COUNTED:
        figures[what].exact = seen[what] <= MOST
    _correct(figures, [COUNTED[what] for what in kept if COUNTED[what].live])
    return figures


def _after(row: RowCount | None) -> uuid.UUID:
    return row.counted_to if row else START


def _kept(each: Counted, row: RowCount | None) -> Figure:
    figure = Figure()
    if row is not None:
        for name, count in row.counts.items():
            state, _, kind = name.partition("/")
            figure.by[state, kind] += count
        # Of what changes no state only the number matters, and that is brought up to date more
        # often than all rows are gone through.
        figure.counted_at = row.recounted_at if each.changes else row.counted_at
    return figure


def _correct(figures: dict[str, Figure], asked: list[Counted]) -> None:
    """What may still change its state is few and in an index of its own: counted as it is."""
    now: dict[str, Counter[tuple[str, str]]] = {each.what: Counter() for each in asked}
    for what, state, kind, _, count in live(asked, MOST + 1):
        now[what][state, kind] += count
    for each in asked:
        found, figure = now[each.what], figures[each.what]
        if found.total() <= MOST:
            rest = max(0, figure.total - found.total())
            figure.by = Counter({**found, (each.rest, ""): rest})


def _memories(figure: Figure) -> dict[str, Any]:
    active: dict[str, int] = {}
    for (state, kind), count in sorted(figure.by.items()):
        if state == MemoryState.ACTIVE and count:
            active[kind] = count
    return {"total": figure.total, "by_state": figure.by_state(), "by_kind": active}


def _index(passages: Figure, slot: Slot) -> tuple[dict[str, Any], dict[str, Any]]:
    """The index's figures, and the age of what is pending where it is not of this moment.

    Index passage_pending or passage_second_pending, of which at most MOST entries are read; a
    longer queue is what the job found.
    """
    pending_is = COLUMNS[slot].pending.format("")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM memory_passage WHERE workspace_id = %s "  # noqa: S608
            f"AND {pending_is} LIMIT %s) w), "
            "(SELECT count(*) FROM (SELECT 1 FROM memory_passage WHERE workspace_id = %s "
            f"AND {pending_is} AND lane = %s LIMIT %s) r)",
            [current_workspace_id(), MOST + 1, current_workspace_id(), Lane.REFUSED, MOST + 1],
        )
        pending, refused = cursor.fetchone()
    age: dict[str, Any] = {}
    if pending > MOST:
        row = RowCount.objects.filter(what=PENDING).first()
        pending = max(pending, row.counts[""]) if row else pending
        age = {PENDING: {"counted_at": row and row.counted_at, "exact": row is not None}}
    pending = min(pending, passages.total)
    figures = {
        "passages": passages.total,
        "embedded": passages.total - pending,
        "pending": pending,
        "refused": refused,
        "lag_seconds": _embedding_lag(slot) if pending else 0.0,
    }
    return figures, age


def _embedding_lag(slot: Slot) -> float:
    """How long the passage that waits longest has waited. Index passage_pending, or
    passage_second_pending."""
    waiting = Passage.objects.filter(PENDING_IN[slot])
    oldest = [
        made
        for lane in (Lane.INTERACTIVE, Lane.BULK)
        for made in waiting.filter(lane=lane)
        .order_by("id")
        .values_list("created_at", flat=True)[:1]
    ]
    return max(0.0, (clock.now() - min(oldest)).total_seconds()) if oldest else 0.0


def _embedding(space: EmbeddingSpace | None) -> dict[str, Any]:
    return {
        "provider": space.provider if space else settings.EMBEDDING_PROVIDER,
        "model": space.model if space else None,
        "dimensions": space.dimensions if space else None,
    }


def _queue_lag() -> float:
    """How long the job that is due longest has waited for a worker: of the whole installation,
    whose workspaces share the workers. Index procrastinate_jobs_id_lock_idx_v1."""
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT greatest(e.at, j.scheduled_at) FROM procrastinate_jobs j "
            "JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred' "
            "WHERE j.status = 'todo' AND (j.scheduled_at IS NULL OR j.scheduled_at <= %s) "
            "ORDER BY j.id LIMIT 1",
            [now],
        )
        row = cursor.fetchone()
    return max(0.0, (now - row[0]).total_seconds()) if row else 0.0


# --- Over time --------------------------------------------------------------------------------


def read_days(days: int) -> dict[str, Any]:
    """As schemas_stats.DaysOut: the last `days` days of UTC up to today, oldest first. Index
    daycount_unique, and of what came since the job the primary keys."""
    kept = {row.what: row for row in RowCount.objects.all() if row.what in COUNTED}
    today = clock.now().date()
    first = today - timedelta(days=days - 1)
    found: Counter[tuple[date, str]] = Counter()
    rows = DayCount.objects.filter(what__in=[each.what for each in BY_DAY], day__gte=first)
    for day, what, count in rows.values_list("day", "what", "count"):
        found[day, what] += count
    after = [(each, _after(kept.get(each.what))) for each in BY_DAY]
    seen: Counter[str] = Counter()
    for what, _, _, day, count in newest(after, MOST + 1, days=True):
        found[day, what] += count
        seen[what] += count
    shown = [first + timedelta(days=n) for n in range(days)]
    return {
        "items": [
            {"day": day, **{each.what: found[day, each.what] for each in BY_DAY}} for day in shown
        ],
        "kept": {
            each.what: {
                "counted_at": kept[each.what].counted_at if each.what in kept else None,
                "exact": seen[each.what] <= MOST,
            }
            for each in BY_DAY
            if each.what in kept or seen[each.what] > MOST
        },
    }
