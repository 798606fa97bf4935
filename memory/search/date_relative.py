"""Times that are said from today: yesterday, last week, vor drei Tagen, el martes."""

import re
from datetime import date, timedelta

from memory.search import date_words as w
from memory.search.date_grammar import (
    Asked,
    Rules,
    Span,
    month_start,
    nearest,
    number_of,
    text_before,
    year_of,
)

RULES = Rules()

WEEK = timedelta(days=7)
# "A few days ago" is one of these, in units.
FEW_AGO = (6, 2)
FEW = 4
LONGEST_COUNT = 1200


def _part_of(asked: Asked, days: int, part: str | None) -> Span:
    """The day so many days from today, or a part of it."""
    day = asked.today + timedelta(days=days)
    if not part:
        return asked.days(day)
    first, last = w.DAY_PARTS[" ".join(part.lower().split())]
    return asked.at(day, first), asked.at(day, last)


@RULES.add(r"(?P<days>{DAYS})(?:\s{1,3}(?:at\s|am\s|in\sthe\s)?{P})?")
def _day_word(asked: Asked, match: re.Match[str]) -> Span:
    return _part_of(asked, w.DAYS[" ".join(match["days"].lower().split())], match["part"])


@RULES.add(r"(?P<said>morgen|manana)")
def _tomorrow(asked: Asked, match: re.Match[str]) -> Span | None:
    """Both words also say the morning."""
    if match["said"][0].isupper() or re.search(
        r"\b(?:guten|jeden|am|vom|la|buena|de|por)$", text_before(asked, match), re.IGNORECASE
    ):
        return None
    return _part_of(asked, 1, None)


@RULES.add(
    r"(?:this|diesen|esta){_}(?P<part>morning|afternoon|evening|morgen|abend|manana|tarde|noche)"
)
def _part_of_today(asked: Asked, match: re.Match[str]) -> Span:
    part = match["part"].lower()
    spanish = {"manana": "morning", "tarde": "afternoon", "noche": "night"}
    return _part_of(asked, 0, spanish.get(part, part))


@RULES.add(r"(?P<said>tonight|anoche|last{_}night|letzte{_}nacht)")
def _night(asked: Asked, match: re.Match[str]) -> Span:
    return _part_of(asked, 0 if match["said"].lower() == "tonight" else -1, "night")


@RULES.add(
    r"{ART}{LAST}{_}(?:{N}|{F}){_}{U}",
    r"{ART}(?P<next>next|nachsten|naechsten|kommenden|proximos|proximas){_}(?:{N}|{F}){_}{U}",
    r"(?:the|la|el){_}{LAST}{_}{U}(?!\s{1,3}(?:of|de)\b)",
    r"past{_}{U}",
)
def _running(asked: Asked, match: re.Match[str]) -> Span | None:
    """The last three days: from the midnight before them to the end of today."""
    groups, unit = match.groupdict(), w.UNITS[match["unit"].lower()]
    count = number_of(match) if groups.get("number") else FEW if groups.get("few") else 1
    today = asked.days(asked.today)
    if groups.get("next"):
        return today[0], _back(asked, unit, -count)[1]
    if count > LONGEST_COUNT:
        return None
    if unit in ("minute", "hour"):
        return asked.ago(count * _CLOCK[unit]), asked.now
    if unit in ("day", "week"):
        start = asked.at(asked.today - count * (WEEK if unit == "week" else timedelta(days=1)))
    else:
        start = asked.at(_same_day(asked, count * _MONTHS_OF[unit]))
    return start, today[1]


_CLOCK = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
_MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}


def _same_day(asked: Asked, months: int) -> date:
    """The day of today's number so many months ago, or that month's last day."""
    first = month_start(asked.today.year, asked.today.month - months)
    last = month_start(first.year, first.month + 1) - timedelta(days=1)
    return min(first + timedelta(days=asked.today.day - 1), last)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _unit(asked: Asked, unit: str, step: int) -> Span:
    """The calendar's week, month, quarter or year, so many from this one."""
    if unit == "day":
        return asked.days(asked.today + timedelta(days=step))
    if unit == "week":
        return asked.days(_monday(asked.today) + step * WEEK, 7)
    long = _MONTHS_OF[unit]
    first = (asked.today.month - 1) // long * long + 1
    return asked.months(asked.today.year, first + step * long, long)


def _back(asked: Asked, unit: str, count: int) -> Span:
    """So many units ago: that day, the seven days around it, or that month, quarter or year."""
    if count > LONGEST_COUNT:
        raise ValueError("too long ago")
    if unit in _CLOCK:
        half = _CLOCK[unit] / 2
        return asked.ago(count * _CLOCK[unit] + half), asked.ago(count * _CLOCK[unit] - half)
    if unit == "week":
        return asked.days(asked.today - count * WEEK - timedelta(days=3), 7)
    return _unit(asked, unit, -count)


@RULES.add(
    r"{ART}(?:{N}|{F}){_}{U}{_}(?:ago|back|earlier)",
    r"(?:vor|hace){_}(?:{N}|{F}){_}{U}",
)
def _ago(asked: Asked, match: re.Match[str]) -> Span:
    unit = w.UNITS[match["unit"].lower()]
    if match["few"]:
        first, last = FEW_AGO
        return _back(asked, unit, first)[0], _back(asked, unit, last)[1]
    return _back(asked, unit, number_of(match))


@RULES.add(r"{N}{_}{U}")
def _for_so_long(asked: Asked, match: re.Match[str]) -> Span | None:
    """ "seit drei Tagen": only a place makes it a time."""
    unit = w.UNITS[match["unit"].lower()]
    return _back(asked, unit, number_of(match)) if asked.place_word() == "seit" else None


@RULES.add(
    r"{ART}{R}{_}{U}(?!\s{1,3}of\b)",
    r"{ART}{U}{_}(?P<relative>pasad[oa]|anterior|antepasad[oa]|actual|que\sviene|proxim[oa])",
    r"{ART}{U}{_}(?P<relative>before\slast)",
    r"(?P<relative>heuer)",
)
def _this_or_last(asked: Asked, match: re.Match[str]) -> Span | None:
    unit = w.UNITS[(match.groupdict().get("unit") or "year").lower()]
    if unit in ("day", "hour", "minute"):
        return None
    return _unit(asked, unit, w.RELATIVE[" ".join(match["relative"].lower().split())])


@RULES.add(
    r"{ART}{R}{_}{W}(?:{_}{P})?",
    r"{ART}{W}{_}(?P<relative>pasado|anterior|antepasado|proximo|que\sviene)(?:{_}{P})?",
    r"{ART}{W}(?:{_}{P})?",
)
def _weekday(asked: Asked, match: re.Match[str]) -> Span | None:
    said, relative = match["weekday"].lower(), match.groupdict().get("relative")
    owns = asked.text.startswith(("'s", "’s"), match.end())
    if not (relative or match["part"] or asked.place or owns) or (
        said in w.SHORT_WEEKDAYS and asked.place_word() not in ("on", "since", "before", "after")
    ):
        return None
    since = (asked.today.weekday() - w.WEEKDAYS[said]) % 7
    if relative:
        step = w.RELATIVE[" ".join(relative.lower().split())]
        if step > 0:
            since -= 7
        elif step == 0:
            since = asked.today.weekday() - w.WEEKDAYS[said]
        else:
            since = (since or 7) + 7 * (-step - 1)
    elif asked.place == "after":
        since = since or 7
    return _part_of(asked, -since, match["part"])


@RULES.add(
    r"{ART}{R}{_}(?:weekend|wochenende|fin\sde\ssemana|finde)",
    r"{ART}(?:weekend|wochenende|fin\sde\ssemana|finde)(?:{_}(?P<relative>pasado|proximo))?",
)
def _weekend(asked: Asked, match: re.Match[str]) -> Span | None:
    saturday = _monday(asked.today) + timedelta(days=5)
    if match["relative"]:
        step = w.RELATIVE[match["relative"].lower()]
        return asked.days(saturday + step * WEEK, 2)
    if not asked.place:
        return None
    return asked.days(saturday if saturday <= asked.today else saturday - WEEK, 2)


@RULES.add(
    r"{ART}{S}{_}{OF}{Y}{UNIT}",
    r"{ART}{R}{_}{S}",
    r"{ART}{S}(?:{_}(?P<relative>pasado|pasada|proximo))?",
)
def _season(asked: Asked, match: re.Match[str]) -> Span | None:
    said, groups = match["season"].lower(), match.groupdict()
    if groups.get("year"):
        return asked.months(year_of(asked, match) or 0, w.SEASONS[said], 3)
    if groups.get("relative"):
        return nearest(asked, w.RELATIVE[groups["relative"].lower()], w.SEASONS[said], 3)
    if asked.place in ("", "of") or said in w.WEAK_SEASONS:
        return None
    return asked.month_of(None, w.SEASONS[said], 3)
