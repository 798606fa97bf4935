"""Long texts are cut where a reader would cut them, and nothing of them is lost."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from memory.services.chunks import (
    MOST_TOKENS,
    OVERLAP_TOKENS,
    chunk_spans,
    chunk_text,
    estimate_tokens,
)

# fmt: off
PIECES = [
    "# Heading\n", "## Another heading\n", "\n\n", "\n", "```python\n", "```\n", "~~~\n", ". ",
    "A sentence that ends here. ", "word ", "x", "    indented(code)\n", "\t", "。", "接続が失われ",
    "a" * 300, "0123456789" * 30, "src/app/main.py:12 ", "- item\n", '"Quoted." ', "😀", "é",
    "\u2028", "! ",
]
# fmt: on
markdown = st.lists(st.sampled_from(PIECES), max_size=400).map("".join)


@given(st.one_of(markdown, st.text(max_size=3000)), st.integers(40, 300))
@settings(max_examples=200, deadline=None)
def test_nothing_is_lost_and_no_passage_is_too_long(text, most):
    spans = chunk_spans(text, most_tokens=most)
    covered = [False] * len(text)
    for start, end in spans:
        assert text[start:end].strip()
        assert estimate_tokens(text[start:end]) <= most
        covered[start:end] = [True] * (end - start)
    assert all(done or text[place].isspace() for place, done in enumerate(covered))
    # In order, each bringing something new, none within another.
    for (start, end), (next_start, next_end) in pairwise(spans):
        assert start < next_start <= end or not text[end:next_start].strip()
        assert end < next_end


@given(markdown)
@settings(max_examples=100, deadline=None)
def test_passages_repeat_little(text):
    spans = chunk_spans(text)
    for (_, end), (start, _) in pairwise(spans):
        assert estimate_tokens(text[start:end]) <= OVERLAP_TOKENS


def test_a_short_text_is_one_passage():
    assert chunk_text("  The valve is open.\n") == ["The valve is open."]
    assert chunk_text(" \n\t ") == []
    assert chunk_text("") == []


def test_a_heading_stays_with_what_it_is_about():
    section = "The boiler was bled and the pump replaced, which took most of the day. " * 7
    text = "\n\n".join(f"## Part {n}\n\n{section}" for n in range(4))
    chunks = chunk_text(text)
    assert [chunk.splitlines()[0] for chunk in chunks] == [f"## Part {n}" for n in range(4)]
    # Nothing is repeated across a heading.
    assert all(chunk.count("## Part") == 1 for chunk in chunks)


def test_a_code_block_is_not_cut_at_its_blank_lines():
    code = "```\n" + "\n\n".join(f"call_number_{n}()" for n in range(8)) + "\n```"
    prose = "We looked at the log for a while and then at the code below, twice. " * 9
    chunks = chunk_text(f"{prose}\n\n{code}\n\n{prose}")
    assert any(code in chunk for chunk in chunks)


def test_long_prose_is_cut_between_sentences_with_the_last_one_repeated():
    text = " ".join(f"Reading number {n} was taken by the gardener at dawn." for n in range(60))
    chunks = chunk_text(text)
    assert len(chunks) > 2
    for before, after in pairwise(chunks):
        assert before.endswith(".")
        assert after.startswith("Reading number")
        assert before.rsplit("Reading", 1)[1] in after


def test_a_text_without_a_blank_is_cut_all_the_same():
    text = "QUJD" * 3000
    spans = chunk_spans(text)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    assert all(estimate_tokens(text[start:end]) <= MOST_TOKENS for start, end in spans)


def test_the_longest_message_is_cut_in_a_few_seconds():
    text = "The valve is open and the pump is off, says the log of the day.\n" * 30_000
    chunks = chunk_text(text)
    assert 1000 < len(chunks) < 30_000
