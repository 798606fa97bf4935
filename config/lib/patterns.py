"""What a workspace adds to the secrets that are taken out: patterns of its own, and personal data.

Patterns are matched by RE2, in time that grows with the text and with nothing else, so no pattern
can stop a worker. It knows neither look-around nor back references. Not for the secrets that
everybody has: config/lib/redact.py.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import phonenumbers
import re2

MOST_PATTERNS, LONGEST_PATTERN = 20, 200
# Bytes that a compiled pattern may take; RE2's own default is 8 MiB.
MEMORY = 1 << 20
PERSONAL = ("email", "phone")
_KIND = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LONGEST_KIND = 40
_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,8}[A-Za-z]{2,24}\b"
)
_DIGITS = re.compile(r"[0-9](?:[^0-9\n]{0,3}[0-9]){6}")

# Words that requests, settings and rows are full of. A pattern that finds one of them would take
# out names by which rows are looked up, and leave a workspace in which little works.
ORDINARY = (
    "settings redaction patterns personal name text kind title content session memory agent "
    "project task claude-code UTC Europe/Zurich CH"
)

Finder = Callable[[str], Iterator[tuple[int, int]]]


class BadPattern(ValueError):
    """A pattern that cannot be taken; the text says why."""


@dataclass(frozen=True, slots=True)
class Extra:
    """A workspace's patterns by their kind, and the kinds of personal data it does not keep.
    `region` is the country of phone numbers without a country code."""

    patterns: tuple[tuple[str, str], ...] = ()
    personal: frozenset[str] = frozenset()
    region: str | None = None

    def finders(self, *, personal: bool) -> Iterator[tuple[str, Finder]]:
        """(kind, what finds the places of it in a text), in order."""
        for kind, pattern in self.patterns:
            yield kind, _finder(pattern)
        if personal and "email" in self.personal:
            yield "email", _emails
        if personal and "phone" in self.personal:
            yield "phone", lambda text: _phones(text, self.region)


NOTHING = Extra()


@lru_cache(maxsize=1000)
def compiled(pattern: str) -> Any:
    """Or BadPattern."""
    if not 0 < len(pattern) <= LONGEST_PATTERN:
        raise BadPattern(f"must have 1 to {LONGEST_PATTERN} characters")
    options = re2.Options()
    options.max_mem, options.log_errors = MEMORY, False
    try:
        made = re2.compile(pattern, options=options)
        matches_nothing = made.search("") is not None
    except (re2.error, UnicodeEncodeError) as error:
        raise BadPattern(f"is no pattern of RE2: {str(error)[:100]}") from None
    if matches_nothing:
        raise BadPattern("matches an empty text, and so every one")
    return made


def _finder(pattern: str) -> Finder:
    form = compiled(pattern)

    def find(text: str) -> Iterator[tuple[int, int]]:
        try:
            for found in form.finditer(text):
                if found.end() > found.start():
                    yield found.span()
        except UnicodeEncodeError:
            return  # a lone surrogate: no such text is stored

    return find


def _emails(text: str) -> Iterator[tuple[int, int]]:
    if "@" in text:
        for found in _EMAIL.finditer(text):
            yield found.span()


def _phones(text: str, region: str | None) -> Iterator[tuple[int, int]]:
    if _DIGITS.search(text):
        for found in phonenumbers.PhoneNumberMatcher(text, region):
            yield found.start, found.end


def extra_problems(value: Any) -> dict[str, str]:
    """What is wrong with a setting {"patterns": {kind: pattern}, "personal": [kind]}, by path."""
    if not isinstance(value, dict) or value.keys() - {"patterns", "personal"}:
        return {"": "must be an object with `patterns` and `personal`"}
    problems: dict[str, str] = {}
    patterns = value.get("patterns", {})
    if not isinstance(patterns, dict) or len(patterns) > MOST_PATTERNS:
        problems[".patterns"] = f"must be an object of at most {MOST_PATTERNS} patterns by name"
        patterns = {}
    for kind, pattern in patterns.items():
        at = f".patterns.{kind[:LONGEST_KIND]}"
        if not _KIND.fullmatch(kind) or len(kind) > LONGEST_KIND:
            problems[at] = (
                f"is no name: lower-case letters, digits and single hyphens, at most {LONGEST_KIND}"
            )
        elif not isinstance(pattern, str):
            problems[at] = "must be a text"
        else:
            try:
                compiled(pattern)
            except BadPattern as error:
                problems[at] = str(error)
    personal = value.get("personal", [])
    if not isinstance(personal, list) or any(one not in PERSONAL for one in personal):
        problems[".personal"] = f"must be a list of {' and '.join(PERSONAL)}"
    return problems


def broad_patterns(value: Any) -> dict[str, str]:
    """What of a setting without problems finds too much, by path. Asked when it is set: one that is
    there goes on, for what it was to keep out must not come in."""
    found = {kind: compiled(it).search(ORDINARY) for kind, it in value.get("patterns", {}).items()}
    return {
        f".patterns.{kind}": f"finds ordinary words, such as {place[0][:40]!r}; let it ask for more"
        for kind, place in found.items()
        if place is not None
    }


def read_extra(value: Any, region: Any = None) -> Extra:
    """The same setting, checked before; what cannot be read says nothing."""
    if not value or extra_problems(value):
        return NOTHING
    return Extra(
        patterns=tuple(sorted(value.get("patterns", {}).items())),
        personal=frozenset(value.get("personal", [])),
        region=region if isinstance(region, str) else None,
    )
