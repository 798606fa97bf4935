"""Text as the text index reads it: the words PostgreSQL's parser would miss, written out.

The parser keeps a path, a URL, a dotted name and a camelCase identifier as one token each, so
that nobody would find them by a part. Here the parts are appended to the text, which itself stays
first and whole, so that phrases still match. Queries go through the same function. Not for
stemming and stop words: those are PostgreSQL's.
"""

import re
import unicodedata

# Runs in which something may be joined. Linear: no two parts of it can match the same character.
_RUN = re.compile(r"[\w@./\\:~+-]+")
# What makes a run worth splitting: a hump, a mark inside, or an underscore.
_JOINED = re.compile(r"[a-z0-9][A-Z]|[A-Z]{2}[a-z]|\w[./\\@:+]+\w|[./\\]\w|\w_+\w")
_NAME = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+|[^\W\da-zA-Z_]+")
# Scripts without blanks between words: each pair of neighbours is a word of the index.
UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
_WORD = re.compile(r"\w+")
_BLANK = re.compile(r"\s")
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
    return len(_WORD.findall(lexical))


def parts_of(run: str) -> list[str]:
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
    return parts


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
