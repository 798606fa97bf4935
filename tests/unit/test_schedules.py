"""Schedules: what is refused, when runs come, and what a change of the clock does to them."""

import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from config.lib.errors import Invalid
from sessions.services.schedules import (
    MAX_INTERVAL_SECONDS,
    Schedule,
    day_of,
    jitter,
    read_schedule,
)

ANCHOR = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe",
         "America/Havana", "Africa/Cairo", "Pacific/Apia"]  # fmt: skip


def cron(text: str, zone: str = "UTC") -> Schedule:
    return read_schedule(kind="cron", schedule=text, timezone=zone, anchor=ANCHOR)


def local(schedule: Schedule, start: datetime, count: int) -> list[str]:
    """The next runs, as a clock in the schedule's zone shows them."""
    runs = schedule.coming(start, count)
    return [run.astimezone(schedule.zone).strftime("%m-%d %H:%M%z") for run in runs]


def berlin(*args: int) -> datetime:
    return datetime(*args, tzinfo=ZoneInfo("Europe/Berlin"))  # type: ignore[arg-type, misc]


def wrong(**fields: str) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        read_schedule(anchor=ANCHOR, **{"timezone": "UTC", **fields})  # type: ignore[arg-type]
    return caught.value.errors


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "", "*", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *",
    "* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "a * * * *", "1,,2 * * * *",
    "@reboot", "@fortnightly", "0 0 30 2 *", "0 0 31 2,4,6 *", "0 0 30-31 FEB *", "1.5 * * * *",
    "0 0 */10 2 5L", "-1 * * * *", "٣ * * * *", "0 0 L-3 * *", "0 0 * * 1#6",
])  # fmt: skip
def test_what_is_no_cron_expression_is_refused_by_name(text):
    assert list(wrong(kind="cron", schedule=text)) == ["schedule"]


@pytest.mark.parametrize("text", ["", "9", "0", "-60", "1h", "60.0", "1e3", " ", "٦٠", "9" * 30,
                                  str(MAX_INTERVAL_SECONDS + 1)])  # fmt: skip
def test_an_interval_is_whole_seconds_within_bounds(text):
    assert list(wrong(kind="interval", schedule=text)) == ["schedule"]


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-02-30T00:00Z", "2026-01-01", "20260101T00",
                                  "2026-01-01T25:00Z", "0001-01-01T00:00+14:00",
                                  "2026-W01-1T00:00Z"])  # fmt: skip
def test_once_is_a_time(text):
    assert list(wrong(kind="once", schedule=text)) == ["schedule"]


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "Europe", "europe/berlin", "../etc/passwd",
                                  "/etc/localtime", "localtime", "UTC\0", "CEST-2"])  # fmt: skip
def test_a_zone_is_one_of_the_iana_database(zone):
    assert list(wrong(kind="cron", schedule="0 9 * * *", timezone=zone)) == ["timezone"]


def test_an_unknown_kind_is_refused():
    assert list(wrong(kind="rrule", schedule="x")) == ["schedule_kind"]


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789*/,-#LWSUNMOJAF ", max_size=40))
@example("0 0 * * 5L/2")
@example("0 0 1,L/2 * *")
@example("0 0 * * 1#1,2#2/3")
def test_any_text_is_a_schedule_or_refused(text):
    refused: list[str] = []
    try:
        schedule = cron(text)
    except Invalid as error:
        refused = list(error.errors)
    assert refused == ["schedule"] or schedule.after(ANCHOR) is not None


# --- Ordinary days --------------------------------------------------------------------------------


def test_fields_steps_names_and_aliases():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert local(cron("*/20 9-10 * * MON-FRI"), start, 7) == [
        "01-01 09:00+0000", "01-01 09:20+0000", "01-01 09:40+0000", "01-01 10:00+0000",
        "01-01 10:20+0000", "01-01 10:40+0000", "01-02 09:00+0000",
    ]  # fmt: skip
    assert local(cron("@Hourly"), start, 2) == ["01-01 00:00+0000", "01-01 01:00+0000"]
    assert local(cron("@daily"), start, 2) == local(cron("0 0 * * *"), start, 2)
    assert local(cron("@weekly"), start, 2) == ["01-04 00:00+0000", "01-11 00:00+0000"]
    assert local(cron("@monthly"), start, 2) == ["01-01 00:00+0000", "02-01 00:00+0000"]
    assert cron("@yearly").coming(start, 2)[1].year == 2027


def test_sunday_is_both_0_and_7():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert cron("0 0 * * 0").coming(start, 9) == cron("0 0 * * 7").coming(start, 9)
    assert {run.weekday() for run in cron("0 0 * * 0").coming(start, 9)} == {6}


def test_month_ends_and_leap_days():
    start = datetime(2026, 1, 15, tzinfo=UTC)
    assert local(cron("0 0 31 * *"), start, 4) == [
        "01-31 00:00+0000", "03-31 00:00+0000", "05-31 00:00+0000", "07-31 00:00+0000",
    ]  # fmt: skip
    assert local(cron("0 0 L * *"), start, 3) == [
        "01-31 00:00+0000", "02-28 00:00+0000", "03-31 00:00+0000",
    ]  # fmt: skip
    leap = cron("0 12 29 2 *").coming(start, 3)
    assert [run.year for run in leap] == [2028, 2032, 2036]
    over_2100 = cron("0 12 29 2 *").after(datetime(2096, 3, 1, tzinfo=UTC))
    assert over_2100 == datetime(2104, 2, 29, 12, tzinfo=UTC)


def test_the_hours_are_those_of_the_zone():
    runs = cron("0 9 * * *", "Asia/Kathmandu").coming(ANCHOR, 1)
    assert runs == [datetime(2026, 1, 2, 3, 15, tzinfo=UTC)]


def test_an_interval_does_not_drift():
    every = read_schedule(kind="interval", schedule="45", timezone="UTC", anchor=ANCHOR)
    begin = ANCHOR.replace(microsecond=0)
    assert every.after(ANCHOR) == begin + timedelta(seconds=45)
    late = begin + timedelta(days=300, seconds=1)
    found = every.after(late)
    assert found is not None
    assert (found - begin) % timedelta(seconds=45) == timedelta(0)
    assert every.after(begin - timedelta(seconds=50)) == begin - timedelta(seconds=45)


def test_once_comes_once():
    once = read_schedule(kind="once", schedule="2026-02-01T09:00:00+01:00", timezone="UTC",
                         anchor=ANCHOR)  # fmt: skip
    moment = datetime(2026, 2, 1, 8, tzinfo=UTC)
    assert once.coming(ANCHOR, 5) == [moment]
    assert once.after(moment) is None
    assert once.latest(ANCHOR, moment) == moment
    assert once.latest(moment + timedelta(seconds=1), moment + timedelta(days=1)) is None


# --- When the clock changes -----------------------------------------------------------------------


def test_a_fixed_time_that_the_clock_skips_runs_right_after_the_gap():
    assert local(cron("30 2 * * *", "Europe/Berlin"), berlin(2026, 3, 28), 3) == [
        "03-28 02:30+0100", "03-29 03:00+0200", "03-30 02:30+0200",
    ]  # fmt: skip
    several = local(cron("0,15,30 2 * * *", "Europe/Berlin"), berlin(2026, 3, 29), 2)
    assert several == ["03-29 03:00+0200", "03-30 02:00+0200"]


def test_a_fixed_time_that_comes_twice_runs_the_first_time():
    daily = cron("30 2 * * *", "Europe/Berlin")
    assert local(daily, berlin(2026, 10, 25), 2) == ["10-25 02:30+0200", "10-26 02:30+0100"]
    # Asked between the two comings: the second is none.
    between = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)
    assert local(daily, between, 1) == ["10-26 02:30+0100"]


def test_an_open_hour_goes_by_the_time_that_passes():
    hourly = cron("30 * * * *", "Europe/Berlin")
    assert local(hourly, berlin(2026, 3, 29, 1), 3) == [
        "03-29 01:30+0100", "03-29 03:30+0200", "03-29 04:30+0200",
    ]  # fmt: skip
    assert local(hourly, berlin(2026, 10, 25, 1), 4) == [
        "10-25 01:30+0200", "10-25 02:30+0200", "10-25 02:30+0100", "10-25 03:30+0100",
    ]  # fmt: skip


def test_an_interval_does_not_mind_the_clock():
    hourly = read_schedule(kind="interval", schedule="3600", timezone="Europe/Berlin",
                           anchor=berlin(2026, 3, 28, 23, 30))  # fmt: skip
    runs = hourly.coming(berlin(2026, 3, 29), 6)
    assert {b - a for a, b in pairwise(runs)} == {timedelta(hours=1)}


def test_once_in_a_zone_has_to_exist_and_is_the_first_of_two():
    def read(text: str) -> Schedule:
        return read_schedule(kind="once", schedule=text, timezone="Europe/Berlin", anchor=ANCHOR)

    assert read("2026-10-25T02:30").anchor == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert read("2026-07-01 09:00").anchor == datetime(2026, 7, 1, 7, tzinfo=UTC)
    with pytest.raises(Invalid, match="the clock skips it"):
        read("2026-03-29T02:30:00")


@pytest.mark.parametrize(("zone", "day", "hours"), [
    ("Europe/Berlin", (2026, 3, 29), 23), ("Europe/Berlin", (2026, 10, 25), 25),
    ("Africa/Cairo", (2026, 4, 24), 23), ("Australia/Lord_Howe", (2026, 10, 4), 23.5),
    ("UTC", (2026, 3, 29), 24),
])  # fmt: skip
def test_a_day_has_as_many_hours_as_its_zone_gives_it(zone, day, hours):
    noon = datetime(*day, 12, tzinfo=ZoneInfo(zone))
    start, end = day_of(noon, ZoneInfo(zone))
    assert end - start == timedelta(hours=hours)
    assert start <= noon < end


# --- Properties -----------------------------------------------------------------------------------

minutes = st.sampled_from(["*", "0", "30", "*/7", "5,35", "10-20", "59"])
hours = st.sampled_from(["*", "0", "2", "*/5", "1-3", "1,2,23"])
days = st.sampled_from(["*", "1", "29", "31", "L", "*/10"])
months = st.sampled_from(["*", "2", "3,10", "*/2"])
weekdays = st.sampled_from(["*", "0", "1-5", "SUN", "5L", "MON#1"])
moments = st.integers(0, 17 * 366 * 86_400).map(lambda s: EPOCH + timedelta(seconds=s))


@settings(max_examples=150, deadline=None)
@given(minutes, hours, days, months, weekdays, st.sampled_from(ZONES), moments)
def test_runs_come_later_in_order_and_as_the_schedule_says(m, h, d, mo, w, zone, moment):
    try:
        schedule = cron(f"{m} {h} {d} {mo} {w}", zone)
    except Invalid:
        assume(False)  # a day that never comes, see above
    runs = [schedule.after(moment)]
    while len(runs) < 6:
        assert runs[-1] is not None
        runs.append(schedule.after(runs[-1]))
    assert runs[0] > moment
    assert all(a < b for a, b in pairwise(runs))
    bare = cron(f"{m} {h} {d} {mo} {w}")
    for run in runs:
        assert run.second == run.microsecond == 0
        here = run.astimezone(schedule.zone)
        wall = here.replace(tzinfo=UTC)
        before = (run - timedelta(seconds=1)).astimezone(schedule.zone)
        skipped = wall - before.replace(tzinfo=UTC) - timedelta(seconds=1)
        # Its time by the wall clock is one of the expression's, or the clock skipped one to it.
        assert bare.latest(wall - max(skipped, timedelta(0)), wall) is not None, (here, skipped)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ZONES), moments, st.integers(1, 40 * 86_400),
       st.sampled_from(["*/13 * * * *", "30 2 * * *", "0 0 1 * *", "15 */6 * * 1-5"]))  # fmt: skip
def test_the_latest_run_is_the_last_of_all_runs(zone, moment, seconds, text):
    schedule = cron(text, zone)
    until = moment + timedelta(seconds=seconds)
    runs = list(schedule.between(moment, until + timedelta(microseconds=1)))
    assert schedule.latest(moment, until) == (runs[-1] if runs else None)


@given(st.uuids(), moments, st.integers(0, 86_400))
def test_jitter_is_within_bounds_and_always_the_same(mission_id, moment, most):
    wait = jitter(mission_id, moment, most)
    assert timedelta(0) <= wait <= timedelta(seconds=most)
    assert wait == jitter(mission_id, moment.astimezone(ZoneInfo("Asia/Tokyo")), most)


def test_jitter_spreads_missions_of_one_moment():
    waits = {jitter(uuid.UUID(int=n), ANCHOR, 3600) for n in range(100)}
    assert len(waits) > 80
