"""The rules: which of a person's own sentences say something to be kept, and as what.

Each looks at one part of a sentence at a time, from its beginning, so that what is asked, supposed
or told of others is not taken for what is wanted. One sentence gives one memory at most.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from config.lib.phrases import Phrases
from memory.learning.languages import LANGUAGES, Language
from memory.learning.prose import MASK, Sentence, sentences_of

MOST_OF_ONE_TEXT = 10
# Shorter ones ("remember that.", "never again") say nothing by themselves.
LEAST_WORDS = 3
MOST_OPENERS = 6
MOST_TEXT = 2_000

_WORD = re.compile(rf"[^\W_][\w'{MASK}-]*")
_PEOPLE = frozenset(
    [
        "i",
        "i'm",
        "i've",
        "you",
        "you're",
        "we",
        "we're",
        "we've",
        "having",
        "ich",
        "du",
        "wir",
        "ihr",
        "je",
        "j'ai",
        "tu",
        "on",
        "nous",
        "vous",
        "yo",
        "tú",
        "nosotros",
    ]
)
_PUNCTUATION = " \t,;:–—-"
# A question that came without its mark.
_ASKS = re.compile(
    r"\b(?:how (?:can|do|should|could|would) (?:i|we)|(?:can|could|would) you|not sure|"
    r"wie kann ich|(?:kannst|könntest) du|comment (?:puis|faire)|(?:peux|pourrais)-tu|cómo puedo|"
    r"(?:puedes|podrías))\b"
)
# Between "we decided" and what was.
_LINK = re.compile(r"^(?:that|to|on|que|qu'|de|dass) ")


@dataclass(frozen=True, slots=True)
class Rule:
    """`kind` is a memory's; `confidence` is how often what it finds was meant so, roughly."""

    name: str
    kind: str
    confidence: float


REMEMBER = Rule("remember", "fact", 0.9)
STANDING = Rule("from-now-on", "preference", 0.9)
ALWAYS = Rule("always-never", "preference", 0.85)
PREFER = Rule("prefer", "preference", 0.85)
DECIDE = Rule("decided", "decision", 0.9)
RULES = (REMEMBER, STANDING, ALWAYS, PREFER, DECIDE)


@dataclass(frozen=True, slots=True)
class Found:
    """`quote` are the words as they stand in the message, `text` what is kept of them. `weak` says
    that they may well have been meant for the task at hand."""

    rule: Rule
    kind: str
    language: str
    text: str
    quote: str
    weak: bool = False


def find(text: str, phrases: Phrases | None = None) -> list[Found]:
    """What the words of a person say is to be kept, in order."""
    found: list[Found] = []
    said: set[str] = set()
    for sentence in sentences_of(text):
        one = _look(sentence, phrases)
        if one is None or one.text.casefold() in said:
            continue
        said.add(one.text.casefold())
        found.append(one)
        if len(found) == MOST_OF_ONE_TEXT:
            break
    return found


def _look(sentence: Sentence, phrases: Phrases | None) -> Found | None:
    masked = sentence.masked
    if "¿" in masked or masked.rstrip(" \"')»”").endswith("?"):
        return None
    if phrases is not None:
        added = _by_phrases(sentence, phrases)
        if added is not None:
            return added
    for language in LANGUAGES:
        found = _in_language(sentence, language)
        if found is not None:
            return found
    return None


def _in_language(sentence: Sentence, language: Language) -> Found | None:
    masked = sentence.masked
    for start in _starts(masked, language):
        before = masked[:start]
        if start and (language.hedge.search(before) or language.reported.search(before)):
            break
        first = _after_openers(masked, start, language)
        orders = not start or _orders(before, language)
        found = _at(sentence, first, language, orders=orders)
        if found is not None:
            return found
    return _standing(sentence, language)


def _starts(masked: str, language: Language) -> Iterator[int]:
    yield 0
    for part in language.clause.finditer(masked):
        yield part.end()


def _orders(before: str, language: Language) -> bool:
    """Whether an order may follow: "use X, and never Y", not "they help and never complain"."""
    parts = list(language.clause.finditer(before))
    if parts and language.therefore.search(before, parts[-1].start()):
        return True
    told = _WORD.match(before, _after_openers(before, 0, language))
    return told is not None and told[0] not in language.subjects | _PEOPLE


def _after_openers(masked: str, start: int, language: Language) -> int:
    """Where what is said begins, behind "ok, please" and the like."""
    for _ in range(MOST_OPENERS):
        while start < len(masked) and masked[start] in " \t*_¡(":
            start += 1
        opener = language.opener.match(masked, start)
        if opener is None or opener.end() == start:
            break
        # "remember" may open a sentence and be the word itself.
        if _begins(masked, start, language):
            break
        start = opener.end()
    return start


def _begins(masked: str, start: int, language: Language) -> bool:
    patterns = (language.remember, language.instruct, language.prefer, language.decide)
    return any(pattern.match(masked, start) for pattern in patterns)


def _at(sentence: Sentence, start: int, language: Language, *, orders: bool) -> Found | None:
    """What begins at `start`. `orders` says whether it may be an order."""
    masked = sentence.masked
    kept = language.remember.match(masked, start)
    if kept is not None:
        return _kept(sentence, start, kept.end(), language)
    decided = language.decide.match(masked, start)
    if decided is not None:
        return _made(DECIDE, sentence, language, start, decided.end())
    # In a list of what is to be built, "always show the total" is one of its features.
    if sentence.bullet:
        return None
    if orders and language.instruct.match(masked, start):
        return _made(ALWAYS, sentence, language, start)
    if language.prefer.match(masked, start):
        return _made(PREFER, sentence, language, start)
    return None


def _kept(sentence: Sentence, start: int, end: int, language: Language) -> Found | None:
    """What "remember that" is followed by: the rest of the sentence, or the list behind it."""
    if sentence.items:
        if len(_words(sentence.masked[end:])) >= LEAST_WORDS:
            head = sentence.text[end:].strip()
            text = "\n".join([head, *(f"- {item}" for item in sentence.items)])
        else:
            text = "\n".join(f"- {item}" for item in sentence.items)
        return Found(REMEMBER, "fact", language.name, text[:MOST_TEXT], sentence.text)
    rest = sentence.masked[end:]
    if (
        language.chore.match(rest)
        and not language.wants.search(rest)
        and not _says_that(sentence, start, end)
    ):
        return None
    if language.vague.match(rest) or language.local.search(rest):
        return None
    if len(_words(rest)) < LEAST_WORDS:
        return None
    kind = "preference" if language.wants.match(rest) else "fact"
    whole = language.keeps.match(sentence.masked[start:end]) is not None
    text = _told(sentence.text[start if whole else end :])
    weak = _is_weak(sentence, language, start, end)
    return Found(REMEMBER, kind, language.name, text, sentence.text, weak)


def _says_that(sentence: Sentence, start: int, end: int) -> bool:
    """Whether a clause follows ("that the ..."), not something to do ("to push")."""
    marker = sentence.masked[start:end].rstrip()
    return not marker.endswith(",")


def _made(
    rule: Rule, sentence: Sentence, language: Language, start: int, end: int | None = None
) -> Found | None:
    """A sentence, or a part of one, that begins at `start`; what it says behind `end`."""
    rest = _LINK.sub("", sentence.masked[start if end is None else end :].lstrip(_PUNCTUATION))
    if language.vague.match(rest) or language.local.search(sentence.masked):
        return None
    if len(_words(sentence.masked[start:])) < LEAST_WORDS:
        return None
    if language.reported.search(sentence.masked[:start]):
        return None
    # From a part behind "and" the whole sentence is kept: it says of what is spoken.
    inside = language.clause.search(sentence.masked[:start]) is not None
    text = _told(sentence.text if inside else sentence.text[start:])
    weak = _is_weak(sentence, language, start, end or start)
    return Found(rule, rule.kind, language.name, text, sentence.text, weak)


def _is_weak(sentence: Sentence, language: Language, start: int, end: int) -> bool:
    """By the words between, or because the sentence asks for something else besides."""
    marked = language.weak.search(sentence.masked, start, end) is not None
    return marked or _ASKS.search(sentence.masked) is not None


def _standing(sentence: Sentence, language: Language) -> Found | None:
    """ "From now on", at the beginning of a part or in one that says what to do."""
    masked = sentence.masked
    mark = language.standing.search(masked)
    if mark is None:
        return None
    before = masked[: mark.start()]
    if language.hedge.search(before) or language.reported.search(before):
        return None
    if language.local.search(masked):
        return None
    start = _after_openers(masked, 0, language)
    if start < mark.start():
        clauses = [part.end() for part in language.clause.finditer(before)]
        begin = max([start, *(n for n in clauses if n < mark.start())])
        told = _WORD.match(masked, _after_openers(masked, begin, language))
        if begin != mark.start() and (told is None or told[0] in language.subjects):
            return None
    start = min(start, mark.start())
    rest = masked[start : mark.start()] + masked[mark.end() :]
    if language.vague.match(rest.lstrip(_PUNCTUATION)) or len(_words(rest)) < LEAST_WORDS - 1:
        return None
    if sentence.items:
        lines = "\n".join([sentence.text, *(f"- {item}" for item in sentence.items)])
        return Found(STANDING, STANDING.kind, language.name, lines[:MOST_TEXT], sentence.text)
    text = _told(sentence.text[start:])
    return Found(STANDING, STANDING.kind, language.name, text, sentence.text)


def _by_phrases(sentence: Sentence, phrases: Phrases) -> Found | None:
    """The phrases of an operator: at the beginning, or behind what opens a sentence."""
    masked = sentence.masked
    for start in {0, *(_after_openers(masked, 0, language) for language in LANGUAGES)}:
        added = phrases.match(masked, start)
        if added is None:
            continue
        name, end = added
        rule = next(one for one in RULES if one.name == name)
        rest = masked[end:].lstrip(_PUNCTUATION)
        if len(_words(rest)) < LEAST_WORDS:
            continue
        text = _told(sentence.text[end if rule is REMEMBER else start :])
        return Found(rule, rule.kind, phrases.language, text, sentence.text)
    return None


def _words(masked: str) -> list[str]:
    return _WORD.findall(masked)


def _told(text: str) -> str:
    """A sentence of its own: without what opened it, its first letter large."""
    text = text.strip().lstrip(_PUNCTUATION + "*_").strip()
    return (text[:1].upper() + text[1:])[:MOST_TEXT]
