"""When a mission runs: once, by an interval, or by cron. Pure: no rows and no clock in here.

Days and hours are those of an IANA time zone. What a change of the clock does to a cron schedule is
what Debian's cron does (cronsim follows it):

- Fixed times, where neither the minute nor the hour field begins with `*` ("30 2 * * *"): each
  runs once a day. One that the clock skips runs at the first moment after the gap (02:30 becomes
  03:00, in one run with all others of the gap); one that comes twice runs the first time only.
- All others ("*/30 * * * *", "15 * * * *"): by the time that passes. A skipped hour has no runs,
  a repeated hour has its runs twice.

An interval counts seconds that pass from its anchor, so a change of the clock does not move it and
late runs do not make it drift. A `once` without an offset is read in the time zone: refused where
the clock skips it, the first of the two where it comes twice.
"""

import hashlib
import re
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from config.lib.errors import Invalid
from sessions.models.mission import ScheduleKind

# Each run is a row, a worker and a memory; below this a loop in one worker is the better tool.
MIN_INTERVAL_SECONDS, MAX_INTERVAL_SECONDS = 10, 366 * 86_400
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_INSTANT = timedelta(microseconds=1)
# Where the last run before a moment is looked for: in the hour before it, then further back.
_LOOK_BACK, _FURTHER = timedelta(hours=1), 8
# In the zone database, but of the machine or of nobody.
_NO_ZONES = frozenset({"localtime", "Factory"})


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule that was read. All moments, in and out, are aware; those that come out are UTC."""

    kind: ScheduleKind
    zone: tzinfo
    # once: the time itself; interval: what the runs are counted from.
    anchor: datetime
    step: timedelta = timedelta(0)
    cron: str = ""

    def after(self, moment: datetime) -> datetime | None:
        """The first run later than `moment`; None where there is none."""
        if self.kind == ScheduleKind.ONCE:
            return self.anchor if self.anchor > moment else None
        if self.kind == ScheduleKind.INTERVAL:
            return self.anchor + ((moment - self.anchor) // self.step + 1) * self.step
        for run in CronSim(self.cron, moment.astimezone(self.zone)):
            found = run.astimezone(UTC)
            # In a repeated hour cronsim may begin with the time's first coming, which has been.
            if found > moment:
                return found
        return None

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The runs from `start` on, before `end`, in order."""
        run = self.after(start - _INSTANT)
        while run is not None and run < end:
            yield run
            run = self.after(run)

    def coming(self, moment: datetime, count: int) -> list[datetime]:
        """The next `count` runs from `moment` on; fewer where there are no more."""
        return list(islice(self.between(moment, datetime.max.replace(tzinfo=UTC)), count))

    def latest(self, first: datetime, until: datetime) -> datetime | None:
        """The last run from `first` to `until`, both included. Cheap also after long downtime."""
        if self.kind == ScheduleKind.INTERVAL:
            run = self.anchor + ((until - self.anchor) // self.step) * self.step
            return run if run >= first else None
        window = _LOOK_BACK
        while True:
            start = max(first, until - window)
            found = deque(self.between(start, until + _INSTANT), maxlen=1)
            if found or start == first:
                return found[0] if found else None
            window *= _FURTHER


def read_schedule(*, kind: str, schedule: str, timezone: str, anchor: datetime) -> Schedule:
    """Invalid naming `schedule_kind`, `schedule` or `timezone`. `anchor` is an interval's."""
    zone = read_zone(timezone)
    text = schedule.strip()
    if kind == ScheduleKind.ONCE:
        return Schedule(ScheduleKind.ONCE, zone, _read_time(text, zone, timezone))
    if kind == ScheduleKind.INTERVAL:
        step = timedelta(seconds=_read_seconds(text))
        return Schedule(ScheduleKind.INTERVAL, zone, anchor.replace(microsecond=0), step=step)
    if kind == ScheduleKind.CRON:
        return Schedule(ScheduleKind.CRON, zone, anchor, cron=_read_cron(text, anchor))
    raise Invalid({"schedule_kind": f"must be one of {', '.join(ScheduleKind.values)}"})


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_ZONES)


def read_zone(name: str) -> tzinfo:
    """A zone of the IANA database. Invalid naming `timezone`."""
    if name not in _zones():
        raise Invalid({"timezone": "is not an IANA time zone, such as Europe/Berlin or UTC"})
    return UTC if name == "UTC" else ZoneInfo(name)


def _read_time(text: str, zone: tzinfo, timezone: str) -> datetime:
    wrong = Invalid({"schedule": "must be a time such as 2026-01-31T12:00:00Z for `once`"})
    if not _TIME.fullmatch(text):
        raise wrong
    try:
        local = datetime.fromisoformat(text.upper())
        if local.tzinfo is not None:
            return local.astimezone(UTC)
        found = local.replace(tzinfo=zone).astimezone(UTC)
        back = found.astimezone(zone).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise wrong from None
    if back != local:
        raise Invalid({"schedule": f"{text} does not exist in {timezone}: the clock skips it"})
    return found


def _read_seconds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise Invalid({"schedule": "must be a whole number of seconds for `interval`"})
    seconds = int(text)
    if not MIN_INTERVAL_SECONDS <= seconds <= MAX_INTERVAL_SECONDS:
        raise Invalid(
            {"schedule": f"must be from {MIN_INTERVAL_SECONDS} to {MAX_INTERVAL_SECONDS:,} seconds"}
        )
    return seconds


def _read_cron(text: str, moment: datetime) -> str:
    expression = ALIASES.get(text.lower(), text)
    if expression.startswith("@"):
        raise Invalid({"schedule": f"{text} is not one of {', '.join(ALIASES)}"})
    if len(expression.split()) != 5:
        raise Invalid(
            {"schedule": "must have five fields (minute hour day month weekday) or be an @alias"}
        )
    try:
        # In UTC, where no change of the clock hides a time.
        possible = next(CronSim(expression, moment.astimezone(UTC)), None)
    except CronSimError as error:
        raise Invalid({"schedule": f"is no cron expression: {error}"}) from None
    if possible is None:
        raise Invalid({"schedule": "names a day that never comes"})
    return expression


def jitter(mission_id: uuid.UUID, scheduled_for: datetime, most: int) -> timedelta:
    """How long after its time this run begins: 0 to `most` whole seconds, for one run always the
    same, whoever computes it."""
    if not most:
        return timedelta(0)
    named = f"{mission_id}:{scheduled_for.astimezone(UTC).isoformat()}"
    digest = hashlib.sha256(named.encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8]) % (most + 1))


def day_of(moment: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """The zone's day that `moment` lies in, from its first moment to the next day's, in UTC."""
    day = moment.astimezone(zone).date()
    return _midnight(day, zone), _midnight(day + timedelta(days=1), zone)


def _midnight(day: date, zone: tzinfo) -> datetime:
    """Where the clock skips midnight this is the moment of the change."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
