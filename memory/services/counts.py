"""The job's part of counting: RowCount and DayCount brought up to date, in the background.

A table is counted up to an id below which nothing is written any more, so that readers add what
came after it (memory/stats.py). What is new is added at each run; because states change and rows
are deleted, all rows are gone through again from time to time: the longer that takes, the more
rarely. Tables with few rows are not kept at all: readers count them as they are.
"""

import time
import uuid
from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

from config.lib import clock
from config.lib.scope import current_workspace_id, workspace_scope
from memory.counted import COUNTED, PENDING, START, Counted, day_of, id_before
from memory.models import DayCount, RowCount
from memory.selectors_spaces import waiting_passages

# Below it a table is counted by its readers.
SMALL = 2000
# Rows whose transaction may still commit: the runtime role's transactions end sooner.
SETTLED = timedelta(minutes=2)
# A statement's worth of rows, far below the statement timeout.
CHUNK = 200_000
# Going through all rows takes at most this share of one processor's time.
PACE = 50
# Rows that change no state only leave when their session does.
LEAST_CHANGING, LEAST_UNCHANGING = timedelta(minutes=1), timedelta(minutes=10)

Groups = Counter[tuple[str, str, date | None]]


def refresh_counts(workspace_id: uuid.UUID) -> list[str]:
    """Bring a workspace's kept counts up to date; the names of those that were. Opens its own
    scopes, a transaction for each chunk."""
    with workspace_scope(workspace_id):
        kept = {row.what: row for row in RowCount.objects.all()}
        large = _large([each for each in COUNTED.values() if each.what not in kept])
    done = [
        what
        for what in [*kept, *large]
        if what in COUNTED and _refresh(workspace_id, COUNTED[what], kept.get(what))
    ]
    if "passages" in kept:
        with workspace_scope(workspace_id):
            _keep_pending()
    return done


def _keep_pending() -> None:
    """How many passages wait for a vector, of all. Index passage_pending or
    passage_second_pending."""
    now = clock.now()
    values = {"counted_to": START, "counted_at": now, "recounted_at": now}
    row = RowCount(what=PENDING, counts={"": waiting_passages().count()}, **values)
    RowCount.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["workspace", "what"],
        update_fields=["counts", *values],
    )


def _large(asked: list[Counted]) -> list[str]:
    """Those with SMALL rows or more. Primary keys."""
    if not asked:
        return []
    parts = [
        f"SELECT '{each.what}' WHERE EXISTS (SELECT 1 FROM {each.table} "  # noqa: S608
        f"WHERE t.workspace_id = %s ORDER BY t.id OFFSET {SMALL - 1:d} LIMIT 1)"
        for each in asked
    ]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), [current_workspace_id()] * len(parts))
        return [what for (what,) in cursor.fetchall()]


def _refresh(workspace_id: uuid.UUID, each: Counted, kept: RowCount | None) -> bool:
    now = clock.now()
    end = id_before(now - SETTLED)
    again = kept is None or is_due(each, kept, now)
    if kept is not None and not again and kept.counted_to >= end:
        return False
    begun = time.monotonic()
    after = START if again or kept is None else kept.counted_to
    groups = _count(workspace_id, each, after, end)
    seconds = time.monotonic() - begun
    with workspace_scope(workspace_id):
        return _keep(each, kept, groups, end, now, seconds if again else None)


def is_due(each: Counted, kept: RowCount, now: datetime) -> bool:
    """Whether all rows are to be gone through again."""
    least = LEAST_CHANGING if each.changes else LEAST_UNCHANGING
    return now - kept.recounted_at >= max(least, timedelta(seconds=PACE * kept.seconds))


def _count(workspace_id: uuid.UUID, each: Counted, after: uuid.UUID, end: uuid.UUID) -> Groups:
    """The rows with ids after `after` up to `end`."""
    groups: Groups = Counter()
    while True:
        with workspace_scope(workspace_id), connection.cursor() as cursor:
            cursor.execute(
                f"SELECT t.id FROM {each.table} WHERE t.workspace_id = %s AND t.id > %s "  # noqa: S608
                f"AND t.id <= %s ORDER BY t.id OFFSET {CHUNK - 1:d} LIMIT 1",
                [current_workspace_id(), after, end],
            )
            row = cursor.fetchone()
            stop = row[0] if row else end
            cursor.execute(
                f"SELECT {each.state}, {each.kind}, {day_of(each)}, count(*) FROM {each.table} "  # noqa: S608
                "WHERE t.workspace_id = %s AND t.id > %s AND t.id <= %s GROUP BY 1, 2, 3",
                [current_workspace_id(), after, stop],
            )
            for state, kind, day, count in cursor.fetchall():
                groups[state, kind, day] += count
        if row is None:
            return groups
        after = stop


def _keep(
    each: Counted,
    kept: RowCount | None,
    groups: Groups,
    end: uuid.UUID,
    now: datetime,
    seconds: float | None,
) -> bool:
    """Write what was counted, unless another job wrote since `kept` was read.

    `seconds` of a count of all rows, None where `groups` are only the new ones.
    """
    there = RowCount.objects.select_for_update(no_key=True).filter(what=each.what).first()
    if (there and (there.counted_to, there.recounted_at)) != (
        kept and (kept.counted_to, kept.recounted_at)
    ):
        return False
    totals: Counter[str] = Counter()
    for (state, kind, _), count in groups.items():
        totals[f"{state}/{kind}" if kind else state] += count
    if there is None or seconds is not None:
        return _replace(each, there, groups, totals, end, now, seconds or 0.0)
    totals.update(there.counts)
    RowCount.objects.filter(pk=there.pk).update(counts=dict(totals), counted_to=end, counted_at=now)
    _add_days(each, groups)
    return True


def _replace(
    each: Counted,
    there: RowCount | None,
    groups: Groups,
    totals: Counter[str],
    end: uuid.UUID,
    now: datetime,
    seconds: float,
) -> bool:
    values: dict[str, Any] = {
        "counts": dict(totals), "counted_to": end, "counted_at": now, "recounted_at": now,
        "seconds": seconds,
    }  # fmt: skip
    # Half, so that a table at the limit does not come and go.
    if totals.total() < SMALL // 2:
        RowCount.objects.filter(what=each.what).delete()
        DayCount.objects.filter(what=each.what).delete()
        return there is not None
    if there is None:
        row = RowCount(what=each.what, **values)
        RowCount.objects.bulk_create([row], ignore_conflicts=True)
        if not RowCount.objects.filter(pk=row.pk).exists():
            return False
    else:
        RowCount.objects.filter(pk=there.pk).update(**values)
    DayCount.objects.filter(what=each.what).delete()
    _add_days(each, groups)
    return True


def _add_days(each: Counted, groups: Groups) -> None:
    days: Counter[date] = Counter()
    for (_, _, day), count in groups.items():
        if day is not None:
            days[day] += count
    known = DayCount.objects.filter(what=each.what, day__in=list(days))
    for day, count in known.values_list("day", "count"):
        days[day] += count
    DayCount.objects.bulk_create(
        [DayCount(what=each.what, day=day, count=count) for day, count in days.items()],
        update_conflicts=True,
        unique_fields=["workspace", "what", "day"],
        update_fields=["count"],
        batch_size=1000,
    )
