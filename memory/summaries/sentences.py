"""Sentences of what was said: cut out, cleaned of marks, without code and tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from memory.search.words import lexical_text
from memory.summaries.base import Said

# Shorter ones ("Done.", "Let me look.") say nothing without what stands around them.
LEAST_WORDS = 4
LEAST_LETTERS = 0.6
MOST_OF_ONE_TEXT = 60
# A longer sentence is a paragraph that lacks its full stops.
MOST_CHARACTERS = 300

_FENCE = re.compile(r"^\s*(```|~~~)")
_MARK = re.compile(r"^\s*(?:[-*+•>#|]+|\d{1,3}[.)]|\[[ xX]\])\s*")
_EMPHASIS = re.compile(r"(\*\*|__|`)")
_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|(?<=[。！？])")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Sentence:
    """`place` is that of its text in the material."""

    text: str
    place: int
    said: Said
    words: tuple[str, ...]


def words_of(text: str) -> tuple[str, ...]:
    """Lower-case words, parts of joined names among them; scripts without blanks in pairs."""
    found = _WORD.findall(lexical_text(text).lower())
    return tuple(word for word in found if len(word) > 1 and not word.isdigit())


def sentences_of(said: Said, place: int) -> Iterator[Sentence]:
    """An event is one sentence; a message as many as it has, code blocks left out."""
    if said.who == "event":
        text = shorten(" ".join(said.text.split()))
        yield Sentence(text, place, said, words_of(text))
        return
    fenced, count = False, 0
    for line in said.text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
            continue
        if fenced:
            continue
        for part in _END.split(_EMPHASIS.sub("", _MARK.sub("", line))):
            text = shorten(" ".join(part.split()))
            words = words_of(text)
            # What ends in a colon leads to something that is not here.
            if len(words) < LEAST_WORDS or text.endswith(":") or not _is_prose(text):
                continue
            yield Sentence(text, place, said, words)
            count += 1
            if count == MOST_OF_ONE_TEXT:
                return


def shorten(text: str, most: int = MOST_CHARACTERS) -> str:
    """`text`, cut between words where it is too long."""
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    blank = cut.rfind(" ")
    return (cut[:blank] if blank > most // 2 else cut).rstrip(" ,;:") + "…"


def _is_prose(text: str) -> bool:
    letters = sum(character.isalpha() or character.isspace() for character in text)
    return letters >= LEAST_LETTERS * len(text)
