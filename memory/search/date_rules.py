"""Dates by their numbers and names: 2023-05-03, 3. Mai, May 2023, Q2 2024, 2021 to 2023."""

import re
from datetime import date, timedelta

from memory.search import date_words as w
from memory.search.date_grammar import (
    MOST_YEARS_AHEAD,
    Asked,
    Rules,
    Span,
    is_version,
    month_start,
    nearest,
    text_before,
    year_of,
)

RULES = Rules()


@RULES.add(
    r"(?P<year>[12][0-9]{3})-(?P<number>0[1-9]|1[0-2])-(?P<day>[0-9]{2})"
    r"(?:T[0-9:.]{4,15}(?:Z|[+-][0-9:]{4,6})?)?",
    r"(?P<year>[12][0-9]{3})/(?P<number>0?[1-9]|1[0-2])/(?P<day>[0-9]{1,2})",
    r"(?P<day>[0-9]{1,2})\.\s?(?P<number>0?[1-9]|1[0-2])\.\s?(?P<year>[12][0-9]{3})",
)
def _numeric(asked: Asked, match: re.Match[str]) -> Span | None:
    if is_version(asked, match):
        return None
    return asked.days(date(year_of(asked, match) or 0, int(match["number"]), int(match["day"])))


@RULES.add(r"(?P<day>[0-9]{1,2})([/-])(?P<number>[0-9]{1,2})\2(?P<year>[12][0-9]{3})")
def _slashed(asked: Asked, match: re.Match[str]) -> Span | None:
    one, two = int(match["day"]), int(match["number"])
    if min(one, two) < 13 <= max(one, two) or one == two:
        return asked.days(date(year_of(asked, match) or 0, min(one, two), max(one, two)))
    return None


@RULES.add(r"(?P<day>[0-9]{1,2})\.(?P<number>0?[1-9]|1[0-2])\.(?P<short>[0-9]{2})?")
def _short_german(asked: Asked, match: re.Match[str]) -> Span | None:
    if not re.search(
        r"\b(?:am|vom|seit|bis|dem|zum|vor|nach|ab)$", text_before(asked, match), re.I
    ):
        return None
    year = 2000 + int(match["short"]) if match["short"] else None
    return _day(asked, year, int(match["number"]), int(match["day"]))


def _day(asked: Asked, year: int | None, month: int, day: int) -> Span:
    """That day, or without a year the latest that has begun; a leap day may be years back."""
    if year is not None:
        return asked.days(date(year, month, day))
    for year in range(asked.today.year, asked.today.year - 9, -1):
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found < asked.today or (found == asked.today and asked.place != "after"):
            return asked.days(found)
    raise ValueError("no such day")


@RULES.add(
    r"{ART}{D}{AND}{D2}{_}{OF}{M}{OPT}",
    r"{ART}{M}{_}{D}{AND}{D2}{OPT}",
)
def _days(asked: Asked, match: re.Match[str]) -> Span | None:
    year, month = year_of(asked, match), w.MONTHS[match["month"].lower()]
    end = _day(asked, year, month, int(match["day2"]))
    start = _day(asked, end[0].year, month, int(match["day"]))
    return start[0], end[1]


@RULES.add(
    r"{WO}{ART}{D}{_}{OF}{M}{OPT}",
    r"{WO}{M}{_}(?:the\s)?{D}{OPT}",
)
def _day_of_month(asked: Asked, match: re.Match[str]) -> Span | None:
    year, name = year_of(asked, match), match["month"]
    sure = year or match["nth"] or asked.place or re.search(r"\s(?:of|de)\s", match[0])
    # "may 3 workers run", "Step 3 may fail", "March 5 files": a capital must mean something.
    if (name.lower() in w.WEAK_MONTHS and not sure) and (
        name[0].islower()
        or (
            re.search(r"(?:^|[.?!])$", text_before(asked, match))
            and re.match(r"\s+[^\W\d_]", asked.text[match.end() :][:5])
        )
    ):
        return None
    if is_version(asked, match) or re.match(
        rf"\s+(?:{w.COUNTED})\b", asked.text[match.end() :][:20]
    ):
        return None
    return _day(asked, year, w.MONTHS[name.lower()], int(match["day"]))


def _third(span: Span, match: re.Match[str]) -> Span:
    """The early, middle or late part of a span, where one is said."""
    said = match.groupdict().get("third")
    if not said:
        return span
    third = w.PARTS[" ".join(said.lower().split())]
    days = (span[1].date() - span[0].date()).days
    bounds = [span[0] + timedelta(days=round(days * part / 3)) for part in range(4)]
    return bounds[third], bounds[third + 1]


@RULES.add(
    r"(?:a\s)?{ART}(?:{T})?{ART}{M},?{_}{OF}{Y}{UNIT}",
    r"(?P<year>[12][0-9]{3})-(?P<number>0[1-9]|1[0-2])",
)
def _month_of_year(asked: Asked, match: re.Match[str]) -> Span | None:
    named = match.groupdict().get("month")
    month = w.MONTHS[named.lower()] if named else int(match["number"])
    if is_version(asked, match):
        return None
    return _third(asked.months(year_of(asked, match) or 0, month), match)


@RULES.add(
    r"(?:{R}{_})?{M}{_}(?:of\s|de\s|del\s)?{ART}(?P<last>last|this|letzten|dieses|vorigen)\s{1,3}"
    r"(?:year|jahres)",
    r"{M}{_}(?:de|del){_}(?P<last>ano\s{1,3}pasado|este\s{1,3}ano)",
)
def _month_of_last_year(asked: Asked, match: re.Match[str]) -> Span | None:
    back = match["last"].lower().split()[0] not in ("this", "dieses", "este")
    return asked.months(asked.today.year - back, w.MONTHS[match["month"].lower()])


@RULES.add(
    r"(?:a\s)?{ART}{T}{ART}{M}",
    r"{ART}{R}{_}{M}",
    r"{M}{_}(?P<relative>pasado|proximo)",
    r"{ART}(?:(?:month|monat|mes){_}(?:of\s|de\s)?)?{M}",
)
def _month_alone(asked: Asked, match: re.Match[str]) -> Span | None:
    said = match["month"].lower()
    groups, month = match.groupdict(), w.MONTHS[said]
    if groups.get("relative"):
        if said in ("may", "march") and match["month"][0].islower() and not asked.place:
            # "this may fail", "the last march"
            return None
        return nearest(asked, w.RELATIVE[groups["relative"].lower()], month)
    placed = said in w.PLACED_MONTHS and asked.place
    if asked.place == "of" and match["month"][0].islower() and said not in w.BARE_MONTHS:
        placed = False
    if not (placed or said in w.BARE_MONTHS or groups.get("third")):
        return None
    return _third(asked.month_of(None, month), match)


_ORDINALS = {
    word: number
    for number, words in enumerate(
        [
            "first 1st 1. erste ersten erstes primer",
            "second 2nd 2. zweite zweiten zweites segundo",
            "third 3rd 3. dritte dritten drittes tercer",
            "fourth 4th 4. vierte vierten viertes cuarto",
        ],
        1,
    )
    for word in words.split()
}


@RULES.add(
    r"{ART}(?P<kind>[qh])(?P<number>[1-4])(?:{_}|-){OF}{Y}{UNIT}",
    r"{Y}[\s-](?P<kind>[qh])(?P<number>[1-4])",
    r"{ART}(?P<number>first|1st|erste[ns]?|1\.|primer|second|2nd|zweite[ns]?|2\.|segundo|third|3rd"
    r"|dritte[ns]?|3\.|tercer|fourth|4th|vierte[ns]?|4\.|cuarto){_}(?:quarter|quartal|trimestre)"
    r"(?:{_}{OF}{Y}{UNIT})?",
    r"{ART}(?P<kind>q)(?P<number>[1-4])",
)
def _quarter(asked: Asked, match: re.Match[str]) -> Span | None:
    groups, said = match.groupdict(), match["number"].lower()
    number = int(said) if said.isdigit() else _ORDINALS[said]
    long = 6 if (groups.get("kind") or "q").lower() == "h" else 3
    year = year_of(asked, match)
    if number * long > 12 or (groups.get("kind") and not year and asked.place in ("", "of")):
        return None
    return asked.month_of(year, (number - 1) * long + 1, long)


@RULES.add(
    r"(?:kw|kalenderwoche|calendar\sweek)\s?(?P<number>[0-9]{1,2})(?:[\s/,]{1,3}(?:of\s)?{Y})?"
)
def _week(asked: Asked, match: re.Match[str]) -> Span:
    number, year = int(match["number"]), year_of(asked, match)
    monday = date.fromisocalendar(year or asked.today.year, number, 1)
    if year is None and monday > asked.today:
        monday = date.fromisocalendar(asked.today.year - 1, number, 1)
    return asked.days(monday, 7)


@RULES.add(r"{Y}\s?[-–]\s?(?P<year2>19[5-9][0-9]|20[0-9]{2})")
def _years(asked: Asked, match: re.Match[str]) -> Span | None:
    last = int(match["year2"])
    if asked.place in ("", "of") or last > asked.now.year + MOST_YEARS_AHEAD:
        return None
    return asked.at(date(int(match["year"]), 1, 1)), asked.at(date(last + 1, 1, 1))


@RULES.add(
    r"(?:a\s)?{ART}(?:{T})?{ART}(?P<said>(?:year|jahr|jahre|jahres|ano){_}(?:de\s)?)?{Y}{UNIT}"
)
def _year_alone(asked: Asked, match: re.Match[str]) -> Span | None:
    # "page 1 of 2023", "port 2023", "on 2023" say no year.
    placed = asked.place not in ("", "of") or asked.place_word() in (
        "of", "from", "for", "von", "vom", "de", "del", "para",
    )  # fmt: skip
    counted = asked.place == "of" and re.search(
        rf"[0-9]\s+{asked.placed_by}\s*$", text_before(asked, match)
    )
    if not (placed and not counted) and not match["third"] and not match["said"]:
        return None
    return _third(asked.months(year_of(asked, match) or 0, 1, 12), match)


@RULES.add(
    r"the\s{1,3}(?P<day>[0-9]{1,2})(?:st|nd|rd|th)(?P<of>\s{1,3}of\s{1,3}(?:this|last)\s{1,3}month)?"
)
def _nth(asked: Asked, match: re.Match[str]) -> Span | None:
    """ "on the 3rd", but not "on the 3rd attempt"."""
    day, month = int(match["day"]), month_start(asked.today.year, asked.today.month)
    if match["of"]:
        if "last" in match["of"].lower():
            month = month_start(month.year, month.month - 1)
        return asked.days(month.replace(day=day))
    if not asked.place or re.match(r"\s*[^\W\d_]", asked.text[match.end() :][:10]):
        return None
    for back in range(12):
        first = month_start(month.year, month.month - back)
        try:
            found = first.replace(day=day)
        except ValueError:
            continue
        if found <= asked.today:
            return asked.days(found)
    return None
