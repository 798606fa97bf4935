"""Times in a query, in three languages, as somebody means them on a Wednesday in May."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.search.dates import find_period

BERLIN = ZoneInfo("Europe/Berlin")
# A Wednesday; the week began on the 13th, the weekend was the 11th and 12th.
NOW = datetime(2024, 5, 15, 10, 30, tzinfo=BERLIN)
EVER, TOMORROW = "1900-01-01", "2024-05-16"


def days(text, now=NOW):
    """ "first..end" of the period, whole days as dates."""
    period = find_period(text, now)
    if period is None:
        return None
    assert period.start.tzinfo is period.end.tzinfo is now.tzinfo
    assert period.text in text
    return f"{_short(period.start)}..{_short(period.end)}"


def _short(moment):
    return f"{moment:%Y-%m-%d}" if moment.hour == moment.minute == 0 else f"{moment:%Y-%m-%d %H:%M}"


def one(day):
    return f"{day}..{date.fromisoformat(day) + timedelta(days=1)}"


MAY_2024, MAY_2023 = "2024-05-01..2024-06-01", "2023-05-01..2023-06-01"
LAST_WEEK, THIS_WEEK = "2024-05-06..2024-05-13", "2024-05-13..2024-05-20"
YEAR_2023 = "2023-01-01..2024-01-01"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # English
        ("what did we decide yesterday?", one("2024-05-14")),
        ("Yesterday's standup", one("2024-05-14")),
        ("the day before yesterday", one("2024-05-13")),
        ("deploys today", one("2024-05-15")),
        ("what is planned tomorrow", one("2024-05-16")),
        ("last week", LAST_WEEK),
        ("errors of this week", THIS_WEEK),
        ("the week before last", "2024-04-29..2024-05-06"),
        ("in the last week", "2024-05-08..2024-05-16"),
        ("past month", "2024-04-15..2024-05-16"),
        ("this month", MAY_2024),
        ("last month", "2024-04-01..2024-05-01"),
        ("next month", "2024-06-01..2024-07-01"),
        ("last year", YEAR_2023),
        ("last quarter", "2024-01-01..2024-04-01"),
        ("what did Ana say in May", MAY_2024),
        ("in June we moved", "2023-06-01..2023-07-01"),
        ("in may", MAY_2024),
        ("last May", MAY_2023),
        ("this June", "2024-06-01..2024-07-01"),
        ("May last year", MAY_2023),
        ("in May 2023", MAY_2023),
        ("May 2023 budget", MAY_2023),
        ("Sept. 2023", "2023-09-01..2023-10-01"),
        ("2023-05 report", MAY_2023),
        ("early May", "2024-05-01..2024-05-11"),
        ("late 2023", "2023-09-01..2024-01-01"),
        ("May 3, 2023", one("2023-05-03")),
        ("on May 3rd", one("2024-05-03")),
        ("on Friday, May 3", one("2024-05-03")),
        ("3 May", one("2024-05-03")),
        ("the outage of 3 May", one("2024-05-03")),
        ("on the 3rd of May", one("2024-05-03")),
        ("June 3", one("2023-06-03")),
        ("on the 3rd", one("2024-05-03")),
        ("on the 20th", one("2024-04-20")),
        ("on the 31st", one("2024-03-31")),
        ("what broke on 2023-05-03?", one("2023-05-03")),
        ("since 2023-05-03T10:00:00Z", f"2023-05-03..{TOMORROW}"),
        ("2023/05/03", one("2023-05-03")),
        ("5/31/2023", one("2023-05-31")),
        ("31/5/2023", one("2023-05-31")),
        ("in 2023", YEAR_2023),
        ("the budget for 2023", YEAR_2023),
        ("in 2021-2023", "2021-01-01..2024-01-01"),
        ("error in 2023", YEAR_2023),
        ("since Tuesday", f"2024-05-14..{TOMORROW}"),
        ("since May", f"2024-05-01..{TOMORROW}"),
        ("since yesterday", f"2024-05-14..{TOMORROW}"),
        ("since last week", f"2024-05-06..{TOMORROW}"),
        ("before August 3, 2023", f"{EVER}..2023-08-03"),
        ("before May", f"{EVER}..2024-05-01"),
        ("the week before August 3, 2023", "2023-07-27..2023-08-03"),
        ("the day after May 3, 2023", "2023-05-04..2023-05-05"),
        ("3 days before May 3, 2023", "2023-04-30..2023-05-01"),
        ("die Woche nach dem 3. Mai 2023", "2023-05-04..2023-05-11"),
        ("la semana antes del 3 de mayo de 2023", "2023-04-26..2023-05-03"),
        ("after March", f"2024-04-01..{TOMORROW}"),
        ("after May", f"2023-06-01..{TOMORROW}"),
        ("until Friday", f"{EVER}..2024-05-11"),
        ("3 days ago", one("2024-05-12")),
        ("a couple of days ago", one("2024-05-13")),
        ("a few days ago", "2024-05-09..2024-05-14"),
        ("two weeks ago", "2024-04-28..2024-05-05"),
        ("two months ago", "2024-03-01..2024-04-01"),
        ("a year ago", YEAR_2023),
        ("2 hours ago", "2024-05-15 08:00..2024-05-15 09:00"),
        ("last Friday", one("2024-05-10")),
        ("last Wednesday", one("2024-05-08")),
        ("on Wednesday", one("2024-05-15")),
        ("on Monday", one("2024-05-13")),
        ("next Friday", one("2024-05-17")),
        ("this Friday", one("2024-05-17")),
        ("on Monday morning", "2024-05-13 04:00..2024-05-13 12:00"),
        ("last weekend", "2024-05-11..2024-05-13"),
        ("over the weekend", "2024-05-11..2024-05-13"),
        ("this weekend", "2024-05-18..2024-05-20"),
        ("this morning", "2024-05-15 04:00..2024-05-15 12:00"),
        ("last night", "2024-05-14 18:00..2024-05-15 06:00"),
        ("yesterday afternoon", "2024-05-14 12:00..2024-05-14 18:00"),
        ("in the last 3 days", "2024-05-12..2024-05-16"),
        ("over the past 24 hours", "2024-05-14 10:30..2024-05-15 10:30"),
        ("in the last two weeks", "2024-05-01..2024-05-16"),
        ("summer 2021", "2021-06-01..2021-09-01"),
        ("in the summer of 2021", "2021-06-01..2021-09-01"),
        ("last summer", "2023-06-01..2023-09-01"),
        ("last winter", "2023-12-01..2024-03-01"),
        ("Q2 2024", "2024-04-01..2024-07-01"),
        ("2024 Q2", "2024-04-01..2024-07-01"),
        ("in Q4", "2023-10-01..2024-01-01"),
        ("the second quarter of 2023", "2023-04-01..2023-07-01"),
        ("H1 2023", "2023-01-01..2023-07-01"),
        ("between 3 and 5 May", "2024-05-03..2024-05-06"),
        ("between May 3 and May 5, 2023", "2023-05-03..2023-05-06"),
        ("May 3-5, 2023", "2023-05-03..2023-05-06"),
        ("from May 3 to June 2, 2023", "2023-05-03..2023-06-03"),
        ("between November and January", "2023-11-01..2024-02-01"),
        ("from 2021 to 2023", "2021-01-01..2024-01-01"),
        ("from Monday to Wednesday", "2024-05-13..2024-05-16"),
        ("2023-05-03 to 2023-05-10", "2023-05-03..2023-05-11"),
        ("on February 29", one("2024-02-29")),
        ("May 3 - May 5", "2024-05-03..2024-05-06"),
        ("mid-May", "2024-05-11..2024-05-22"),
        ("tuesday's decision", one("2024-05-14")),
        ("version 2.0 in May", MAY_2024),
        ("31 June 2023", "2023-06-01..2023-07-01"),
        ("git log --since yesterday", one("2024-05-14")),
        # German
        ("was haben wir gestern entschieden", one("2024-05-14")),
        ("vorgestern", one("2024-05-13")),
        ("heute früh", "2024-05-15 04:00..2024-05-15 12:00"),
        ("gestern Abend", "2024-05-14 17:00..2024-05-15"),
        ("heute morgen", "2024-05-15 04:00..2024-05-15 12:00"),
        ("was steht morgen an", one("2024-05-16")),
        ("übermorgen", one("2024-05-17")),
        ("letzte Woche", LAST_WEEK),
        ("in der letzten Woche", LAST_WEEK),
        ("vorletzte Woche", "2024-04-29..2024-05-06"),
        ("in dieser Woche", THIS_WEEK),
        ("im letzten Monat", "2024-04-01..2024-05-01"),
        ("letztes Jahr", YEAR_2023),
        ("nächste Woche", "2024-05-20..2024-05-27"),
        ("im Mai", MAY_2024),
        ("Entscheidungen aus dem Mai", MAY_2024),
        ("im März", "2024-03-01..2024-04-01"),
        ("Anfang Mai", "2024-05-01..2024-05-11"),
        ("Ende 2023", "2023-09-01..2024-01-01"),
        ("im Mai 2023", MAY_2023),
        ("am 3. Mai 2023", one("2023-05-03")),
        ("03.05.2023", one("2023-05-03")),
        ("vom 3.5.2023", one("2023-05-03")),
        ("am 3.5.", one("2024-05-03")),
        ("am 3.5.23", one("2023-05-03")),
        ("seit Dienstag", f"2024-05-14..{TOMORROW}"),
        ("seit dem 3. Mai", f"2024-05-03..{TOMORROW}"),
        ("seit drei Tagen", f"2024-05-12..{TOMORROW}"),
        ("vor drei Tagen", one("2024-05-12")),
        ("vor ein paar Tagen", "2024-05-09..2024-05-14"),
        ("vor einer Woche", "2024-05-05..2024-05-12"),
        ("vor dem 3. August 2023", f"{EVER}..2023-08-03"),
        ("nach März", f"2024-04-01..{TOMORROW}"),
        ("bis Freitag", f"{EVER}..2024-05-11"),
        ("am Montag", one("2024-05-13")),
        ("letzten Freitag", one("2024-05-10")),
        ("am letzten Freitag", one("2024-05-10")),
        ("letztes Wochenende", "2024-05-11..2024-05-13"),
        ("am Wochenende", "2024-05-11..2024-05-13"),
        ("in den letzten drei Tagen", "2024-05-12..2024-05-16"),
        ("im Sommer 2021", "2021-06-01..2021-09-01"),
        ("letzten Sommer", "2023-06-01..2023-09-01"),
        ("2. Quartal 2023", "2023-04-01..2023-07-01"),
        ("KW 12", "2024-03-18..2024-03-25"),
        ("zwischen dem 3. und 5. Mai", "2024-05-03..2024-05-06"),
        ("vom 3. bis 5. Mai 2023", "2023-05-03..2023-05-06"),
        ("im Jahr 2023", YEAR_2023),
        ("seit 2023", f"2023-01-01..{TOMORROW}"),
        # Spanish
        ("¿qué decidimos ayer?", one("2024-05-14")),
        ("anteayer", one("2024-05-13")),
        ("antes de ayer", one("2024-05-13")),
        ("ayer por la tarde", "2024-05-14 12:00..2024-05-14 18:00"),
        ("anoche", "2024-05-14 18:00..2024-05-15 06:00"),
        ("esta mañana", "2024-05-15 04:00..2024-05-15 12:00"),
        ("los despliegues de hoy", one("2024-05-15")),
        ("mañana", one("2024-05-16")),
        ("la semana pasada", LAST_WEEK),
        ("la semana pasada en man\u0303ana", LAST_WEEK),
        ("esta semana", THIS_WEEK),
        ("la próxima semana", "2024-05-20..2024-05-27"),
        ("la semana que viene", "2024-05-20..2024-05-27"),
        ("el mes pasado", "2024-04-01..2024-05-01"),
        ("el año pasado", YEAR_2023),
        ("en mayo", MAY_2024),
        ("en mayo de 2023", MAY_2023),
        ("mayo del año pasado", MAY_2023),
        ("a finales de abril", "2024-04-21..2024-05-01"),
        ("el 3 de mayo", one("2024-05-03")),
        ("el 3 de mayo de 2023", one("2023-05-03")),
        ("desde el martes", f"2024-05-14..{TOMORROW}"),
        ("desde mayo", f"2024-05-01..{TOMORROW}"),
        ("desde hace tres días", f"2024-05-12..{TOMORROW}"),
        ("hace tres días", one("2024-05-12")),
        ("hace 2 semanas", "2024-04-28..2024-05-05"),
        ("antes del 3 de agosto de 2023", f"{EVER}..2023-08-03"),
        ("después de marzo", f"2024-04-01..{TOMORROW}"),
        ("el lunes", one("2024-05-13")),
        ("el viernes pasado", one("2024-05-10")),
        ("el fin de semana pasado", "2024-05-11..2024-05-13"),
        ("en los últimos tres días", "2024-05-12..2024-05-16"),
        ("verano de 2021", "2021-06-01..2021-09-01"),
        ("el verano pasado", "2023-06-01..2023-09-01"),
        ("segundo trimestre de 2023", "2023-04-01..2023-07-01"),
        ("entre el 3 y el 5 de mayo", "2024-05-03..2024-05-06"),
        ("del 3 al 5 de mayo", "2024-05-03..2024-05-06"),
        ("en 2023", YEAR_2023),
    ],
)
def test_a_time_is_found(text, expected):
    assert days(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "?!", "may I see the logs", "this may fail", "march through the list",
        "the march of progress", "sun", "the sun is up", "on sat phones", "version 1.2.3",
        "python 2.0", "1.2.2023.4", "error 2023", "port 2023", "listening on 2023",
        "in 2048 bytes", "in 2000 ms", "after 2000 requests", "nach 2000 Zeilen",
        "en 2000 segundos", "from 2000 to 3000 rows", "between 2000 and 3000",
        "2023-05-03.log", "logs/2023-05-03.log", "logs/2023/05/03/app.log",
        "backup-2023-05-03", "backup_2023-05-03.tar.gz", "2023-05-03-backup", "v2023.05.03",
        "version 2023-05-03", "api release 2024-02-15", "today.py", "yesterday_sales",
        "today()", "last_week", "$today", "@monday", "--since=yesterday", "#May 3x",
        "a3f2023-05-03", "10.05.2023.1", "deadbeef2023", "127.0.0.1:2023", "03/05/2023",
        "2023-13-01", "2023-02-30", "32.05.2023", "the 3rd attempt",
        "fails on the 3rd attempt", "page 1 of 2023", "step 3 may fail", "may 3 workers run",
        "May 3 workers run at once?", "April said so", "ask June", "spring boot", "in Spring",
        "fall back", "second try", "the last day of the sprint", "two weeks", "3 days",
        "in 3 days", "24/7", "monday.com", "Black Friday", "mayonnaise", "mayo", "mar",
        "en el mar", "in oct", "0x2023", "99999 days ago", "Guten Morgen", "guten morgen",
        "por la mañana", "q2", "week 12", "am 1.2.3", "tag", "die 3 Tage", "past the end",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_time_is_none(text):
    assert days(text) is None


@pytest.mark.parametrize(
    ("now", "text", "expected"),
    [
        # Borders of weeks, months and years.
        ("2024-01-01", "yesterday", one("2023-12-31")),
        ("2024-01-01", "last week", "2023-12-25..2024-01-01"),
        ("2024-01-01", "last month", "2023-12-01..2024-01-01"),
        ("2024-01-01", "this year", "2024-01-01..2025-01-01"),
        ("2024-12-31", "next month", "2025-01-01..2025-02-01"),
        ("2024-03-31", "last month", "2024-02-01..2024-03-01"),
        ("2024-03-31", "the last month", "2024-02-29..2024-04-01"),
        ("2024-03-31", "a month ago", "2024-02-01..2024-03-01"),
        ("2024-02-29", "a year ago", YEAR_2023),
        ("2024-05-13", "last week", LAST_WEEK),
        ("2024-05-12", "last week", "2024-04-29..2024-05-06"),
        ("2024-05-12", "this week", LAST_WEEK),
        ("2024-05-12", "last weekend", "2024-05-04..2024-05-06"),
        ("2024-05-12", "at the weekend", "2024-05-11..2024-05-13"),
        ("2024-05-13", "on Sunday", one("2024-05-12")),
        ("2024-05-13", "last Monday", one("2024-05-06")),
        ("2024-02-01", "last winter", "2022-12-01..2023-03-01"),
        ("2024-02-01", "in winter", "2023-12-01..2024-03-01"),
        ("2024-12-31", "in December", "2024-12-01..2025-01-01"),
        ("2023-03-01", "on February 29", one("2020-02-29")),
        ("2024-05-01", "in May", MAY_2024),
        ("2024-04-30", "in May", MAY_2023),
    ],
)
def test_the_borders_of_the_calendar(now, text, expected):
    moment = datetime.combine(date.fromisoformat(now), datetime.min.time(), tzinfo=UTC)
    assert days(text, moment) == expected
    assert days(text, moment + timedelta(hours=23, minutes=59)) == expected


def test_the_day_is_the_askers():
    moment = datetime(2024, 5, 15, 23, 30, tzinfo=UTC)
    assert days("today", moment) == one("2024-05-15")
    assert days("today", moment.astimezone(ZoneInfo("Asia/Tokyo"))) == one("2024-05-16")
    assert days("yesterday", moment.astimezone(ZoneInfo("America/Los_Angeles"))) == one(
        "2024-05-14"
    )


@pytest.mark.parametrize(("day", "hours"), [("2024-03-31", 23), ("2024-10-27", 25)])
def test_a_day_on_which_the_clocks_change_is_a_whole_day(day, hours):
    noon = datetime.combine(date.fromisoformat(day), datetime.min.time(), BERLIN).replace(hour=12)
    period = find_period("today", noon)
    assert period.end.astimezone(UTC) - period.start.astimezone(UTC) == timedelta(hours=hours)
    period = find_period("in the last 24 hours", noon)
    assert noon.astimezone(UTC) - period.start.astimezone(UTC) == timedelta(hours=24)


def test_the_words_that_said_it_are_given():
    assert find_period("What broke in  May 2023, then?", NOW).text == "in  May 2023"
    assert find_period("¿Qué pasó el año pasado?", NOW).text == "el año pasado"


def test_this_year_and_this_week_in_a_word_of_their_own():
    assert days("Was haben wir heuer gelernt?") == days("Was haben wir dieses Jahr gelernt?")
    assert days("HEUER") == days("this year")
    assert days("los errores de la semana actual") == days("the errors of this week")
    assert days("el mes actual") == days("this month")


# Words that a rule knows and words between them; what each says alone is tested above.
WORDS = """heuer actual anterior antepasado vorletzte Woche Jahr semana mes proximo que viene
    lunes Montag weekend Wochenende finde verano Sommer summer letzten Anfang principios
    in since before last the 3 31 2023 may May 5. of - to and week days ago el de mayo vor
    drei Tagen seit pasado viernes 9999 99 Q2 2023-05-03 between entre ."""


@given(st.text(max_size=200), st.datetimes(timezones=st.timezones()))
@settings(max_examples=300, deadline=None)
def test_no_text_at_no_time_is_an_error(text, now):
    find_period(text, now)


@pytest.mark.parametrize(
    "text",
    [
        "1200 years before 1200 years ago",
        "1200 years before 825 years ago",
        "two weeks before 1950",
    ],
)
def test_what_lies_before_the_calendar_is_no_time(text):
    period = find_period(text, NOW)
    assert period is None or period.start.year > 1
    # Whatever zone it is told in.
    if period is not None:
        period.start.astimezone(ZoneInfo("Pacific/Kiritimati"))


@pytest.mark.parametrize("year", [1, 9999])
def test_the_ends_of_the_calendar_are_no_error(year):
    first, last = datetime(year, 1, 1, tzinfo=UTC), datetime(year, 12, 31, 23, tzinfo=UTC)
    for text in ("since tuesday", "last week", "in May", "two weeks before May", "tomorrow"):
        find_period(text, first)
        find_period(text, last)


@given(
    st.lists(
        st.sampled_from(WORDS.split()),
        max_size=12,
    )
)
@settings(max_examples=500, deadline=None)
def test_what_is_found_is_a_span(words):
    period = find_period(" ".join(words), NOW)
    assert period is None or period.start < period.end
