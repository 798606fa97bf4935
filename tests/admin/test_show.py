"""How values look: times, spans, sizes and differences."""

from datetime import UTC, datetime, timedelta

import pytest

from config.lib.admin import show
from config.lib.spans import span
from contacts.admin.history import Piece, compare
from contacts.admin.listing import AtLeast
from contacts.templatetags.remembrancer import counted

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(seconds=-5), "in a moment"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=-2), "in 2 h"),
        (timedelta(days=1, hours=3), "1 day ago"),
        (timedelta(days=9), "9 days ago"),
        (timedelta(days=60), "02 Apr 2026"),
    ],
)
def test_a_time_is_told_from_now(ago, text):
    assert show.relative(NOON - ago, NOON) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-3, "0 s"), (59, "59 s"), (61, "1 min"), (3600, "1 h"), (5400, "1 h 30 min"),
     (86400, "1 d"), (90000, "1 d 1 h")],
)  # fmt: skip
def test_a_span_has_two_units_at_most(seconds, text):
    assert span(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (999, "999"), (1000, "1k"), (12_345, "12.3k"), (4_100_000, "4.1M"),
     (2_000_000_000, "2B")],
)  # fmt: skip
def test_a_large_number_is_short(value, text):
    assert show.short_number(value) == text


def test_a_count_says_where_it_was_stopped():
    assert counted(AtLeast(10_000)) == "10,000+"
    assert counted(1_234) == "1,234"


@pytest.mark.parametrize("word", ["tool_error", "api_error", "run_failed"])
def test_whatever_went_wrong_is_red(word):
    assert "rm-red" in show.badge(word)


def test_a_change_of_words_is_shown_in_its_sentence():
    pieces = compare("The pump starts at noon.", "The pump starts at one.")
    assert pieces == [
        Piece("same", "The pump starts at "), Piece("gone", "noon"), Piece("new", "one"),
        Piece("same", "."),
    ]  # fmt: skip


def test_two_different_texts_are_not_mixed():
    pieces = compare("abc def", "42 + 42 = 84, or so it is said by those who can")
    assert [p.kind for p in pieces] == ["gone", "new"]


def test_an_unchanged_stretch_is_cut():
    long = "word " * 200
    pieces = compare(long + "before", long + "after")
    assert [p.kind for p in pieces] == ["cut", "same", "gone", "new"]


def test_very_long_texts_are_not_compared():
    assert [p.kind for p in compare("a" * 15_000, "b" * 15_000)] == ["gone", "new"]
