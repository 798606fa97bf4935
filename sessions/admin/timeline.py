"""A session's events on an axis of time, as SVG: a lane for each type, pauses folded, errors red.

Places are percentages, so that the drawing is as wide as the window and its words stay legible.
Bounded: of a long session it draws evenly spaced events, and says so; a closer look draws all.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import F
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from config.lib.spans import span
from sessions.admin.frame import find_session, frame, number
from sessions.models import SessionEvent
from sessions.services.events import ERROR_TYPES

# Events of one drawing, errors that are drawn beside a sample, lanes, columns to zoom into.
SAMPLE, ERRORS, LANES, COLUMNS = 1_500, 300, 12, 48
# The fewest events one can zoom to.
CLOSEST = 10
# Pauses are folded from this length on, if they take this share of the whole; at most so many.
PAUSE, SHARE, PAUSES = timedelta(minutes=5), 0.04, 12
# Measures of the drawing: percent across, pixels down.
FOLDED, CELL = 3.0, 0.35
TOP, LANE, BARS, FOOT = 74, 36, 44, 26
STEPS = [timedelta(seconds=s) for s in (
    1, 5, 15, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 7 * 86400,
    30 * 86400)]  # fmt: skip
TICKS = 8


@dataclass(frozen=True, slots=True)
class Event:
    seq: int
    kind: str
    at: datetime
    text: str
    failed: bool


@dataclass(slots=True)
class Mark:
    """Events of one lane that fall on one place. Leads to the first of them."""

    x: float
    seq: int
    failed: bool
    title: str
    count: int = 1


@dataclass(slots=True)
class Lane:
    name: str
    y: int
    count: int = 0
    failed: int = 0
    marks: list[Mark] = field(default_factory=list)


@dataclass(slots=True)
class Column:
    """How much happened in a slice of the axis, and from which event to which. `red` is how high
    the part stands that failed."""

    x: float
    width: float
    height: float
    y: float
    first: int
    last: int
    count: int
    failed: int
    red: float


@dataclass(slots=True)
class Timeline:
    lanes: list[Lane]
    columns: list[Column]
    ticks: list[dict[str, Any]]
    pauses: list[dict[str, Any]]
    height: int
    drawn: int
    errors: list[Event]


def read_events(session_id: uuid.UUID, first: int, last: int) -> tuple[list[Event], bool]:
    """Events `first` to `last` by seq, or evenly spaced ones and the errors among them; whether
    these are all. Indexes event_seq_unique and event_session_type."""
    rows = SessionEvent.objects.filter(session_id=session_id)
    whole = last - first + 1 <= SAMPLE
    if whole:
        return _events(rows.filter(seq__gte=first, seq__lte=last)), True
    step = (last - first) / (SAMPLE - 1)
    chosen = [first + round(step * n) for n in range(SAMPLE)]
    found = {event.seq: event for event in _events(rows.filter(seq__any_of=chosen))}
    wrong = rows.filter(event_type__in=ERROR_TYPES, seq__gte=first, seq__lte=last)
    found |= {event.seq: event for event in _events(wrong.order_by("seq")[:ERRORS])}
    return list(found.values()), False


def _events(rows: Any) -> list[Event]:
    fields = ("seq", "event_type", "occurred_at", Left("text", 100), F("data__is_error"))
    found = rows.values_list(*fields)
    return [
        Event(seq, kind, at, " ".join(text.split()), wrong is True or kind in ERROR_TYPES)
        for seq, kind, at, text, wrong in found
    ]


class Axis:
    """Time to percent. Long pauses take little room; what happened has the rest."""

    def __init__(self, times: Sequence[datetime]) -> None:
        whole = times[-1] - times[0]
        gaps = [(b - a, a, b) for a, b in pairwise(times)]
        least = max(PAUSE, whole * SHARE)
        folded = sorted((gap for gap in gaps if gap[0] >= least), reverse=True)[:PAUSES]
        folded.sort(key=lambda gap: gap[1])
        busy = whole - sum((length for length, _, _ in folded), timedelta())
        room = 100 - 2 - FOLDED * len(folded)
        # (start, end, where it starts, where it ends); pauses and what lies between them in turn.
        self.pieces: list[tuple[datetime, datetime, float, float]] = []
        self.pauses: list[tuple[timedelta, float]] = []
        place, start = 1.0, times[0]
        for length, begins, ends in folded:
            wide = room * ((begins - start) / busy) if busy else room / (len(folded) + 1)
            self.pieces.append((start, begins, place, place + wide))
            place += wide
            self.pieces.append((begins, ends, place, place + FOLDED))
            self.pauses.append((length, place))
            place, start = place + FOLDED, ends
        self.pieces.append((start, times[-1], place, 99.0))

    def place(self, at: datetime) -> float:
        for begins, ends, left, right in self.pieces:
            if at <= ends:
                length = ends - begins
                return left + (right - left) * ((at - begins) / length) if length else left
        return self.pieces[-1][3]

    def ticks(self) -> list[dict[str, Any]]:
        """Round times, with the day where it changes; none closer than a word is wide."""
        busy = [piece for n, piece in enumerate(self.pieces) if n % 2 == 0]
        total = sum((ends - begins for begins, ends, _, _ in busy), timedelta())
        step = next((one for one in STEPS if total / one <= TICKS), STEPS[-1])
        found: list[dict[str, Any]] = []
        free, day = 0.0, None
        for begins, ends, _, _ in busy:
            for at in (begins, *_round_times(begins, ends, step)):
                x = self.place(at)
                if x < free or x > 97:
                    continue
                local = timezone.localtime(at)
                form = "%H:%M:%S" if step < timedelta(minutes=1) else "%H:%M"
                label = f"{local:{form}}"
                if local.date() != day:
                    day = local.date()
                    label = f"{local:%d %b} {label}"
                found.append({"x": x, "label": label})
                free = x + (11 if " " in label else 7)
        return found


def _round_times(begins: datetime, ends: datetime, step: timedelta) -> list[datetime]:
    local = timezone.localtime(begins)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + ((local - midnight) // step + 1) * step
    found: list[datetime] = []
    while at < ends and len(found) <= 2 * TICKS:
        found.append(at)
        at += step
    return found


def draw(events: Sequence[Event], weight: float = 1.0) -> Timeline:
    """`weight` is how many events each of these stands for, for the heights of the columns."""
    events = sorted(events, key=lambda event: (event.at, event.seq))
    axis = Axis([event.at for event in events])
    counts = Counter(event.kind for event in events)
    names = [name for name, _ in counts.most_common(LANES)]
    if len(counts) > LANES:
        names[-1] = "other types"
    lanes = {name: Lane(name, TOP + n * LANE) for n, name in enumerate(names)}
    slices: dict[int, list[Event]] = {}
    at_place: dict[tuple[str, int, bool], Mark] = {}
    for event in events:
        x = axis.place(event.at)
        lane = lanes.get(event.kind) or lanes["other types"]
        lane.count += 1
        lane.failed += event.failed
        key = (lane.name, int(x / CELL), event.failed)
        mark = at_place.get(key)
        if mark is None:
            label = f"#{event.seq} {event.kind}, {timezone.localtime(event.at):%H:%M:%S}"
            mark = at_place[key] = Mark(x, event.seq, event.failed, f"{label}\n{event.text}")
            lane.marks.append(mark)
        else:
            mark.count += 1
        slices.setdefault(min(COLUMNS - 1, int(x / 100 * COLUMNS)), []).append(event)
    for lane in lanes.values():
        lane.marks.sort(key=lambda mark: (mark.failed, mark.x))
    return Timeline(
        lanes=list(lanes.values()),
        columns=_columns(slices, weight),
        ticks=axis.ticks(),
        pauses=[
            {"x": x, "width": FOLDED, "middle": x + FOLDED / 2, "label": span(length)}
            for length, x in axis.pauses
        ],
        height=TOP + LANE * len(lanes) + FOOT,
        drawn=len(events),
        errors=[event for event in events if event.failed][:ERRORS],
    )


def _columns(slices: dict[int, list[Event]], weight: float) -> list[Column]:
    most = max(len(found) for found in slices.values())
    width = 100 / COLUMNS
    columns = []
    for n, found in sorted(slices.items()):
        height = max(2.0, BARS * len(found) / most)
        seqs = [event.seq for event in found]
        failed = sum(event.failed for event in found)
        columns.append(
            Column(
                x=n * width, width=width * 0.86, height=height, y=4 + BARS - height,
                first=min(seqs), last=max(seqs), count=round(len(found) * weight),
                failed=failed, red=max(3.0, height * failed / len(found)) if failed else 0,
            )
        )  # fmt: skip
    return columns


def timeline_view(admin: Any, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
    """`?first=` and `?last=` are the events, by number, to look at more closely."""
    session = find_session(object_id)
    total = session.event_count
    first = min(max(1, number(request, "first", 1)), max(total, 1))
    last = max(first, min(number(request, "last", total) or total, total))
    context: dict[str, Any] = {
        **frame(admin, request, session, "timeline"),
        "total": total, "first": first, "last": last,
    }  # fmt: skip
    events, whole = read_events(session.pk, first, last) if total else ([], True)
    if events:
        count = last - first + 1
        context |= {
            "timeline": draw(events, 1 if whole else count / len(events)),
            "whole": whole,
            "count": count,
            "moves": _moves(first, last, total),
            "events_url": reverse("admin:agent_sessions_session_events", args=[session.pk]),
        }
    return TemplateResponse(request, "admin/agent_sessions/timeline.html", context)


def _moves(first: int, last: int, total: int) -> list[dict[str, Any]]:
    """The buttons: closer, further, earlier, later, all; without an address where none is left."""
    count = last - first + 1
    quarter, half = count // 4, max(1, count // 2)
    found: list[dict[str, Any]] = []
    for key, icon, label, window in (
        ("+", "zoom_in", "Closer", (first + quarter, last - quarter)),
        ("-", "zoom_out", "Further away", (first - half, last + half)),
        ("ArrowLeft", "arrow_back", "Earlier", (first - half, last - half)),
        ("ArrowRight", "arrow_forward", "Later", (first + half, last + half)),
        ("0", "fit_width", "All", (1, total)),
    ):
        begins, ends = window
        if ends > total and key == "ArrowRight":
            begins, ends = begins - (ends - total), total
        if begins < 1 and key == "ArrowLeft":
            begins, ends = 1, ends + 1 - begins
        begins, ends = max(1, begins), min(total, ends)
        same = (begins, ends) == (first, last)
        too_close = key == "+" and count <= CLOSEST
        url = "" if same or too_close else f"?first={begins}&last={ends}#timeline"
        found.append({"key": key, "icon": icon, "label": label, "url": url})
    return found
