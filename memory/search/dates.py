"""Dates and relative time in a query: "last week", "im Mai", "desde el martes".

English, German and Spanish, by tables (date_words.py) and regular expressions without unbounded
repetition, so that a pasted log costs what its length says. What is part of a path, an
identifier, a version or an option is no time. Not for what a search makes of the span.

Decided where people differ: weeks begin on Monday; "in May" and "on Monday" are the latest that
have begun; "last week" is the calendar week before this one and "the last week" the last seven
days; seasons are those of the northern half of the earth; 03/05/2023 is nobody's date, because
half of the world reads it otherwise.
"""

import re
import unicodedata
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import MAXYEAR, MINYEAR, date, datetime, timedelta

from memory.search import date_relative, date_rules
from memory.search import date_words as w
from memory.search.date_grammar import ARTICLE, WORD, Asked, Span, any_of, number_of

# Where "before May" begins: earlier than anything that is kept.
FIRST_YEAR = 1900
# The words before the one that makes it a time: "on the morning of the", "in den letzten paar".
MOST_BEFORE = 6
# Named dates first: "May 3" before "May".
RULES = [*date_rules.RULES, *date_relative.RULES]


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open span of time in the asker's time zone, and the words that said it."""

    start: datetime
    end: datetime
    text: str


def find_period(text: str, now: datetime) -> Period | None:
    """The first time that `text` speaks of, as the asker at `now` means it; None where it has none.

    `now` is aware, in the asker's time zone; the span is as well.
    """
    text = unicodedata.normalize("NFC", text)
    asked = Asked(now, w.fold(text))
    for start in _places_to_look(asked.text):
        try:
            found = _expression(asked, start)
        except (ValueError, OverflowError):
            # A thousand years before a thousand years ago: outside the calendar.
            continue
        if found is not None and _is_a_time(found[0]):
            span, end = found
            return Period(*span, text[start:end].strip())
    return None


def _is_a_time(span: Span) -> bool:
    """Whether it is one, in any time zone: the calendar's first and last year are not."""
    return span[0].year > MINYEAR and span[1].year < MAXYEAR and span[0] < span[1]


def _places_to_look(text: str) -> Iterator[int]:
    """Where a time may begin: a few words before each one that can be said of time only."""
    waiting: deque[int] = deque(maxlen=MOST_BEFORE)
    for word in WORD.finditer(text):
        waiting.append(word.start())
        if word[0][0].isdigit() or word[0].lower() in _OF_TIME:
            while waiting:
                yield waiting.popleft()


_OF_TIME = {
    *w.MONTHS, *w.WEEKDAYS, *w.UNITS, *w.SEASONS, *w.OTHER_WORDS,
    *(phrase.split()[-1] for phrase in w.DAYS),
}  # fmt: skip


def _expression(asked: Asked, start: int) -> tuple[Span, int] | None:
    """A time with the words that place it, or a range of two."""
    if away := _AWAY.match(asked.text, start):
        there = _single(replace(asked, place="in", placed_by="in"), away.end())
        if there:
            return _away(away, there[0]), there[1]
    placed = _PLACE.match(asked.text, start)
    if placed:
        here = replace(asked, place=placed.lastgroup or "", placed_by=placed[0].strip())
        # "vor drei Tagen" is no "before", "hace" no place: what is a time as a whole comes first.
        whole = _single(asked, start)
        if whole:
            return whole
        first = _single(here, placed.end())
        if first:
            return _placed(here, placed.end(), first)
    first = _single(asked, start)
    return _placed(asked, start, first) if first else None


def _away(said: re.Match[str], span: Span) -> Span:
    """ "The week before" a time is the one that ends there; "two weeks before" is about then."""
    unit = _LENGTHS[w.UNITS[said["unit"].lower()]]
    if said["number"] is None:
        return (span[0] - unit, span[0]) if said["before"] else (span[1], span[1] + unit)
    away = unit * min(number_of(said), MOST_AWAY)
    there = span[0] - away if said["before"] else span[0] + away
    # A day is meant as that day, a week or more as about then.
    return (there, there + unit) if unit == timedelta(1) else (there - unit / 2, there + unit / 2)


def _placed(asked: Asked, start: int, first: tuple[Span, int]) -> tuple[Span, int] | None:
    span, end = first
    joined = (_AND if asked.place == "between" else _TO).match(asked.text, end)
    if joined and asked.place not in ("before", "after", "until"):
        inside = replace(asked, place="in", placed_by="in")
        if second := _single(inside, joined.end()):
            if span[0] >= second[0][1]:
                # "between November and January": the November before that January.
                earlier = _single(replace(inside, now=second[0][1] - timedelta(1)), start)
                span = earlier[0] if earlier else span
            return (span[0], second[0][1]), second[1]
    oldest, soon = asked.at(date(FIRST_YEAR, 1, 1)), asked.at(asked.today + timedelta(days=1))
    match asked.place:
        case "between":
            return None
        case "since":
            return (span[0], max(soon, span[1]) if span[0] >= soon else soon), end
        case "before":
            return (oldest, span[0]), end
        case "after":
            return (span[1], soon), end
        case "until":
            return (oldest, span[1]), end
    return first


def _single(asked: Asked, start: int) -> tuple[Span, int] | None:
    """One time without what places it."""
    for pattern, rule in RULES:
        match = pattern.match(asked.text, start)
        if match:
            try:
                span = rule(asked, match)
            except (ValueError, OverflowError):
                # The 31st of June, or a million years ago.
                continue
            if span:
                return span, match.end()
    return None


MOST_AWAY = 1200
_LENGTHS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
    "quarter": timedelta(days=91),
    "year": timedelta(days=365),
}
_AWAY = re.compile(
    rf"(?:(?:the|die|der|den|la|el)\s{{1,3}}|(?P<number>[0-9]{{1,4}}|{any_of(w.NUMBERS)})\s{{1,3}})"
    rf"(?P<unit>{any_of(w.UNITS)})\s{{1,3}}"
    rf"(?:(?P<before>before|prior to|vor|antes de|antes del)|after|following|nach|despues de|"
    rf"despues del)\s{{1,3}}" + ARTICLE,
    re.IGNORECASE,
)
_PLACE = re.compile(
    "(?:"
    + "|".join(f"(?P<{name}>{any_of(words.split('|'))})" for name, words in w.PLACES.items())
    + r")\s{1,3}",
    re.IGNORECASE,
)
_AND = re.compile(r"\s{1,3}(?:and|to|und|bis|y|e)\s{1,3}" + ARTICLE, re.IGNORECASE)
_TO = re.compile(
    r"\s{0,3}(?:–|\s-\s|\.\.|\bto|\buntil|\bthrough|\bbis|\bal?|\bhasta)\s{0,3}" + ARTICLE, re.I
)
