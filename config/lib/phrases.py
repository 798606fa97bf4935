"""Further words for the rules of extraction (memory/learning/rules.py), from a file of the
operator: languages and habits we do not know. Here, because the settings check it at the start.

A JSON object: rule -> list of phrases, each plain text that stands at a sentence's beginning. Not
patterns: nobody can slow the server down with one.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

MOST_PHRASES, MOST_CHARACTERS = 500, 100
RULE_NAMES = ("remember", "from-now-on", "always-never", "prefer", "decided")


class PhrasesError(ValueError):
    """What is wrong with the file, for an operator."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """`language` is what stands for it in a memory's provenance."""

    by_rule: tuple[tuple[str, re.Pattern[str]], ...]
    language: str = "added"

    def match(self, masked: str, start: int) -> tuple[str, int] | None:
        """(rule, where its phrase ends) of one that stands at `start`."""
        for name, pattern in self.by_rule:
            found = pattern.match(masked, start)
            if found is not None:
                return name, found.end()
        return None


@lru_cache(maxsize=4)
def read_phrases(path: Path | None) -> Phrases | None:
    """Of the file, once per process. Raises PhrasesError."""
    if path is None:
        return None
    try:
        given = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise PhrasesError(f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise PhrasesError("is no JSON") from None
    if not isinstance(given, dict):
        raise PhrasesError("must be an object: rule -> list of phrases")
    unknown = sorted(set(map(str, given)) - set(RULE_NAMES))
    if unknown:
        raise PhrasesError(f"has no rule {unknown[0]!r}; there are {', '.join(RULE_NAMES)}")
    by_rule = []
    for name, phrases in given.items():
        if not isinstance(phrases, list) or len(phrases) > MOST_PHRASES:
            raise PhrasesError(f"{name}: must be a list of at most {MOST_PHRASES} phrases")
        for phrase in phrases:
            good = isinstance(phrase, str) and 2 <= len(phrase.strip()) <= MOST_CHARACTERS
            if not good:
                raise PhrasesError(
                    f"{name}: each phrase is a text of 2 to {MOST_CHARACTERS} letters"
                )
        # The longest first: one may begin another.
        ordered = sorted((phrase.strip().lower() for phrase in phrases), key=len, reverse=True)
        if ordered:
            joined = "|".join(re.escape(phrase).replace("\\ ", "\\s+") for phrase in ordered)
            by_rule.append((name, re.compile(rf"(?:{joined})(?!\w)")))
    return Phrases(tuple(by_rule))
