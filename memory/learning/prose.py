"""What a person said in their own words, sentence by sentence.

Left out: recalled text, blocks in tags that editors and agents put in, fenced and indented code,
block quotes, logs, traces, diffs, letters and whatever else was pasted. What stands in quotation
marks stays, but is masked for the rules: they look at what is said, not at what is cited.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from config.lib.recalled import without_recalled

# Of a long message its beginning and its end: what lies between is nearly always pasted.
HEAD, TAIL = 12_000, 4_000
MOST_SENTENCES = 60
MOST_CHARACTERS = 600
# Lines of one list that a sentence with a colon brings with it.
MOST_ITEMS = 12
# A line that was wrapped goes on in the next one.
WRAPPED = 60
MASK = "\ufffc"

_TAG = re.compile(r"<(/?)([A-Za-z][\w.-]{0,60})(?:\s[^<>]{0,500})?>")
_FENCE = re.compile(r"^\s*(```|~~~)")
_INDENTED = re.compile(r"^(?: {4}|\t)")
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+(?=\S)")
_QUOTED = re.compile(r"^\s*(?:>|\|)")
_LOG = re.compile(
    r"^\s*(?:\[?\d{4}-\d\d-\d\d[T ]\d|\[?\d\d:\d\d:\d\d|\d{1,3}(?:\.\d{1,3}){3}\b|"
    r"(?:ERROR|WARN(?:ING)?|INFO|DEBUG|FATAL|TRACE|CRITICAL)\b|\w*(?:Error|Exception)\b:|"
    r"\$ |# \w|% \w|>>> |\.\.\. |at [\w$.<>]+\(|File \"|diff --git|index [0-9a-f]{6}|@@ |"
    r"[+-](?![\s-])\S|(?:---|\+\+\+) |commit [0-9a-f]{7})"
)
# What a trace or a letter is known by: after it nothing is the person's own any more, until a
# blank line for a trace, to the end for a letter.
_TRACE = re.compile(r"^\s*(?:Traceback \(most recent|Exception in thread|panic: |Caused by: |"
                    r"diff --git )")  # fmt: skip
_LETTER = re.compile(
    r"^\s*(?:From|To|Cc|Subject|Von|An|Betreff|De|À|Objet|Para|Asunto): \S|^-{2,} ?(?:Forwarded|"
    r"Original|Weitergeleitet|Urspr)|^Begin forwarded message",
    re.IGNORECASE,
)
# Lines that lead to something pasted.
_LEADS = re.compile(
    r"\b(?:here(?:'s| is| are)|this is|says?|said|reads|wrote|writes|log|logs|output|e?-?mails?|"
    r"message|thread|slack|ticket|issue|comment|review|readme|docs?|documentation|guide|guidelines|"
    r"article|excerpt|snippet|transcript|following|below|pasted?|copied|"
    r"hier|anbei|auszug|folgend\w*|unten|schreibt|schrieb|steht|nachricht|meldung|ausgabe|doku|"
    r"voici|ci-dessous|extrait|dit|écrit|courriel|sortie|suivant\w*|"
    r"aquí|adjunto|dice|escribe|escribió|correo|mensaje|salida|siguiente|extracto|documentación)\b",
    re.IGNORECASE,
)
_QUOTES = re.compile(
    '"[^"\n]{1,400}"|“[^”\n]{1,400}”|„[^“”\n]{1,400}[“”]|«[^»\n]{1,400}»|»[^«\n]{1,400}«|'
    "‘[^’\n]{1,400}’|`[^`\n]{1,400}`|(?<![\\w'])'[^'\n]{1,400}'(?!\\w)"
)
_END = re.compile(r"(?<=[.!?…])[\"')\]»”’]*\s+(?=\S)")
_SHORT = re.compile(
    r"(?:^|[\s(])(?:z\. ?b|d\. ?h|u\. ?a|e\.g|i\.e|p\. ?ex|p\. ?ej|ej|vs|bzw|approx|ca|no|nr|"
    r"mr|mrs|ms|dr|sr|sra|st|inc|ltd|min|max|z|d|p)\.$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """`masked` is `text` in small letters with what is cited blotted out, of the same length.

    `items` are the lines of the list that follows a sentence with a colon at its end.
    """

    text: str
    masked: str
    bullet: bool = False
    items: tuple[str, ...] = ()


def sentences_of(text: str) -> list[Sentence]:
    """The sentences that somebody wrote themselves in a message."""
    text = without_recalled(text)
    if len(text) > HEAD + TAIL:
        text = f"{text[:HEAD]}\n\n{text[-TAIL:]}"
    lines = list(_own_lines(_without_tagged(text)))
    found: list[Sentence] = []
    for number, (line, bullet) in enumerate(lines):
        pieces = list(_split(line))
        for place, piece in enumerate(pieces):
            if not 3 <= len(piece) <= MOST_CHARACTERS:
                continue
            items: tuple[str, ...] = ()
            if piece.endswith(":") and place == len(pieces) - 1:
                items = _items(lines, number + 1)
            found.append(Sentence(piece, masked(piece), bullet, items))
            if len(found) == MOST_SENTENCES:
                return found
    return found


def masked(text: str) -> str:
    """`text` in small letters, of the same length, with what is cited blotted out."""
    small = text.lower()
    if len(small) != len(text):  # of some letters the small form is longer
        small = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    small = small.replace("’", "'").replace("\u00a0", " ").replace("\u202f", " ")
    return _QUOTES.sub(lambda m: MASK * len(m[0]), small)


def _without_tagged(text: str) -> str:
    """Without what stands in tags, the tags included. One pass, however many there are."""
    tags = [(m.start(), m.end(), m[1], m[2].lower()) for m in _TAG.finditer(text)]
    if not tags:
        return text
    closing: dict[str, list[tuple[int, int]]] = {}
    for start, end, slash, name in tags:
        if slash:
            closing.setdefault(name, []).append((start, end))
    kept: list[str] = []
    position = 0
    for start, end, slash, name in tags:
        if slash or start < position:
            continue
        ends = closing.get(name, [])
        place = bisect_left(ends, (end, end))
        if place < len(ends):
            kept.append(text[position:start])
            position = ends[place][1]
    kept.append(text[position:])
    return "".join(kept)


def _own_lines(text: str) -> Iterator[tuple[str, bool]]:
    """(line, whether it is an item of a list), wrapped lines made one; blank ones for breaks."""
    fenced = pasted = skipping = False
    last: str | None = None
    for raw in text.splitlines():
        line = raw.strip()
        if _FENCE.match(raw):
            fenced = not fenced
        if fenced or _FENCE.match(raw):
            continue
        if not line:
            skipping = False
            if last is not None:
                yield last, False
            last = None
            continue
        if _LETTER.match(raw) or pasted:
            pasted = True
            continue
        if _TRACE.match(raw):
            skipping = True
        if skipping or _QUOTED.match(raw) or (_INDENTED.match(raw) and last is None):
            continue
        bullet = _BULLET.match(raw)
        if bullet:
            if last is not None:
                yield last, False
            last = None
            yield raw[bullet.end() :].strip(), True
            continue
        if _LOG.match(raw):
            continue
        if last is not None and len(last) >= WRAPPED and line[0].islower():
            last = f"{last} {line}"
        else:
            if last is not None:
                yield last, False
            last = line
        if line.endswith(":") and _LEADS.search(line) and not _asks_to_keep(line):
            pasted = True
    if last is not None:
        yield last, False


_KEEP = re.compile(r"^\W*(?:please |bitte )?(?:remember|note|keep|merk|denk|retiens|note|recuerda)",
                   re.IGNORECASE)  # fmt: skip


def _asks_to_keep(line: str) -> bool:
    """What follows "remember the following:" is meant."""
    return _KEEP.match(line) is not None


def _split(line: str) -> Iterator[str]:
    start = 0
    for end in _END.finditer(line):
        piece = line[start : end.start()]
        if _SHORT.search(piece):
            continue
        yield line[start : end.end()].strip()
        start = end.end()
    rest = line[start:].strip()
    if rest:
        yield rest


def _items(lines: list[tuple[str, bool]], first: int) -> tuple[str, ...]:
    found: list[str] = []
    for line, bullet in lines[first : first + MOST_ITEMS]:
        if not bullet:
            break
        found.append(line)
    return tuple(found)
