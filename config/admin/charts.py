"""Small bar charts as SVG made here: where each bar stands, what it says, which rows are behind it.

Not for what is charted (memory/selectors_activity.py). Units are of the drawing; CSS gives it its
size and colours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from config.lib.admin import show
from memory.selectors_activity import Bar, Series, Value
from sessions.services.events import ERROR_TYPES

STEP, GAP, HEIGHT = 8, 2, 32
# A bar of 1 beside one of 1,000 is still seen.
LEAST = 2

_SESSIONS = ("agent_sessions.session", "started_at", "")
# The list with the rows behind a series: its model, the filter by time, and what else narrows it.
BEHIND = {
    "sessions": _SESSIONS,
    "messages": ("agent_sessions.message", "occurred_at", ""),
    "events": ("agent_sessions.sessionevent", "occurred_at", ""),
    "memories": ("memory.memory", "recorded_at", ""),
    "searches": ("memory.receipt", "created_at", ""),
    "failures": (
        "agent_sessions.sessionevent", "occurred_at",
        "event_type__in=" + ",".join(sorted(ERROR_TYPES)),
    ),
    "tokens": _SESSIONS,
    "cost": _SESSIONS,
}  # fmt: skip
NOTES = {
    "failures": "events that report an error",
    "tokens": "in and out, without the cache",
    "cost": "as far as it is known",
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A bar: its place and size, and its words: `when`, `shown`."""

    x: int
    y: float
    height: float
    when: str
    shown: str
    url: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`says` is its highest and its last bar in words."""

    what: str
    title: str
    shown: str
    url: str
    bars: list[Drawn]
    says: str
    empty: bool

    @property
    def width(self) -> int:
        return STEP * len(self.bars) - GAP

    @property
    def bar_width(self) -> int:
        return STEP - GAP

    @property
    def full_height(self) -> int:
        return HEIGHT


@dataclass(frozen=True, slots=True)
class Card:
    """One thing over both spans."""

    what: str
    label: str
    note: str
    hours: Chart
    days: Chart


def cards(hours: list[Series], days: list[Series]) -> list[Card]:
    return [
        Card(
            one.what,
            one.what.capitalize(),
            NOTES.get(one.what, ""),
            chart(one, "24 hours", _hour),
            chart(other, "30 days", _day),
        )
        for one, other in zip(hours, days, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Table:
    """The bars of all charts of one span: a row for each time, the latest first."""

    key: str
    span: str
    labels: list[str]
    rows: list[tuple[Drawn, ...]]


def tables(made: list[Card]) -> list[Table]:
    labels = [card.label for card in made]
    hours = zip(*(reversed(card.hours.bars) for card in made), strict=True)
    days = zip(*(reversed(card.days.bars) for card in made), strict=True)
    return [
        Table("hours", "24 hours", labels, list(hours)),
        Table("days", "30 days", labels, list(days)),
    ]


def chart(series: Series, span: str, name: Callable[[Bar], str]) -> Chart:
    top = max((bar.value for bar in series.bars), default=0)
    bars = [
        Drawn(
            x=STEP * n,
            y=HEIGHT - (height := _height(bar.value, top)),
            height=height,
            when=name(bar),
            shown=amount(series.what, bar.value),
            url=url_behind(series.what, bar.start, bar.end),
        )
        for n, bar in enumerate(series.bars)
    ]
    highest = max(zip(series.bars, bars, strict=True), key=lambda pair: pair[0].value)[1]
    total = amount(series.what, series.total)
    return Chart(
        what=series.what,
        title=f"{series.what.capitalize()}, last {span}",
        shown=total if series.exact else f"{total}+",
        url=url_behind(series.what, series.bars[0].start, series.bars[-1].end),
        bars=bars,
        says=f"{total} in all; most: {highest.shown}, {highest.when}; last: {bars[-1].shown}"
        if top
        else "Nothing.",
        empty=not top,
    )


def _height(value: Value, top: Value) -> float:
    return max(LEAST, round(float(value / top) * HEIGHT, 1)) if value else 0


def amount(what: str, value: Value) -> str:
    """`1,234`, `1.2M` tokens, `$3.40`."""
    if what == "cost":
        return f"${value:,.2f}" if value else show.EMPTY
    return show.short_number(int(value)) if what == "tokens" else f"{value:,}"


def url_behind(what: str, start: datetime, end: datetime) -> str:
    model, field, narrowed = BEHIND[what]
    span = urlencode({f"{field}_from": _moment(start), f"{field}_to": _moment(end)}, safe=":")
    return show.changelist_url(model, f"{narrowed}&{span}" if narrowed else span)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}"


def _hour(bar: Bar) -> str:
    return f"{bar.start:%a %H}–{bar.end:%H} h"


def _day(bar: Bar) -> str:
    return f"{bar.start:%a %d %b}"
