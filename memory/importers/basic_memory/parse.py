"""What stands in a note of basic-memory: prose, observations and relations, line by line.

An observation is `- [category] text #tag (context)`, a relation `- type [[Target]] (context)`; a
`[[Target]]` within prose is a relation too. Both may stand anywhere; code is left alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_OBSERVATION = re.compile(r"^\s*[-*+][ \t]+\[([^\[\]()]{1,60})\][ \t]+(\S.*)$")
_RELATION = re.compile(r"^\s*[-*+][ \t]+([^\[\]]{0,200}?)[ \t]*\[\[([^\[\]]{1,300})\]\][ \t]*(.*)$")
_LINK = re.compile(r"\[\[([^\[\]]{1,300})\]\]")
_TAG = re.compile(r"(?:^|(?<=\s))#([^\s#()\[\]]+)")
_BOXES = frozenset(" xX-/")
_LISTS = re.compile(r"^#{1,6}[ \t]+(observations|relations)[ \t]*$", re.IGNORECASE)
PLAIN = "links_to"


@dataclass(frozen=True, slots=True)
class Observation:
    line: int
    category: str
    text: str
    tags: tuple[str, ...] = ()
    context: str = ""


@dataclass(frozen=True, slots=True)
class Relation:
    line: int
    kind: str
    target: str
    context: str = ""


@dataclass(slots=True)
class Parsed:
    prose: list[str] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)


def parse(lines: Sequence[str], first: int) -> Parsed:
    """`first` is the number of the first line."""
    found = Parsed()
    in_code = False
    for number, line in enumerate(lines, first):
        if _FENCE.match(line):
            in_code = not in_code
        elif not in_code:
            said = _OBSERVATION.match(line)
            if said and said[1].strip() and said[1] not in _BOXES:
                found.observations.append(_observation(number, said[1].strip(), said[2]))
                continue
            related = _RELATION.match(line)
            if related:
                kind, target, rest = related[1].strip(), _target(related[2]), related[3].strip()
                found.relations.append(Relation(number, kind or PLAIN, target, _context(rest)[1]))
                continue
            if _LISTS.match(line):
                continue
            for link in _LINK.finditer(line):
                found.relations.append(Relation(number, PLAIN, _target(link[1])))
        found.prose.append(line)
    return found


def _observation(number: int, category: str, text: str) -> Observation:
    text, context = _context(text.strip())
    return Observation(number, category, text, tuple(dict.fromkeys(_TAG.findall(text))), context)


def _context(text: str) -> tuple[str, str]:
    """(text, what stands in brackets at its end)."""
    if not text.endswith(")"):
        return text, ""
    depth = 0
    for at in range(len(text) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(text[at], 0)
        if not depth:
            before = text[:at].rstrip()
            # `f(x)` is no context.
            spaced = not at or text[at - 1].isspace()
            return (before, text[at + 1 : -1].strip()) if spaced else (text, "")
    return text, ""


def _target(text: str) -> str:
    """Of `[[Title|as shown]]` the title."""
    return text.split("|", 1)[0].strip()
