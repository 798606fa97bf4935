"""vCard's content lines: folding, escaping, parameters (RFC 6350 section 3, RFC 2426, vCard 2.1).

vobject reads a line's parameters and quoted-printable values. By hand is what it cannot do: its
line expression takes exponential time on lines that do not match (so they are checked first), its
unfolding quadratic time, its text values end at the first comma, and it folds by characters where
octets count. Not for what properties mean (vcards.py).
"""

import quopri
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vobject.base import VObjectError, textLineToContentLine  # type: ignore[import-untyped]

from config.lib.errors import Invalid

LINE_OCTETS = 75
# Of quoted-printable.
SOFT_BREAK = "=\n"
# The head of a line, without alternatives that could be tried twice: linear time.
_VALUE = r'(?:"[^"]*"|[^";:,]*)'
_HEAD = re.compile(
    rf"(?:[A-Za-z0-9_-]+\.)?[A-Za-z0-9_-]+(?:;[A-Za-z0-9_-]+(?:={_VALUE}(?:,{_VALUE})*)?)*:"
)
_LINE_END = re.compile(r"\r\n|\r|\n")
_QUOTED_PRINTABLE = re.compile("quoted-printable", re.IGNORECASE)
# Android's own labels: TEL;X-CUSTOM(CHARSET=UTF-8,ENCODING=QUOTED-PRINTABLE,B=C3=BCro):
_CUSTOM = re.compile(r";X-CUSTOM\(([^():]*)\)", re.IGNORECASE)
_ENCODINGS = {"BASE64": "b", "B": "b"}


@dataclass(frozen=True, slots=True)
class Line:
    """`value` is escaped, as it stands in the card. Names of parameters are in capitals."""

    name: str
    value: str
    params: dict[str, list[str]] = field(default_factory=dict)
    group: str = ""

    def types(self) -> list[str]:
        """Of TYPE, in lower case, in order; a quoted list is several."""
        values = ",".join(self.params.get("TYPE", [])).lower().split(",")
        return list(dict.fromkeys(value.strip() for value in values if value.strip()))


def split_lines(text: str) -> list[str]:
    """At line ends of any kind, and only there: U+2028 and the like are text."""
    return _LINE_END.split(text)


def unfold(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """(number of its first line, logical line). Quoted-printable goes on after a final `=`."""
    parts: list[str] = []
    first, quoted = 0, False
    for number, line in enumerate(lines, 1):
        if parts and quoted and parts[-1].endswith("="):
            parts.append(f"\n{line}")
        elif parts and line[:1] in (" ", "\t"):
            parts.append(line[1:])
        else:
            if parts:
                yield first, "".join(parts)
            parts, first = ([line], number) if line.strip() else ([], 0)
            quoted = bool(_QUOTED_PRINTABLE.search(line.partition(":")[0]))
    if parts:
        yield first, "".join(parts)


def unfolded(text: str) -> str:
    """The same card with each property on one line: what is looked for in it (a secret, a word that
    was erased) is not cut in two."""
    lines = unfold(split_lines(text))
    return "".join(f"{line.replace(SOFT_BREAK, '')}\r\n" for _, line in lines)


def read_line(text: str, number: int) -> Line:
    """Invalid, naming the number of the line in its card, where it is none."""
    custom = _CUSTOM.search(text.partition(":")[0])
    if custom:
        text = f"{text[: custom.start()]}{_custom_type(custom[1])}{text[custom.end() :]}"
    head = _HEAD.match(text)
    if head is None:
        raise Invalid({f"line {number}": f"is no property of a vCard: {text[:60]!r}"})
    if ";" not in head[0]:
        # Most lines, and what is slow to read of others is what they do not have.
        group, _, name = head[0][:-1].rpartition(".")
        return Line(name.replace("_", "-").upper(), text[head.end() :], {}, group)
    name = _QUOTED_PRINTABLE.sub("QUOTED-PRINTABLE", head[0])
    try:
        read = textLineToContentLine(name + text[head.end() :], number)
    except (VObjectError, ValueError, LookupError) as error:
        raise Invalid({f"line {number}": f"cannot be decoded: {error}"}) from None
    params = {key: list(values) for key, values in read.params.items() if key != "CHARSET"}
    for word in read.singletonparams:  # vCard 2.1: TEL;HOME;VOICE:
        key = "ENCODING" if word.upper() in (*_ENCODINGS, "7BIT", "8BIT") else "TYPE"
        params.setdefault(key, []).append(word)
    if "ENCODING" in params:
        wanted = [_ENCODINGS.get(value.upper(), "") for value in params.pop("ENCODING")]
        if any(wanted):
            params["ENCODING"] = ["b"]
    value = read.value
    if "QUOTED-PRINTABLE" in name:  # what is decoded now can hold line ends
        value = "\\n".join(split_lines(value))
    return Line(read.name, value, params, read.group or "")


def _custom_type(given: str) -> str:
    """What Android says within the parentheses, as the TYPE that every other program reads."""
    *how, label = given.split(",")
    if "ENCODING=QUOTED-PRINTABLE" in (one.upper() for one in how):
        label = quopri.decodestring(label.encode()).decode("utf-8", "replace")
    words = " ".join(re.sub(r'[\x00-\x1f\x7f";:,]+', " ", label).split())
    return f';TYPE="{words}"' if words else ""


def write_line(line: Line) -> str:
    """Folded, ending in CRLF."""
    name = f"{line.group}.{line.name}" if line.group else line.name
    params = "".join(
        f";{key}={','.join(_parameter(value) for value in values)}"
        for key, values in line.params.items()
        if values
    )
    return fold(f"{name}{params}:{' '.join(split_lines(line.value))}")


def _parameter(value: str) -> str:
    clean = re.sub(r"[\x00-\x1f\x7f]+", " ", value).replace('"', "'")
    return f'"{clean}"' if re.search(r"[;:,]", clean) else clean


def fold(line: str) -> str:
    """At most 75 octets in a line, never within a character."""
    parts: list[str] = []
    room, start, size = LINE_OCTETS, 0, 0
    for index, character in enumerate(line):
        width = len(character.encode("utf-8", "surrogatepass"))
        if size + width > room:
            parts.append(line[start:index])
            # the space that a continuation begins with counts
            start, size, room = index, 0, LINE_OCTETS - 1
        size += width
    parts.append(line[start:])
    return "\r\n ".join(parts) + "\r\n"


def escape(text: str) -> str:
    """A text as a value, or as one part of one."""
    for plain, escaped in (("\\", "\\\\"), (";", "\\;"), (",", "\\,")):
        text = text.replace(plain, escaped)
    return "\\n".join(split_lines(text))


def unescape(value: str) -> str:
    """Tolerant: a comma or semicolon that should have been escaped is taken as it is."""
    return re.sub(
        r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], value, flags=re.DOTALL
    )


def split_value(value: str, separator: str) -> list[str]:
    """The texts of a list or of a structured value."""
    parts: list[str] = []
    current: list[str] = []
    for piece in re.findall(r"\\.|.", value, flags=re.DOTALL):
        if piece == separator:
            parts.append("".join(current))
            current = []
        else:
            current.append(piece)
    parts.append("".join(current))
    return [unescape(part) for part in parts]
