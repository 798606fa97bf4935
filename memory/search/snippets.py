"""Where a passage matched: a short piece of it with the query's words marked.

Made in Python from the passage alone, because PostgreSQL's ts_headline would not see a part of a
camelCase name, and takes longer than the search. Not markup: whoever shows it escapes it.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from memory.search.words import UNSPACED, parts_of

MARK = "**"
WINDOW = 240
# With accents that stand as characters of their own, as macOS writes them.
_RUN = re.compile(r"[\w\u0300-\u036f@./\\:~+-]*[\w\u0300-\u036f]")
_NAME = re.compile(r"\w+")
_PIECE = re.compile(r"[^\W_]+")


# A stem and what was cut off it: -ing, -ation, -ement and their like; more is another word.
LONGEST_ENDING = 6


class Snippets:
    """Pieces of texts with the lexemes `terms` marked.

    Lexemes are words to equal and stems to begin with: the English stemmer cuts endings off, and
    turns a last y into i.
    """

    def __init__(self, terms: Sequence[str]) -> None:
        self._exact = set(terms)
        stems = [term for term in terms if len(term) >= 3]
        stems += [f"{term[:-1]}y" for term in stems if term.endswith("i")]
        self._stems = tuple(stems)
        # What a run holds: the same words stand in text after text.
        self._seen: dict[str, str] = {}

    def of(self, text: str) -> str:
        """About 240 characters around the most different terms, each occurrence marked."""
        places = list(self._places(text))
        start, end = _window(text, places)
        shown, place = [], start
        for left, right, _ in places:
            if left >= start and right <= end:
                shown += [text[place:left], MARK, text[left:right], MARK]
                place = right
        shown.append(text[place:end])
        body = "".join(shown).strip()
        return ("… " if start > 0 else "") + body + (" …" if end < len(text) else "")

    def _places(self, text: str) -> Iterator[tuple[int, int, str]]:
        """(start, end, lexeme) of each run of characters that holds one."""
        for match in _RUN.finditer(text):
            run = match.group()
            if hit := self._term_in(run):
                yield *match.span(), hit
            elif not run.isascii():
                for piece in UNSPACED.finditer(text, *match.span()):
                    yield from self._pairs_in(text, *piece.span())

    def _pairs_in(self, text: str, start: int, end: int) -> Iterator[tuple[int, int, str]]:
        """Of a script without blanks, neighbouring characters are the lexemes."""
        found: tuple[int, int, str] | None = None
        for place in range(start, end - 1):
            pair = text[place : place + 2]
            if pair not in self._exact:
                continue
            if found is not None and place <= found[1]:
                found = found[0], place + 2, found[2]
                continue
            if found is not None:
                yield found
            found = place, place + 2, pair
        if found is not None:
            yield found

    def _term_in(self, run: str) -> str:
        found = self._seen.get(run)
        if found is None:
            found = self._seen[run] = self._look(run)
        return found

    def _look(self, run: str) -> str:
        """The lexeme that a run holds, or nothing."""
        run = run if run.isascii() else unicodedata.normalize("NFC", run)
        lower = run.lower()
        if lower in self._exact:
            return lower
        if run.isalpha() and lower[1:] == run[1:]:
            # One word, at the most with a capital: nothing to split.
            return self._stem(lower)
        # As PostgreSQL's parser splits it, and as lexical_text does beside.
        names = [*_NAME.findall(run), *_PIECE.findall(run), *parts_of(run)]
        for word in dict.fromkeys((lower, *(name.lower() for name in names))):
            if word in self._exact:
                return word
            if found := self._stem(word):
                return found
        return ""

    def _stem(self, word: str) -> str:
        if word.startswith(self._stems):
            for stem in self._stems:
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
