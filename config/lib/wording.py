"""Finding words in text and JSON, whatever their case and what stands between them, and striking
the texts that have them. Pure functions; what is looked for, and where, is the caller's.

Text is compared as words: letters and digits in Unicode normal form KC, case folded, everything
between them and what has no width left out. So "Anna  KELLER," says "Anna Keller", and "Annabel
Keller" does not. A text is also read as what it stands for where it has escapes of JSON, of an
address or of HTML: "Anna%20Keller" says it, too.
"""

import contextlib
import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import orjson

from config.lib.text import visible

ERASED = "[erased]"
_WORD = re.compile(r"[^\W_]+")
# As JSON and programs write line breaks and the like in a text that is quoted in another.
_ESCAPE = re.compile(r"\\[abfnrtv]")
_CODES = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+")

# Seven digits and more with at most three signs between two: a number as people group it.
_GROUPED = re.compile(r"[0-9](?:[^\w\n]{0,3}[0-9]){6}")
_BETWEEN_DIGITS = re.compile(r"(?<=[0-9])(?:[^\w\n]?\(0\)[^\w\n]?|[^\w\n]{1,3})(?=[0-9])")
FEWEST_DIGITS = 7

Words = tuple[str, ...]


def words_of(text: str) -> Words:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", visible(text))
    return tuple(_WORD.findall(text.casefold()))


def readings(text: str) -> Iterator[Words]:
    """The words of a text as it is written, as what it stands for where that is another, and with
    its numbers in one piece."""
    yield words_of(text)
    meant = text
    if "\\" in meant:
        meant = _ESCAPE.sub(" ", _CODES.sub(_letters, meant))
    if "&" in meant:
        meant = html.unescape(meant)
    if "%" in meant:
        meant = unquote(meant)
    if meant != text:
        yield words_of(meant)
    if _GROUPED.search(meant):
        yield words_of(_BETWEEN_DIGITS.sub("", meant))


def number_in(words: Words) -> str:
    """The number that words are, if they are nothing else: `41 44 668 18 00` in one piece."""
    number = "".join(words)
    return number if len(number) >= FEWEST_DIGITS and number.isascii() and number.isdigit() else ""


def _letters(found: re.Match[str]) -> str:
    with contextlib.suppress(orjson.JSONDecodeError):
        return str(orjson.loads(f'"{found[0]}"'))
    return found[0]


def texts_in(value: Any) -> Iterator[str]:
    """Every string in a JSON value, names of objects too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield str(key)
            yield from texts_in(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from texts_in(one)


class Phrases:
    """Words in their order, any of which a text may say. Of two where one says the other, the
    shorter is enough: whoever says the long one says it too. So what erasing a word looks for is
    that word, and not every sentence that has it as well."""

    def __init__(self, phrases: Iterable[Words]) -> None:
        self._by_first: dict[str, set[Words]] = {}
        for phrase in sorted(set(phrases), key=len):
            if phrase and not self._are_in(phrase):
                self._by_first.setdefault(phrase[0], set()).add(phrase)

    def __bool__(self) -> bool:
        return bool(self._by_first)

    def __iter__(self) -> Iterator[Words]:
        for found in self._by_first.values():
            yield from found

    def are_in(self, text: str) -> bool:
        return any(map(self._are_in, readings(text)))

    def _are_in(self, said: Words) -> bool:
        for index, word in enumerate(said):
            for phrase in self._by_first.get(word, ()):
                if said[index : index + len(phrase)] == phrase:
                    return True
        return False

    def are_in_any(self, value: Any) -> bool:
        return any(self.are_in(text) for text in texts_in(value))

    def strike(self, value: Any) -> Any:
        """`value` with ERASED for each string in it that says one of them."""
        if isinstance(value, str):
            return ERASED if self.are_in(value) else value
        if isinstance(value, Mapping):
            return {self.strike(str(key)): self.strike(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.strike(one) for one in value]
        return value

    def numbers(self) -> list[str]:
        """Those that are a number, which may be written in groups."""
        return sorted(filter(None, map(number_in, self)))

    def needles(self) -> list[str] | None:
        """ASCII texts of which every text that says one of the phrases that are no number has at
        least one, in lower case, for a database to look for first; None where there are none
        such."""
        found = set()
        for phrase in self:
            if number_in(phrase):
                continue
            plain = [word for word in phrase if word.isascii()]
            if not plain:
                return None
            found.add(max(plain, key=len))
        return sorted(found)
