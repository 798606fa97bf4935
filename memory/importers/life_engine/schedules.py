"""When a life engine's missions run, as our schedules have it.

Times of schedules are Pacific there, in code. Its own reading of cron knew no steps and ranges, and
took Sunday (0) for Monday, so what it wrote into next_run is not looked at.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime

from config.lib import clock
from config.lib.errors import Invalid
from memory.importers.problems import Code
from memory.importers.values import UNKNOWN_TIME, Fields, short
from sessions.models.mission import ScheduleKind
from sessions.services.schedules import read_schedule

PACIFIC = "America/Los_Angeles"
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::[0-5]\d)?")
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}


@dataclass(frozen=True, slots=True)
class Plan:
    """`why_not` says why it is not enabled, where the source would have run it; `theirs` is what
    the source said, where ours does not say the same."""

    kind: str
    schedule: str
    enabled: bool
    next_run_at: datetime | None = None
    why_not: str = ""
    theirs: str = ""


class _Unreadable(Exception):
    pass


def scheduled(f: Fields, *, duty: bool = False) -> Plan:
    """A mission's schedule; one that cannot be read here is kept, and not enabled."""
    wanted = f.flag("enabled")
    theirs = _theirs(f)
    try:
        cron = _cron(f, duty=duty)
        found = read_schedule(
            kind=ScheduleKind.CRON, schedule=cron, timezone=PACIFIC, anchor=clock.now()
        )
    except (_Unreadable, Invalid) as error:
        said = error.errors.get("schedule", "") if isinstance(error, Invalid) else str(error)
        why = f"no schedule that runs here: {said}"
        if wanted or theirs:
            f.find(Code.BAD_VALUE, why, "kept, and not enabled")
        return Plan(ScheduleKind.ONCE, UNKNOWN_TIME.isoformat(), False, None, why, theirs)
    if _misread(cron):
        stored = short(f.text("next_run")) or "(empty)"
        f.find(Code.RECOMPUTED, f"next_run {stored} was made by a reading of cron without steps, "
               f"ranges and weekdays ({cron})", "recomputed")  # fmt: skip
    due = found.after(clock.now()) if wanted else None
    return Plan(ScheduleKind.CRON, cron, wanted, due, theirs="" if theirs == cron else theirs)


def _cron(f: Fields, *, duty: bool) -> str:
    """Five cron fields, or _Unreadable."""
    if f.text("trigger_type"):
        raise _Unreadable(f"it is triggered by {f.text('trigger_type')}")
    kind = f.text("schedule_type")
    given = f.text("schedule_cron") or f.text("schedule_time") or f.text("schedule")
    if kind not in ("", "cron", "time") or not given.strip():
        raise _Unreadable(f"{kind or 'no'} schedule")
    days = _days(f)
    if clocked := _TIME.fullmatch(given.strip()):
        return f"{int(clocked[2])} {int(clocked[1])} * * {days}"
    if len(given.split()) != 5 and not given.startswith("@"):
        raise _Unreadable(f"{short(given)} is neither cron nor a time")
    if days != "*":
        raise _Unreadable("it has days besides its cron fields")
    return " ".join(given.split())


def _days(f: Fields) -> str:
    given = f.text("schedule_days")
    if not given.strip():
        return "*"
    try:
        days = json.loads(given)
        return ",".join(str(_DAYS[str(day).lower()[:3]]) for day in days)
    except (ValueError, KeyError, TypeError):
        raise _Unreadable(f"schedule_days is {short(given)}") from None


def _misread(cron: str) -> bool:
    return any(sign in cron for sign in "/-,") or cron.split()[-1] != "*"


def _theirs(f: Fields) -> str:
    names = ("schedule_type", "schedule_cron", "schedule_time", "schedule_days", "schedule")
    said = [f.text(name) for name in names if f.text(name)]
    return said[0] if len(said) == 1 else "; ".join(said)
