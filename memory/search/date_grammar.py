"""What the rules of dates are made of: the asker's clock, and patterns with names for tables.

Not for the rules themselves: date_rules.py has those of named dates, date_relative.py those that
count from today.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from memory.search import date_words as w

# A number such as 2048 is rather a size.
MOST_YEARS_AHEAD = 5

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Asked:
    """The asker's clock, and how the words before the time place it."""

    now: datetime
    text: str
    # A key of PLACES, or nothing.
    place: str = ""
    # The word that says it.
    placed_by: str = ""

    @property
    def today(self) -> date:
        return self.now.date()

    def at(self, day: date, hours: int = 0) -> datetime:
        day += timedelta(days=hours // 24)
        return datetime.combine(day, time(hours % 24), tzinfo=self.now.tzinfo)

    def days(self, first: date, count: int = 1) -> Span:
        return self.at(first), self.at(first + timedelta(days=count))

    def months(self, year: int, month: int, count: int = 1) -> Span:
        return self.at(month_start(year, month)), self.at(month_start(year, month + count))

    def month_of(self, year: int | None, month: int, count: int = 1) -> Span:
        """Of that year, or the latest that has begun, or for "after" that has ended."""
        if year is not None:
            return self.months(year, month, count)
        span = self.months(self.today.year, month, count)
        late = span[1] if self.place == "after" else span[0]
        return span if late <= self.now else self.months(self.today.year - 1, month, count)

    def place_word(self) -> str:
        return self.placed_by.lower().split()[0] if self.placed_by else ""

    def ago(self, moment: timedelta) -> datetime:
        """Hours that really went by, whatever the clocks were set to."""
        return (self.now.astimezone(UTC) - moment).astimezone(self.now.tzinfo)


def month_start(year: int, month: int) -> date:
    """The first day of a month that may be counted past either end of the year."""
    return date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)


def any_of(words: Iterable[str]) -> str:
    listed = sorted(words, key=len, reverse=True)
    return "(?:" + "|".join(word.replace(" ", r"\s{1,3}") for word in listed) + ")"


# A time begins and ends where a word does, and not inside anything that is joined.
WORD = re.compile(r"(?<![\w./\\:@#=~$+-])\w{1,20}")
_END = r"(?![\w/\\@#=]|[.:,-]\w|\()"
ARTICLE = r"(?:(?:the|dem|den|der|des|die|das|el|la|los|las)\s{1,3})?"
_NAMES = {
    "M": f"(?P<month>{any_of(w.MONTHS)})\\.?",
    "W": f"(?P<weekday>{any_of(w.WEEKDAYS)})",
    "WO": f"(?:{any_of(w.WEEKDAYS)},?\\s{{1,3}})?",
    "N": f"(?P<number>[0-9]{{1,4}}|(?:a\\s)?{any_of(w.NUMBERS)}(?:\\s{{1,3}}of)?)",
    "F": r"(?P<few>(?:a\s)?few|several|(?:ein\s)?paar|un[oa]s(?:\s(?:pocos|pocas|cuantos))?"
    r"|vari[oa]s|algun[oa]s|einigen?)",
    "LAST": r"(?:last|past|previous|letzten|letzte|vergangenen|ultim[oa]s?|pasad[oa]s?)",
    "DAYS": any_of(w.DAYS),
    "U": f"(?P<unit>{any_of(w.UNITS)})",
    "R": f"(?P<relative>{any_of(w.RELATIVE)})",
    "P": f"(?P<part>{any_of(w.DAY_PARTS)})",
    "S": f"(?P<season>{any_of(w.SEASONS)})",
    "T": f"(?P<third>{any_of(w.PARTS)})[\\s-]{{1,3}}",
    "Y": "(?P<year>19[5-9][0-9]|20[0-9]{2})",
    "D": "(?P<day>0?[1-9]|[12][0-9]|3[01])(?P<nth>st|nd|rd|th|\\.|º)?",
    "D2": "(?P<day2>0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th|\\.|º)?",
    "OF": r"(?:(?:of|in|de|del|des)\s{1,3})?" + ARTICLE,
    "AND": r"\s{0,2}(?:-|–|to|and|bis|und|y|al?|through|until)\s{0,2}" + ARTICLE,
    "_": r"\s{1,3}",
    "ART": ARTICLE,
    "OPT": r"(?:(?:,\s{0,3}|\s{1,3})(?:(?:of|de|del)\s{1,3})?"
    r"(?P<year>19[5-9][0-9]|20[0-9]{2})(?![0-9]))?",
    # Of what is counted, or reaches to another number, no year is said.
    "UNIT": rf"(?!\s{{1,3}}(?:{w.COUNTED})\b)"
    r"(?!\s{0,2}(?:to|bis|al?|-|–)\s{0,2}(?!(?:19[5-9][0-9]|20[0-9]{2})(?![0-9]))[0-9])",
}
Rule = Callable[[Asked, re.Match[str]], Span | None]


class Rules(list[tuple[re.Pattern[str], Rule]]):
    """What a module of rules knows, in the order in which it is tried."""

    def add(self, *patterns: str) -> Callable[[Rule], Rule]:
        """A rule for each pattern, in which {NAME} is a table. The first that knows wins."""

        def added(known: Rule) -> Rule:
            for pattern in patterns:
                pattern = re.sub(r"\{([A-Z_][A-Z0-9]*)\}", lambda m: _NAMES[m[1]], pattern)
                self.append((re.compile(pattern + _END, re.IGNORECASE), known))
            return known

        return added


def nearest(asked: Asked, step: int, first: int, count: int = 1) -> Span | None:
    """Last, this or next May, or summer: before, around or after now; -2 is one more back."""
    spans = [asked.months(asked.today.year + years, first, count) for years in (-2, -1, 0, 1)]
    if step == 0:
        running = [one for one in spans if one[0] <= asked.now < one[1]]
        return running[0] if running else spans[2]
    if step > 0:
        return next(one for one in spans if one[0] > asked.now)
    done = [one for one in spans if one[1] <= asked.now]
    return done[step] if len(done) >= -step else None


def year_of(asked: Asked, match: re.Match[str]) -> int | None:
    found = match.groupdict().get("year")
    if found is None:
        return None
    if int(found) > asked.now.year + MOST_YEARS_AHEAD:
        raise ValueError("a size, not a year")
    return int(found)


def number_of(match: re.Match[str]) -> int:
    said = match["number"].lower().removesuffix("of").split()[-1]
    return int(said) if said.isdigit() else w.NUMBERS[said]


def text_before(asked: Asked, match: re.Match[str]) -> str:
    """The word before the match, or its last letters."""
    return asked.text[max(0, match.start() - 20) : match.start()].rstrip()


def is_version(asked: Asked, match: re.Match[str]) -> bool:
    return bool(
        re.search(r"\b(?:version|release|build|revision|tag)$", text_before(asked, match), re.I)
    )
