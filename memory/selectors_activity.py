"""What happened lately: the last 24 hours by the hour, the last 30 days by the day, all in UTC.

Days of what the job counts (stats.py) are its; all else is read here, the newest rows first and of
each kind at most MOST, so that a series that was cut says so. A session's tokens and cost are of
the hour in which it began.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from config.lib import clock
from config.lib.scope import current_workspace_id
from memory.models import Memory, Receipt
from memory.stats import read_days
from sessions.models import Message, Session, SessionEvent
from sessions.services.events import ERROR_TYPES

HOURS, DAYS = 24, 30
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MOST = 50_000
SERIES = (
    "sessions", "messages", "events", "memories", "searches", "failures", "tokens", "cost",
)  # fmt: skip
_BY_THE_JOB = ("sessions", "messages", "events", "memories")

Value = int | Decimal
Found = dict[str, Counter[datetime]]


@dataclass(frozen=True, slots=True)
class Bar:
    """From `start` up to `end`."""

    start: datetime
    end: datetime
    value: Value


@dataclass(frozen=True, slots=True)
class Series:
    """One of SERIES, oldest bar first. `exact` is False where not all rows were looked at."""

    what: str
    bars: list[Bar]
    exact: bool

    @property
    def total(self) -> Value:
        return sum(bar.value for bar in self.bars)


@dataclass(frozen=True, slots=True)
class Activity:
    """`hours` and `days` have one Series for each of SERIES, in that order. `days` of what the job
    counts are as of its last run, with what came since."""

    hours: list[Series]
    days: list[Series]


def read_activity() -> Activity:
    """The current workspace's. Four statements: one here, three of read_days."""
    now = clock.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    first_hour = hour - HOUR * (HOURS - 1)
    midnight = datetime.combine(now.date(), time(), tzinfo=UTC)
    first_day = midnight - DAY * (DAYS - 1)
    found, cut = _read(first_hour, first_day)
    hours = [
        Series(what, list(_bars(found[what], first_hour, HOUR, HOURS)), what not in cut)
        for what in SERIES
    ]
    kept = read_days(DAYS)
    by_day: Found = {what: Counter() for what in SERIES}
    for what in SERIES:
        if what in _BY_THE_JOB:
            for row in kept["items"]:
                by_day[what][datetime.combine(row["day"], time(), tzinfo=UTC)] = row[what]
        else:
            for moment, value in found[what].items():
                by_day[what][datetime.combine(moment.date(), time(), tzinfo=UTC)] += value
    not_exact = {what for what, said in kept["kept"].items() if not said["exact"]}
    not_exact |= cut - set(_BY_THE_JOB)
    days = [
        Series(what, list(_bars(by_day[what], first_day, DAY, DAYS)), what not in not_exact)
        for what in SERIES
    ]
    return Activity(hours, days)


def _bars(values: Counter[datetime], first: datetime, step: timedelta, count: int) -> Iterator[Bar]:
    for n in range(count):
        start = first + step * n
        yield Bar(start, start + step, values[start])


def _read(first_hour: datetime, first_day: datetime) -> tuple[Found, set[str]]:
    """(values by the hour, the series that were cut). Indexes session_list, message_time,
    event_time, memory_list, receipt_list, event_type."""
    workspace = current_workspace_id()
    newest = "ORDER BY {0} DESC, id DESC LIMIT {1:d}"
    parts: list[tuple[str, Any, str, str, str, str, str, list[Any]]] = [
        (
            "sessions", Session, "started_at", "sum(t.tokens)", "sum(t.cost_usd)",
            ", input_tokens + output_tokens AS tokens, cost_usd",
            "started_at >= %s " + newest.format("started_at", MOST), [first_day],
        ),
        ("messages", Message, "occurred_at", "0", "0", "",
         "occurred_at >= %s " + newest.format("occurred_at", MOST), [first_hour]),
        ("events", SessionEvent, "occurred_at", "0", "0", "",
         "occurred_at >= %s " + newest.format("occurred_at", MOST), [first_hour]),
        ("memories", Memory, "recorded_at", "0", "0", "",
         "recorded_at >= %s " + newest.format("recorded_at", MOST), [first_hour]),
        ("searches", Receipt, "created_at", "0", "0", "",
         "created_at >= %s " + newest.format("created_at", MOST), [first_day]),
        ("failures", SessionEvent, "occurred_at", "0", "0", "",
         f"event_type = ANY(%s) AND occurred_at >= %s LIMIT {MOST:d}",
         [sorted(ERROR_TYPES), first_day]),
    ]  # fmt: skip
    sql: list[str] = []
    parameters: list[Any] = []
    for what, model, column, tokens, cost, more, condition, values in parts:
        sql.append(
            f"SELECT '{what}', date_trunc('hour', t.at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', "  # noqa: S608
            f"count(*), {tokens}::bigint, {cost}::numeric FROM (SELECT {column} AS at{more} "
            f"FROM {model._meta.db_table} WHERE workspace_id = %s AND {condition}) t GROUP BY 2"
        )
        parameters += [workspace, *values]
    found: Found = {what: Counter() for what in SERIES}
    seen: Counter[str] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"({part})" for part in sql), parameters)
        for what, hour, count, tokens, cost in cursor.fetchall():
            seen[what] += count
            found[what][hour] += count
            if what == "sessions":
                found["tokens"][hour] += tokens
                found["cost"][hour] += cost or 0
    cut = {what for what, count in seen.items() if count >= MOST}
    return found, cut | ({"tokens", "cost"} if "sessions" in cut else set())
