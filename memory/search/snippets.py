"""Where a passage matched: a short piece of it with the query's words marked.

Made in Python from the passage alone, because PostgreSQL's ts_headline would not see a part of a
camelCase name, and takes longer than the search. Not markup: whoever shows it escapes it.
"""

import re
from collections.abc import Sequence

from memory.search.words import parts_of

MARK = "**"
WINDOW = 240
_RUN = re.compile(r"[\w@./\\:~+-]*\w")
_NAME = re.compile(r"\w+")


def snippet(text: str, terms: Sequence[str]) -> str:
    """About 240 characters around the most different of `terms`, each occurrence marked."""
    exact, stems = _matchers(terms)
    places = [
        (match.start(), match.end(), hit)
        for match in _RUN.finditer(text)
        if (hit := _hit(match.group(), exact, stems))
    ]
    start, end = _window(text, places)
    shown, place = [], start
    for left, right, _ in places:
        if left >= start and right <= end:
            shown += [text[place:left], MARK, text[left:right], MARK]
            place = right
    shown.append(text[place:end])
    body = "".join(shown).strip()
    return ("… " if start > 0 else "") + body + (" …" if end < len(text) else "")


def _matchers(terms: Sequence[str]) -> tuple[set[str], tuple[str, ...]]:
    """Lexemes as words to equal and stems to begin with: the English stemmer cuts endings off,
    and turns a last y into i."""
    exact = set(terms)
    stems = [term for term in terms if len(term) >= 3]
    stems += [f"{term[:-1]}y" for term in stems if term.endswith("i")]
    return exact, tuple(stems)


# A stem and what was cut off it: -ing, -ation, -ement and their like; more is another word.
LONGEST_ENDING = 6


def _hit(run: str, exact: set[str], stems: tuple[str, ...]) -> str:
    """The lexeme that a run holds, or nothing."""
    lower = run.lower()
    if lower in exact:
        return lower
    if lower == run and run.isalpha():
        return _stem(run, stems)
    names = [name.lower() for name in _NAME.findall(run)]
    for word in {lower, *names, *(part.lower() for part in parts_of(run))}:
        if word in exact:
            return word
        if found := _stem(word, stems):
            return found
    return ""


def _stem(word: str, stems: tuple[str, ...]) -> str:
    if word.startswith(stems):
        for stem in stems:
            if word.startswith(stem) and len(word) - len(stem) <= LONGEST_ENDING:
                return stem
    return ""


def _window(text: str, places: Sequence[tuple[int, int, str]]) -> tuple[int, int]:
    """The stretch with the most different words, widened to whole words."""
    if len(text) <= WINDOW:
        return 0, len(text)
    best, best_count = 0, 0
    for number, (left, _, _) in enumerate(places):
        seen = {hit for _, right, hit in places[number:] if right <= left + WINDOW}
        if len(seen) > best_count:
            best, best_count = left, len(seen)
    # A little of what stands before the first match.
    start = max(0, best - WINDOW // 6) if best_count else 0
    end = min(len(text), start + WINDOW)
    if start > 0:
        blank = text.find(" ", start, best)
        start = blank + 1 if blank >= 0 else best
    if end < len(text):
        blank = text.rfind(" ", start + WINDOW // 2, end)
        end = blank if blank > 0 else end
    return start, end
