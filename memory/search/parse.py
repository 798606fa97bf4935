"""What a query's text asks for: words, phrases that must occur, words that must not.

Liberal, as web searches are: no text is an error. Not for what the words mean to the index
(lexical.py) or to the embedder (vectors.py).
"""

import re
import unicodedata
from dataclasses import dataclass

# "..." or -word or -"..."; a hyphen counts only after a blank, so that e-mail and --flag are words.
_MARKED = re.compile(r'(?<!\S)(-?)"([^"]*)"|(?<!\S)-(\w[^\s"]*)')


@dataclass(frozen=True, slots=True)
class Parsed:
    """`text` is what to look for by words and by meaning: phrases in it, exclusions not."""

    text: str
    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


def parse(q: str) -> Parsed:
    # As the index has it (words.py).
    q = unicodedata.normalize("NFC", q)
    phrases: list[str] = []
    excluded: list[str] = []

    def take(match: re.Match[str]) -> str:
        minus, quoted, word = match.groups()
        if word is not None or minus:
            excluded.append(word if word is not None else quoted)
            return " "
        phrases.append(quoted)
        return f" {quoted} "

    text = _MARKED.sub(take, q)
    if not text.strip():
        # Nothing but exclusions asks for nothing; then they were not meant as such.
        return Parsed(q.strip())
    return Parsed(
        " ".join(text.split()),
        tuple(phrase for phrase in phrases if phrase.strip()),
        tuple(word for word in excluded if word.strip()),
    )
