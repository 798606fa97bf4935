"""What the text index reads beside the text itself, and where a passage is marked."""

import unicodedata

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.search.parse import Parsed, parse
from memory.search.snippets import MARK, Snippets
from memory.search.words import count_words, lexical_text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("call getUserName now", "get User Name"),
        ("HTTPServerError2", "HTTP Server Error2"),
        ("max_wal_size is set", "maxwalsize"),
        ("see src/app/userService.ts", "src app userService user Service ts"),
        ("see https://example.com/a/b?x=1", "https example com a b"),
        ("mail user@example.com", "user example com"),
        (r"in C:\Users\Max\notes.txt", "C Users Max notes txt"),
        ("and/or", "and or"),
        ("std::vector", "std vector"),
        ("再起動", "再起 起動"),
        ("plain words, well-known ones. And so on", ""),
        ("a" * 400 + "/b", ""),
    ],
)
def test_joined_words_are_given_in_parts(text, words):
    assert lexical_text(text) == (f"{text}\n{words}" if words else text)


@given(st.text(max_size=500))
@settings(max_examples=200, deadline=None)
def test_the_text_itself_stays_first_and_whole(text):
    lexical = lexical_text(text)
    assert lexical.startswith(unicodedata.normalize("NFC", text))
    assert count_words(lexical) >= count_words(text)


def test_a_part_of_a_path_url_or_name_becomes_a_lexeme(db):
    text = "src/app/userService.ts https://example.com/login/form max_wal_size fooBar"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT lexeme FROM unnest(to_tsvector('english', %s))", [lexical_text(text)]
        )
        lexemes = {lexeme for (lexeme,) in cursor.fetchall()}
    assert {"src", "user", "servic", "ts", "login", "exampl", "wal", "foo", "bar"} <= lexemes
    assert "src/app/userservice.ts" in lexemes


@pytest.mark.parametrize(
    ("q", "parsed"),
    [
        ("red valve", Parsed("red valve")),
        ('open "red valve" now', Parsed("open red valve now", ("red valve",))),
        ("valve -red", Parsed("valve", (), ("red",))),
        ('valve -"red pump"', Parsed("valve", (), ("red pump",))),
        ("run --no-verify a-b x@y.z", Parsed("run --no-verify a-b x@y.z")),
        ("-red", Parsed("-red")),
        ('unclosed "quote', Parsed('unclosed "quote')),
        ('""', Parsed('""')),
    ],
)
def test_a_query_is_read_liberally(q, parsed):
    assert parse(q) == parsed


def test_a_snippet_shows_the_stretch_with_most_of_the_words():
    text = "nothing here " * 40 + "the valves were opened by the pump " + "nothing there " * 40
    shown = Snippets(["valv", "open", "pump"]).of(text)
    assert "the **valves** were **opened** by the **pump**" in shown
    assert shown.startswith("… ")
    assert shown.endswith(" …")
    assert len(shown) < 300


def test_a_stem_marks_its_forms_and_no_other_word():
    assert Snippets(["happi", "repli"]).of("Happy to reply, replies repliconically") == (
        "**Happy** to **reply**, **replies** repliconically"
    )


@pytest.mark.parametrize("term", ["snake", "snakecas", "handler"])
def test_a_part_of_a_joined_name_marks_it(term):
    # "handlers" stands in a path, the others in a name of underscores alone.
    text = "see snake_case_name in src/handlers.py"
    assert MARK in Snippets([term]).of(text)


def test_scripts_without_blanks_and_decomposed_letters_are_marked():
    japanese = "朝、サーバーが再起動されるたびに接続が失われます。"
    assert Snippets(["再起", "起動", "接続"]).of(japanese) == (
        "朝、サーバーが**再起動**されるたびに**接続**が失われます。"
    )
    decomposed = "in Ko\u0308ln am Rhein"
    assert Snippets(["köln"]).of(decomposed) == "in **Ko\u0308ln** am Rhein"


@given(st.text(max_size=600), st.lists(st.text(min_size=1, max_size=8), max_size=6))
@settings(max_examples=200, deadline=None)
def test_a_snippet_is_of_the_text_and_only_marks_it(text, terms):
    text = text.replace(MARK, "")
    shown = Snippets(terms).of(text).replace(MARK, "").removeprefix("… ").removesuffix(" …")
    assert shown.strip() in text or len(text) <= 240
