"""When a memory was learned and when it holds, as marks on a line."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from config.lib import clock
from memory.models import Memory

# Around the first and the last mark, so that none stands at the very edge.
MARGIN = 4.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment on the line; `place` is a percentage of its length from the left."""

    name: str
    label: str
    at: datetime
    place: float


@dataclass(frozen=True, slots=True)
class Line:
    """`start` and `width`, percentages, are where it holds; `open` where nothing ends that."""

    marks: list[Mark]
    start: float
    width: float
    open: bool
    holds: str


def line_of(memory: Memory, now: datetime | None = None) -> Line:
    """What is known of its times, in their order, with now among them."""
    now = now or clock.now()
    named = [
        ("recorded", "Recorded", memory.recorded_at),
        ("from", "Holds from", memory.valid_from),
        ("to", "Holds to", memory.valid_to),
        ("superseded", "Superseded", memory.superseded_at),
        ("expires", "Expires", memory.expires_at),
        ("now", "Now", now),
    ]
    moments = sorted(((at, name, label) for name, label, at in named if at), key=lambda m: m[0])
    first, last = moments[0][0], moments[-1][0]
    whole = max(last - first, timedelta(seconds=1))

    def place(at: datetime) -> float:
        return round(MARGIN + (100 - 2 * MARGIN) * ((at - first) / whole), 2)

    begin = memory.valid_from or memory.recorded_at
    ends = [at for at in (memory.valid_to, memory.superseded_at, memory.expires_at) if at]
    end = min(ends, default=None)
    start = place(begin)
    until = place(max(end, begin)) if end else 100.0
    return Line(
        marks=[Mark(name, label, at, place(at)) for at, name, label in moments],
        start=start,
        width=round(until - start, 2),
        open=end is None,
        holds=_said(begin, end, now),
    )


def _said(begin: datetime, end: datetime | None, now: datetime) -> str:
    if begin > now:
        return "It does not hold yet."
    if end is not None and end <= now:
        return "It does not hold any more."
    return "It holds." if end is None else "It holds for now."
