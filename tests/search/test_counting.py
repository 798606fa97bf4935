"""Counting by the shape of a text gives what matching each word and token gives."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from memory.search.words import count_words
from memory.services.chunks import estimate_tokens

WORD = re.compile(r"\w+")
TOKEN = re.compile(r"[A-Za-z]{1,5}|\d{1,2}|[^\sA-Za-z\d]")
TEXTS = st.text(alphabet=st.sampled_from("abcdefXYZ0189_ \n\t\x1c.-/\"'é你٣\u00a0—😀"))


@given(TEXTS)
@example("a")
@example("")
@example("snake_case 12345 abcdefghijk")
@example("an em dash — and three words")
def test_words_and_tokens_are_counted_as_they_are_matched(text):
    assert count_words(text) == len(WORD.findall(text))
    assert estimate_tokens(text) == len(TOKEN.findall(text))
