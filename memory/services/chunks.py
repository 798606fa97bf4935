"""Cutting a long text into passages: on its structure, with overlap, of a size embedders read.

A passage is a slice of the text, and every character that is not blank is in one. Not for what
is written of a passage (passages.py).
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

# MiniLM reads 254 tokens. The tokenizer itself takes 400 to 800 us for each kB, too much for the
# writer's transaction, so tokens are estimated by the pattern below: measured on prose, code,
# JSON and German the estimate is 0.9 to 1.3 times the truth, and the margin takes up the rest.
MOST_TOKENS = 210
OVERLAP_TOKENS = 30
# A cut before this share of a passage would make many small ones.
LEAST_SHARE = 0.5
# `chunk` is a smallint; texts that would need more pieces get larger ones.
MOST_CHUNKS = 30_000
# In characters: a longer line has sentences, most likely, so that they are counted first.
SHORT_LINE = 150

_TOKEN = re.compile(r"[A-Za-z]{1,5}|\d{1,2}|[^\sA-Za-z\d]")
_FENCE = re.compile(r"\s*(```|~~~)")
_HEADING = re.compile(r"#{1,6}\s")
# To the end of a sentence. It begins with a class, so that `re` skips what is not in it.
_SENTENCE = re.compile(r"[.!?…。！？](?:(?<=[.!?…])[\"')\]]*\s+|(?<=[。！？]))")
# ASCII by the parts of _TOKEN: counting in it takes a third of matching tokens.
_SHAPE = bytes(
    ord("a" if char.isalpha() else "0" if char.isdigit() else " " if char.isspace() else ".")
    for char in map(chr, range(128))
).ljust(256, b".")
# Beyond ASCII each character is a token, but for these.
_WIDE = re.compile(r"[^\x00-\x7f](?:(?<=\s)|(?<=\d))")

# How good a place is to cut: before a heading, a paragraph, a line, a sentence, a word.
HEADING, PARAGRAPH, LINE, SENTENCE, WORD = 5, 4, 3, 2, 1


class Atom(NamedTuple):
    """A slice that is not cut: at most a passage long. `rank` is that of the cut before it."""

    start: int
    end: int
    tokens: int
    rank: int


def estimate_tokens(text: str) -> int:
    """About the tokens an embedder makes of `text`, rather too many than too few."""
    if not text.isascii() and _WIDE.search(text):
        return len(_TOKEN.findall(text))
    shape = text.encode("ascii", "replace").translate(_SHAPE)
    marks = shape.count(b".")
    if b"0" in shape:
        shape = shape.replace(b"00", b"1")
        marks += shape.count(b"0") + shape.count(b"1")
    for run in (b"aaaaa", b"aaaa", b"aaa", b"aa"):
        shape = shape.replace(run, b"b")
    return marks + shape.count(b"b") + shape.count(b"a")


def chunk_text(text: str, *, most_tokens: int = MOST_TOKENS) -> list[str]:
    """The passages of `text` in order, trimmed; none for a blank text."""
    return [text[start:end].strip() for start, end in chunk_spans(text, most_tokens=most_tokens)]


def chunk_spans(text: str, *, most_tokens: int = MOST_TOKENS) -> list[tuple[int, int]]:
    """(start, end) of each passage. No two are the same and none is blank."""
    if not text or text.isspace():
        return []
    # A token has a character at least, so a short text needs no estimate.
    if len(text) <= most_tokens or estimate_tokens(text) <= most_tokens:
        return [(0, len(text))]
    most = max(most_tokens, len(text) // MOST_CHUNKS)
    return _pack(list(_atoms(text, most)), most)


def _pack(atoms: list[Atom], most: int) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    # sums[i] is what atoms[:i] have together, so a passage's size is a difference.
    sums = [0, *accumulate(atom.tokens for atom in atoms)]
    first = cut = 0
    while True:
        # The furthest end that fits, and one atom in any case.
        furthest = max(first + 1, bisect_right(sums, sums[first] + most) - 1)
        if furthest >= len(atoms):
            spans.append((atoms[first].start, atoms[-1].end))
            return spans
        # Past the last cut: what is repeated from before it must not be all there is.
        cut = _best_cut(atoms, sums, first, max(first, cut) + 1, furthest)
        spans.append((atoms[first].start, atoms[cut - 1].end))
        first = _with_overlap(atoms, sums, first, cut, most)


def _best_cut(atoms: list[Atom], sums: list[int], first: int, least: int, furthest: int) -> int:
    """The best-ranked cut in the passage's latter part, the last of equals."""
    size = sums[furthest] - sums[first]
    least = bisect_left(sums, sums[first] + LEAST_SHARE * size, least, furthest)
    return max(range(least, furthest + 1), key=lambda cut: (atoms[cut].rank, cut))


def _with_overlap(atoms: list[Atom], sums: list[int], first: int, cut: int, most: int) -> int:
    """Where the next passage starts: at the cut, or some atoms before it.

    Nothing is repeated across a heading, nor where the repeated and the next atom would not fit
    one passage together: each passage must bring something new.
    """
    if atoms[cut].rank == HEADING:
        return cut
    start = cut
    while start - 1 > first:
        repeated = sums[cut] - sums[start - 1]
        if repeated > OVERLAP_TOKENS or repeated + atoms[cut].tokens > most:
            break
        start -= 1
        if atoms[start].rank == HEADING:
            break
    return start


def _atoms(text: str, most: int) -> Iterator[Atom]:
    """Lines, and sentences of the longer ones, as slices that follow one another."""
    fenced, rank = False, HEADING
    fences = "```" in text or "~~~" in text
    start = 0
    for line in text.splitlines(keepends=True):
        end = start + len(line)
        if line.isspace():
            if not fenced:
                rank = max(rank, PARAGRAPH)
        else:
            fence = fences and _FENCE.match(line) is not None
            if not fenced and line[0] == "#" and _HEADING.match(line):
                rank = HEADING
            elif fence and not fenced:
                rank = max(rank, PARAGRAPH)  # a code block begins
            yield from _line(text, start, end, rank, most)
            fenced ^= fence
            rank = LINE
        start = end


def _line(text: str, start: int, end: int, rank: int, most: int) -> Iterator[Atom]:
    if end - start <= SHORT_LINE:
        tokens = estimate_tokens(text[start:end])
        if tokens <= OVERLAP_TOKENS:
            yield Atom(start, end, tokens, rank)
            return
    atoms: list[Atom] = []
    place, above = start, rank
    for match in _SENTENCE.finditer(text, start, end):
        if match.end() > place:
            atoms += _sentence(text, place, match.end(), above, most)
            place, above = match.end(), SENTENCE
    if place < end and not text[place:end].isspace():
        atoms += _sentence(text, place, end, above, most)
    # No token goes over the end of a sentence.
    tokens = sum(atom.tokens for atom in atoms)
    if tokens <= OVERLAP_TOKENS:
        atoms = [Atom(start, end, tokens, rank)]
    yield from atoms


def _sentence(text: str, start: int, end: int, rank: int, most: int) -> Iterator[Atom]:
    """The sentence; or, where it is longer than a passage, pieces of it cut between words."""
    tokens = estimate_tokens(text[start:end])
    if tokens <= most:
        yield Atom(start, end, tokens, rank)
        return
    ends = [match.end() for match in _TOKEN.finditer(text, start, end)]
    # Small enough that they overlap like sentences do.
    step = OVERLAP_TOKENS
    place, done = start, 0
    while done < len(ends):
        last = min(done + step, len(ends))
        stop = end if last == len(ends) else ends[last - 1]
        if last < len(ends):
            # Back to the last blank, if there is one in this piece.
            blank = max(text.rfind(mark, place + 1, stop) for mark in " \t,;")
            if blank > place:
                stop = blank + 1
                last = bisect_right(ends, stop)
        if last <= done:  # a blank, and no whole token before it
            last = min(done + step, len(ends))
            stop = ends[last - 1]
        yield Atom(place, stop, last - done, rank)
        place, done, rank = stop, last, WORD
