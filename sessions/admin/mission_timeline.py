"""Schedules on a time line: a lane each, past runs by outcome, the next runs, now marked.

Made on the server, of links at places in per cent; not for the list of runs (missions.py).
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_datetime

from config.lib import clock
from config.lib.errors import DomainError, Invalid
from config.lib.spans import span
from contacts.admin.access import actor_of, allows, page_of, require_role
from contacts.models.workspace import Role
from contacts.preferences import preferences
from sessions.models import Mission, ScheduledMission
from sessions.models.mission import MissionStatus, ScheduleKind, Trigger
from sessions.services.mission_starts import MAX_BACKFILL, backfill
from sessions.services.missions import schedule_of
from sessions.services.schedules import jitter, read_zone

TONES = {
    MissionStatus.PENDING: "amber",
    MissionStatus.RUNNING: "blue",
    MissionStatus.COMPLETE: "green",
    MissionStatus.FAILED: "red",
    MissionStatus.TIMEOUT: "red",
    MissionStatus.SKIPPED: "grey",
    MissionStatus.CANCELLED: "grey",
}
LANES, PER_LANE, COMING = 40, 150, 100
# Days shown at once, and how many of them lie before today at the beginning.
LENGTHS = {1: 0, 7: 3, 28: 14}
WEEK = 7
HOURS = (6, 12, 18)


@dataclass(frozen=True, slots=True)
class Mark:
    """A run at `left` per cent of the line; `wide` per cent long where it took that much."""

    left: float
    wide: float
    tone: str
    label: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """`cut` says that older runs of the time shown are in the list only."""

    row: ScheduledMission
    every: str
    marks: list[Mark]
    coming: list[Mark]
    cut: bool
    buttons: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Window:
    """`zone` is what its times are told in, `today` the day there."""

    start: datetime
    end: datetime
    zone: tzinfo
    today: date

    def at(self, moment: datetime) -> float:
        whole = (self.end - self.start).total_seconds()
        return round((moment - self.start).total_seconds() / whole * 100, 3)

    def told(self, moment: datetime) -> str:
        return f"{moment.astimezone(self.zone):%a %d %b, %H:%M}"


def timeline_urls(admin: Any) -> list[URLPattern]:
    name = "agent_sessions_scheduledmission"
    return [
        path("timeline/", page_of(admin, timeline_view), name=f"{name}_timeline"),
        path("<uuid:object_id>/backfill/", page_of(admin, backfill_view), name=f"{name}_backfill"),
    ]


def timeline_view(admin: Any, request: HttpRequest) -> HttpResponse:
    """`?from=` a day, `?days=` 1, 7 or 28, read in the workspace's time zone."""
    length = _length(request.GET.get("days", ""))
    zone, now = preferences().timezone, clock.now()
    day = now.astimezone(zone).date()
    first = _day(request.GET.get("from", "")) or day - timedelta(days=LENGTHS[length])
    days = [first + timedelta(days=n) for n in range(length + 1)]
    midnights = [datetime.combine(day, time(), zone).astimezone(UTC) for day in days]
    window = Window(midnights[0], midnights[-1], zone, day)
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": "Time line",
        "lanes": _lanes(admin, request, window, now),
        "more_lanes": ScheduledMission.objects.order_by()[LANES : LANES + 1].exists(),
        "grid": _grid(days, midnights, window),
        "now": window.at(now) if window.start <= now < window.end else None,
        "earlier": _url(first - timedelta(days=length), length),
        "later": _url(first + timedelta(days=length), length),
        "lengths": [(n, _url(day - timedelta(days=LENGTHS[n]), n)) for n in LENGTHS],
        "length": length,
        "first": days[0],
        "last": days[-2],
        "zone": zone.key,
        "may_run": allows(request, Role.OPERATOR),
        "max_backfill": MAX_BACKFILL,
        "legend": [("complete", "green"), ("failed", "red"), ("running", "blue"),
                   ("waiting", "amber"), ("skipped or cancelled", "grey")],
    }  # fmt: skip
    return TemplateResponse(request, "admin/agent_sessions/mission_timeline.html", context)


def _length(value: str) -> int:
    return int(value) if value in {str(n) for n in LENGTHS} else WEEK


def _day(value: str) -> date | None:
    """None also for what lies too far away for a line around it."""
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return None
    return day if 1971 <= day.year <= 9000 else None


def _url(first: date, length: int) -> str:
    query = urlencode({"from": first, "days": length})
    return f"{reverse('admin:agent_sessions_scheduledmission_timeline')}?{query}"


def _grid(
    days: Sequence[date], midnights: Sequence[datetime], window: Window
) -> list[dict[str, Any]]:
    """Where each day begins; in a line of one day, its quarters too."""
    found: list[dict[str, Any]] = [
        {"left": window.at(moment), "day": day, "is_today": day == window.today}
        for day, moment in zip(days[:-1], midnights, strict=False)
    ]
    if len(found) == 1:
        found += [
            {"left": window.at(midnights[0] + timedelta(hours=hour)), "hour": hour}
            for hour in HOURS
        ]
    return found


def _lanes(admin: Any, request: HttpRequest, window: Window, now: datetime) -> list[Lane]:
    """Two queries: the schedules, and the runs of all of them, each stopped at a number of rows.
    Indexes scheduledmission_enabled and mission_history."""
    rows = list(
        ScheduledMission.objects.order_by("-enabled", "-created_at", "-id").defer(
            "description", "prompt", "params", "metadata"
        )[:LANES]
    )
    runs: dict[uuid.UUID, list[dict[str, Any]]] = {row.pk: [] for row in rows}
    if rows:
        history = (
            Mission.objects.filter(
                scheduled_for__gte=window.start, scheduled_for__lt=window.end
            )
            .order_by("-scheduled_for", "-id")
            .values("id", "scheduled_mission_id", "scheduled_for", "status", "trigger",
                    "started_at", "ended_at")
        )  # fmt: skip
        parts = [history.filter(scheduled_mission=row.pk)[: PER_LANE + 1] for row in rows]
        for run in parts[0].union(*parts[1:], all=True):
            runs[run["scheduled_mission_id"]].append(run)
    lanes = []
    for row in rows:
        mine = sorted(runs[row.pk], key=lambda run: run["scheduled_for"], reverse=True)
        lanes.append(
            Lane(
                row=row,
                every=every(row),
                marks=[_past(run, window, now) for run in mine[:PER_LANE]],
                coming=_coming(row, window, now),
                cut=len(mine) > PER_LANE,
                buttons=admin.buttons(request, row),
            )
        )
    return lanes


def every(row: ScheduledMission) -> str:
    """Its schedule as people read it: a time in its own zone, a span, or its cron line. One that
    cannot be read as it stands."""
    try:
        read = schedule_of(row)
    except Invalid:
        return row.schedule
    if read.kind == ScheduleKind.ONCE:
        return f"once, {read.anchor.astimezone(read.zone):%d %b %Y %H:%M}"
    if read.kind == ScheduleKind.INTERVAL:
        return f"every {span(read.step)}"
    return read.cron


def _past(run: dict[str, Any], window: Window, now: datetime) -> Mark:
    status = MissionStatus(run["status"])
    wide = 0.0
    if run["started_at"]:
        took = (run["ended_at"] or now) - run["started_at"]
        wide = round(took / (window.end - window.start) * 100, 3)
    left = window.at(run["scheduled_for"])
    how = "" if run["trigger"] == Trigger.SCHEDULE else f", {run['trigger']}"
    return Mark(
        left=left,
        wide=max(0.0, min(wide, 100 - left)),
        tone=TONES[status],
        label=f"{window.told(run['scheduled_for'])}: {status.label.lower()}{how}",
        url=reverse("admin:agent_sessions_mission_change", args=[run["id"]]),
    )


def _coming(row: ScheduledMission, window: Window, now: datetime) -> list[Mark]:
    """Computed, none of a paused one; one whose schedule cannot be read has none."""
    if row.next_run_at is None or row.next_run_at >= window.end:
        return []
    try:
        times = schedule_of(row).between(max(row.next_run_at, window.start), window.end)
    except Invalid:
        return []
    found = []
    for planned in islice(times, COMING):
        moment = planned + jitter(row.pk, planned, row.jitter_seconds)
        if now <= moment < window.end:
            found.append(Mark(window.at(moment), 0, "next", f"{window.told(moment)}: next"))
    return found


# --- Missed times ---------------------------------------------------------------------------------


def backfill_view(admin: Any, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
    """A form for a range of past times, read in the mission's own zone; POST begins their runs."""
    require_role(request, Role.OPERATOR)
    row = ScheduledMission.objects.filter(pk=object_id).first()
    if row is None:
        raise Http404
    problems: dict[str, str] = {}
    if request.method == "POST":
        try:
            zone = read_zone(row.timezone)
            since, until = (_moment(request, name, zone) for name in ("since", "until"))
            with transaction.atomic():
                begun, there = backfill(
                    actor=actor_of(request), scheduled_id=row.pk, since=since, until=until
                )
        except Invalid as error:
            problems = error.errors
        except DomainError as error:
            problems = {"": error.detail}
        else:
            text = f"{len(begun):,} runs begun or waiting for their turn"
            messages.success(
                request, f"{text}, {there:,} had run already." if there else f"{text}."
            )
            return HttpResponseRedirect(reverse("admin:agent_sessions_scheduledmission_timeline"))
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "original": row,
        "title": f"Backfill {row.name}",
        "row": row,
        "since": request.POST.get("since", "")[:40],
        "until": request.POST.get("until", "")[:40],
        "problems": problems,
        "max_backfill": MAX_BACKFILL,
    }
    return TemplateResponse(request, "admin/agent_sessions/backfill.html", context)


def _moment(request: HttpRequest, name: str, zone: Any) -> datetime:
    try:
        found = parse_datetime(request.POST.get(name, ""))
    except ValueError:
        found = None
    if found is None:
        raise Invalid({name: "is no time"})
    return found.replace(tzinfo=zone) if found.tzinfo is None else found
