"""Text as the text index reads it: the words PostgreSQL's parser would miss, written out.

The parser keeps a path, a URL, a dotted name and a camelCase identifier as one token each, so
that nobody would find them by a part. Here the parts are appended to the text, which itself stays
first and whole, so that phrases still match. Queries go through the same function. Not for
stemming and stop words: those are PostgreSQL's.
"""

import re
import unicodedata
from functools import lru_cache

# Runs in which something may be joined. Linear: no two parts of it can match the same character.
_RUN = re.compile(r"[\w@./\\:~+-]+")
# What makes a run worth splitting: a hump, a mark inside, or an underscore. It begins with a class,
# so that `re` skips what is in none: 5 ns a character of prose, 75 with the alternatives first.
_JOINED = re.compile(
    r"[A-Z./\\@:+_](?:(?<=[a-z0-9][A-Z])|(?<=[A-Z])[A-Z][a-z]|(?<=[./\\])\w"
    r"|(?<=\w[./\\@:+])[./\\@:+]*\w|(?<=\w_)_*\w)"
)
_NAME = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+|[^\W\da-zA-Z_]+")
# Scripts without blanks between words: each pair of neighbours is a word of the index.
UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
_WORD = re.compile(r"\w+")
_BLANK = re.compile(r"\s")
# ASCII with a `w` for what is part of a word; counting in it takes a tenth of matching words.
_SHAPE = bytes(
    ord("w" if char.isalnum() or char == "_" else " ") for char in map(chr, range(128))
).ljust(256)
_WIDE = re.compile(r"[^\x00-\x7f](?<=\w)")
# A longer run is a hash or an encoded file; its pieces are nobody's words.
LONGEST_RUN = 300


def lexical_text(text: str) -> str:
    """`text`, followed by the parts of what is joined in it."""
    if text.isascii():
        extra = _parts(text)
    else:
        # Composed and decomposed letters look the same; macOS writes names decomposed.
        text = unicodedata.normalize("NFC", text)
        extra = _parts(text) + _pairs(text)
    return f"{text}\n{' '.join(extra)}" if extra else text


def count_words(lexical: str) -> int:
    """A document's length for BM25: words of its lexical text, stop words included."""
    if not lexical.isascii() and _WIDE.search(lexical):
        return len(_WORD.findall(lexical))
    # Each character that is left, such as a dash, becomes a question mark.
    shape = lexical.encode("ascii", "replace").translate(_SHAPE)
    return shape.count(b" w") + shape.startswith(b"w")


@lru_cache(maxsize=4096)
def parts_of(run: str) -> tuple[str, ...]:
    """The words inside one joined run: names at every mark, then their humps.

    A snake_case name is given joined as well, so that it meets the camelCase one. Names that
    stand between blanks and underscores alone are split by PostgreSQL, so only what is more is
    given.
    """
    parts: list[str] = []
    names = _NAME.findall(run)
    for name in names:
        pieces = _PART.findall(name)
        if len(names) > 1 and name != run:
            # An underscore is no mark to the file token it stands in.
            parts += [piece for piece in name.split("_") if piece]
        if len(pieces) > 1:
            if "_" in name:
                parts.append(name.replace("_", ""))
                parts += [p for p in pieces if p not in name.split("_")]
            else:
                parts += pieces
    return tuple(parts)


def _parts(text: str) -> list[str]:
    found: list[str] = []
    joined = _JOINED.search
    end = 0
    while match := joined(text, end):
        # From the joint to the blanks around it: plain words in between cost nothing.
        start = match.start()
        while start > end and not text[start - 1].isspace():
            start -= 1
        blank = _BLANK.search(text, match.end())
        end = blank.start() if blank else len(text)
        for run in _RUN.findall(text, start, end):
            run = run.strip("./:@\\~+-")
            if 2 < len(run) <= LONGEST_RUN and joined(run):
                found += parts_of(run)
    return found


def _pairs(text: str) -> list[str]:
    found: list[str] = []
    for match in UNSPACED.finditer(text):
        run = match.group()
        if len(run) > 2:
            found += [run[i : i + 2] for i in range(len(run) - 1)]
    return found
