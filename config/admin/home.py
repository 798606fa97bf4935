"""The home page: what needs a person now, who is at work, what today is for, what happened lately.

Every number leads to the rows behind it, and is counted to a limit: the page costs the same in a
workspace of a thousand rows and of a million.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.contrib.messages import get_messages
from django.db.models import F, QuerySet, TextField, Value
from django.db.models.functions import Coalesce, Left, NullIf
from django.http import HttpRequest
from django.urls import reverse

from config.admin.charts import cards, tables
from config.admin.home_acts import needed
from config.lib import clock
from config.lib.admin import show
from config.lib.db.together import read_together
from config.lib.room import room
from contacts.admin.access import allows, require_entry
from contacts.admin.listing import AtLeast, bounded_counts
from contacts.models.workspace import Role
from contacts.preferences import Preferences, preferences_in
from memory.backup.making import last_verified
from memory.schemas_attention import AttentionKind
from memory.selectors_activity import read_activity
from memory.selectors_attention import (
    RECENT_MISSIONS,
    RECENT_ORPHANS,
    Attention,
    needs_attention,
)
from memory.selectors_hooks import LEFT
from memory.selectors_review import BADGE, waiting
from sessions.admin.days import list_key
from sessions.models import Mission, Ping, Priority, ScheduledMission, Session, Worker
from sessions.models.mission import MissionStatus
from sessions.models.worker import WorkerStatus
from sessions.selectors_pings import waits_for_person

LIVE, ENDED, NEEDED, LINES, COMING, PAST = 12, 5, 10, 60, 5, 5
TITLE = 200
TONES = {
    MissionStatus.RUNNING: "blue",
    MissionStatus.COMPLETE: "green",
    MissionStatus.FAILED: "red",
    MissionStatus.TIMEOUT: "red",
    MissionStatus.SKIPPED: "amber",
}
# The context of a session, in percent, from which it is coloured.
TIGHT, FULL = 70, 90


@dataclass(frozen=True, slots=True)
class Number:
    """A count with the list it counts. `tone` colours it when it is not zero."""

    label: str
    value: int
    url: str
    icon: str
    tone: str = "grey"


@dataclass(frozen=True, slots=True)
class More:
    """A kind that has rows beyond those shown; `shown` counts all of it."""

    label: str
    shown: str
    url: str


@dataclass(frozen=True, slots=True)
class Pool:
    """A day's list of one pool; `key` is how a form names it. Each line knows its neighbours, for
    moving without a script."""

    name: str
    key: str
    lines: list[dict[str, Any]]
    done: int
    url: str


def glance(request: HttpRequest, *, activity: bool = True) -> dict[str, Any]:
    """Template context. Seven statements, and one more where a kind needs more than is shown; four
    of them are for the charts, which `activity` is about."""
    now = clock.now()
    entry = require_entry(request)
    held = preferences_in(entry.workspace.settings)
    today = now.astimezone(held.timezone).date()
    attention = needs_attention(per_kind=NEEDED, thresholds=held.context_thresholds)
    read = read_together(
        {
            "live": _sessions(ended_at=None).order_by("-last_seen_at", "-id")[:LIVE],
            "ended": _sessions(ended_at__isnull=False).order_by("-started_at", "-id")[:ENDED],
            "lines": _lines(today),
            "coming": _coming(),
            "past": _past(),
            "backup": last_verified().values("started_at"),
        }
    )
    return {
        **(_charts() if activity else {}),
        "needed": [needed(request, item) for item in attention.items[:NEEDED]],
        "needed_more": _more(attention, now, held),
        "numbers": _numbers(),
        "live": [_session(row) for row in read["live"]],
        "live_url": show.changelist_url("agent_sessions.session", "ended_at__isnull=True"),
        "ended": [_session(row) for row in read["ended"]],
        "fresh": not read["live"] and not read["ended"],
        "today": today,
        "pools": _pools(read["lines"][:LINES], today),
        "lines_more": len(read["lines"]) > LINES,
        "lines_url": _day_url(today),
        "coming": read["coming"],
        "past": [{**row, "tone": TONES.get(row["status"], "")} for row in read["past"]],
        **_backup(read["backup"], now),
        "room_problem": room().problem,
        "operates": allows(request, Role.OPERATOR),
        "origin": request.build_absolute_uri("/").rstrip("/"),
        "now": now,
        "said": get_messages(request),
    }


def _backup(found: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    """When the last verified backup was made, and whether it is older than the schedule promises:
    twice its hours, or a week where there is none."""
    made = found[0]["started_at"] if found else None
    hours = 2 * settings.BACKUP_HOURS or 7 * 24
    return {"backup_at": made, "backup_late": made and made < now - timedelta(hours=hours)}


def _charts() -> dict[str, Any]:
    found = read_activity()
    made = cards(found.hours, found.days)
    return {"cards": made, "tables": tables(made)}


# --- What needs a person --------------------------------------------------------------------------


def _more(attention: Attention, now: datetime, held: Preferences) -> list[More]:
    """The kinds that are not wholly shown, each with the list that has all of it."""
    shown = Counter(item.kind for item in attention.items[:NEEDED])
    totals = Counter(item.kind for item in attention.items)
    at_least = set()
    for one in attention.more:
        totals[one.kind] += one.more
        if one.at_least:
            at_least.add(one.kind)
    lists = _lists(now, held)
    return [
        More(lists[kind][0], f"{total:,}{'+' if kind in at_least else ''}", lists[kind][1])
        for kind, total in totals.items()
        if total > shown[kind]
    ]


def _lists(now: datetime, held: Preferences) -> dict[AttentionKind, tuple[str, str]]:
    """(what a kind is called, the list of its rows)."""
    missions = quote((now - RECENT_MISSIONS).isoformat())
    orphans = quote((now - RECENT_ORPHANS).isoformat())
    threshold = max(held.context_thresholds, default=0)
    queries = {
        AttentionKind.PING: ("Pings", "agent_sessions.ping", "state=waiting"),
        AttentionKind.CLARIFICATION: (
            "Questions", "agent_sessions.worker", "status__exact=awaiting_clarification",
        ),
        AttentionKind.PAUSED_MISSION: (
            "Paused missions", "agent_sessions.scheduledmission",
            "enabled__exact=0&consecutive_failures__gt=0",
        ),
        AttentionKind.FAILED_MISSION: (
            "Failed missions", "agent_sessions.mission",
            f"status__in=failed,timeout&scheduled_for__gte={missions}",
        ),
        AttentionKind.FAILED_WORKER: (
            "Failed workers", "agent_sessions.worker", "status__exact=failed&of_mission=no",
        ),
        AttentionKind.FULL_CONTEXT: (
            "Full contexts", "agent_sessions.session",
            f"ended_at__isnull=True&context_warning_level__gte={threshold}",
        ),
        AttentionKind.ORPHAN: (
            "Orphans", "agent_sessions.session",
            f"end_reason__exact=orphaned&ended_at__gte={orphans}",
        ),
        AttentionKind.REVIEW: (
            "Memories in quarantine", "memory.memory", "state__exact=quarantined",
        ),
        AttentionKind.HOOK_PAYLOAD: (
            "Hook payloads", "memory.hookpayload", f"state__in={','.join(sorted(LEFT))}",
        ),
        AttentionKind.CONSOLIDATION: (
            "Consolidations", "memory.consolidationrun", "state__exact=held",
        ),
    }  # fmt: skip
    return {
        kind: (label, show.changelist_url(model, query))
        for kind, (label, model, query) in queries.items()
    }


def _numbers() -> list[Number]:
    """Indexes session_active, worker_status, ping_until, and those of the review queue."""
    found = bounded_counts(
        {
            "live": Session.objects.filter(ended_at=None),
            "running": Worker.objects.filter(status=WorkerStatus.RUNNING),
            "waiting": Worker.objects.filter(status=WorkerStatus.PENDING),
            "pings": Ping.objects.filter(waits_for_person()),
            "review": waiting(BADGE + 1),
        }
    )
    url = show.changelist_url
    return [
        Number("Live sessions", found["live"],
               url("agent_sessions.session", "ended_at__isnull=True"), "play_circle", "green"),
        Number("Workers at work", found["running"],
               url("agent_sessions.worker", "status__exact=running"), "engineering", "blue"),
        Number("Workers waiting", found["waiting"],
               url("agent_sessions.worker", "status__exact=pending"), "hourglass_empty", "blue"),
        Number("Open pings", found["pings"],
               url("agent_sessions.ping", "state=waiting"), "campaign", "amber"),
        Number("To review", AtLeast(BADGE) if found["review"] > BADGE else found["review"],
               reverse("admin:review"), "rate_review", "amber"),
    ]  # fmt: skip


# --- Who is at work -------------------------------------------------------------------------------


def _sessions(**where: Any) -> QuerySet[Any, dict[str, Any]]:
    """Indexes session_active, session_list. Titles, no bodies."""
    return Session.objects.filter(**where).values(
        "id", "current_state", "status_text", "outcome", "last_seen_at", "ended_at",
        "message_count", "error_count", "host", "branch", "context_used_percent",
        title=_first(F("name"), Left("prompt", TITLE)),
        agent_name=F("agent__name"),
        project_title=F("project__title"),
    )  # fmt: skip


def _first(text: Any, otherwise: Any) -> Coalesce:
    """The text, or the other where it is empty."""
    return Coalesce(NullIf(text, Value("")), otherwise, output_field=TextField())


def _session(row: dict[str, Any]) -> dict[str, Any]:
    used = row["context_used_percent"]
    row["tone"] = "" if used is None or used < TIGHT else "red" if used >= FULL else "amber"
    row["title"] = " ".join(row["title"].split()) or f"Session of {row['agent_name']}"
    return row


# --- What today is for ----------------------------------------------------------------------------


def _lines(today: date) -> QuerySet[Any, dict[str, Any]]:
    """Index priority_day."""
    rows = Priority.objects.filter(date=today).order_by("position", "id")
    fields = ("id", "content", "level", "pool", "carried_from", "completed_at")
    return rows.values(*fields)[: LINES + 1]


def _pools(lines: list[dict[str, Any]], today: date) -> list[Pool]:
    """The lists of the day, main first; main also while it is empty."""
    by_pool: dict[str, list[dict[str, Any]]] = {"main": []} | {
        pool: list(rows)
        for pool, rows in groupby(sorted(lines, key=_pool_of), key=lambda line: line["pool"])
    }
    for rows in by_pool.values():
        for n, line in enumerate(rows):
            line["above"] = rows[n - 1]["id"] if n else None
            line["below"] = rows[n + 1]["id"] if n + 1 < len(rows) else None
    return [
        Pool(
            pool,
            list_key(today, pool),
            rows,
            sum(line["completed_at"] is not None for line in rows),
            f"{_day_url(today)}&pool__exact={quote(pool)}",
        )
        for pool, rows in by_pool.items()
    ]


def _pool_of(line: dict[str, Any]) -> tuple[bool, str]:
    return line["pool"] != "main", line["pool"]


def _day_url(day: date) -> str:
    return show.changelist_url("agent_sessions.priority", f"date_from={day}&date_to={day}")


# --- Missions -------------------------------------------------------------------------------------


def _coming() -> QuerySet[Any, dict[str, Any]]:
    """Index scheduledmission_due."""
    rows = ScheduledMission.objects.filter(enabled=True, next_run_at__isnull=False)
    fields = ("id", "name", "next_run_at", "last_run_at", "last_status")
    return rows.order_by("next_run_at", "id").values(*fields)[:COMING]


def _past() -> QuerySet[Any, dict[str, Any]]:
    """Those whose time has come, latest first. Index mission_list."""
    rows = Mission.objects.order_by("-scheduled_for", "-id")
    return rows.values(
        "id", "scheduled_mission_id", "scheduled_for", "started_at", "ended_at", "status",
        name=F("scheduled_mission__name"),
        came=_first(Left("error", TITLE), Left("output_summary", TITLE)),
    )[:PAST]  # fmt: skip
