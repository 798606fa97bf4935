"""vCards: what one says of a contact, and a contact as a card (3.0: RFC 2426, 4.0: RFC 6350).

What the product has no column for stays in the raw card that the contact keeps, and is written
again as it was; so is every property whose meaning the contact still agrees with. Not for finding
the contact that a card is of (imports/), nor for lines (vcard_lines.py).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import Any, Literal

from django.db.models import TextField

from config.lib.errors import Invalid
from contacts.models import Contact
from contacts.services.addresses import (
    EXTENSION,
    Labelled,
    readable_emails,
    readable_phones,
    shortened_tags,
    text_of,
)
from contacts.services.fitting import Shortened, fitted
from contacts.services.unreadable import but, texts_of
from contacts.services.vcard_lines import (
    Line,
    escape,
    read_line,
    split_lines,
    split_value,
    unescape,
    unfold,
    unfolded,
    write_line,
)

Version = Literal["3.0", "4.0"]
# What a contact keeps of a card; photographs make cards large.
MAX_CARD = 1_000_000
MAX_UID = 300
# What a contact's own columns hold of it.
FIELDS = ("name", "company", "role", "location", "relationship", "description", "notes")
# (characters, whether it is a text in which personal data may stand), as the columns have it.
LONGEST = {
    one.name: (one.max_length, isinstance(one, TextField))
    for one in Contact._meta.fields
    if one.name in FIELDS and one.max_length
}
# Types that say nothing to a person, and those that both versions know.
_NOISE = frozenset({"pref", "voice", "internet", "x400"})
_TYPES = {
    "EMAIL": frozenset({"home", "work"}),
    "TEL": frozenset({"home", "work", "cell", "fax", "pager", "video"}),
}
_BINARY = frozenset({"PHOTO", "LOGO", "SOUND", "KEY"})
# Ours, where vCard has no property.
_OWN = {"description": "X-REMEMBRANCER-DESCRIPTION", "relationship": "X-REMEMBRANCER-RELATIONSHIP"}
_MANAGED = frozenset(
    {"BEGIN", "END", "VERSION", "PRODID", "UID", "REV", "FN", "N", "ORG", "TITLE", "ADR", "EMAIL",
     "TEL", "NOTE", "CATEGORIES", *_OWN.values()}
)  # fmt: skip
_APPLE_LABEL = re.compile(r"_\$!<(.*)>!\$_")
_DATA = re.compile(r"data:[a-z]+/([a-z0-9.+-]+);base64,", re.IGNORECASE)


@dataclass(slots=True)
class Card:
    """What a card says, or a line of a sheet. Emails, phones and tags as they stand there."""

    name: str = ""
    company: str = ""
    role: str = ""
    location: str = ""
    notes: str = ""
    description: str = ""
    relationship: str = ""
    emails: list[Labelled] = field(default_factory=list)
    phones: list[Labelled] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    uid: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """One card of a file: `place` counts cards, `line` is where it begins, both from 1."""

    place: int
    line: int
    text: str
    problem: str = ""


# --- Reading ----------------------------------------------------------------------------------


def split_cards(text: str) -> Iterator[Piece]:
    """The cards of a file, in order. What is not within a whole card is a Piece with a problem."""
    place, begin, strayed = 0, 0, False
    lines: list[str] = []
    for number, line in enumerate(split_lines(text.removeprefix("\ufeff")), 1):
        word = line.strip().upper()
        if word == "BEGIN:VCARD":
            if begin:
                why = f"has no END:VCARD before another card begins in line {number}"
                yield Piece(place, begin, "", why)
            place, begin, strayed, lines = place + 1, number, False, [line.strip()]
        elif begin:
            lines.append(line)
            if word == "END:VCARD":
                yield Piece(place, begin, "\r\n".join(lines) + "\r\n")
                begin = 0
        elif word and not strayed:
            # Said once for all lines up to the next card.
            place, strayed = place + 1, True
            yield Piece(place, number, "", "is outside of a card (BEGIN:VCARD to END:VCARD)")
    if begin:
        yield Piece(place, begin, "", "has no END:VCARD before the file ends")


def read_lines(text: str) -> list[Line]:
    """All properties of one card."""
    if len(text) > MAX_CARD:
        raise Invalid(
            {
                "vcard": f"has {len(text):,} characters; at most {MAX_CARD:,} are kept. A smaller "
                "photograph, or none, makes it fit"
            }
        )
    return [read_line(line, number) for number, line in unfold(split_lines(text))]


def read_card(text: str) -> Card:
    """What one card says; its name is empty where it has none, and no company. Invalid names the
    property, or the line in the card."""
    lines = read_lines(text)
    named: dict[str, list[Line]] = {name: [] for name in (*_MANAGED, "ROLE")}
    for line in lines:
        named.setdefault(line.name, []).append(line)

    def first(name: str) -> str:
        return next((v for line in named[name] if (v := unescape(line.value).strip())), "")

    card = Card(
        role=_one_line(first("TITLE") or first("ROLE")),
        company=_one_line(next((split_value(line.value, ";")[0] for line in named["ORG"]), "")),
        location=next((found for line in named["ADR"] if (found := _location(line))), ""),
        notes="\n\n".join(unescape(line.value) for line in named["NOTE"]),
        description=first(_OWN["description"]),
        relationship=_one_line(first(_OWN["relationship"])),
        emails=_labelled(named["EMAIL"], named.get("X-ABLABEL", [])),
        phones=_labelled(named["TEL"], named.get("X-ABLABEL", [])),
        tags=[
            tag
            for line in named["CATEGORIES"]
            for part in split_value(line.value, ",")
            for tag in re.split("[,;]", part)
        ],
        uid=next((line.value.strip() for line in named["UID"]), ""),
        raw=unfolded(text),
    )
    name = _one_line(first("FN")) or _one_line(_structured_name(named["N"]))
    card.name = name or card.company
    if len(card.uid) > MAX_UID:
        raise Invalid({"UID": f"has {len(card.uid):,} characters; at most {MAX_UID} are kept"})
    return card


def fit(card: Card) -> list[Shortened]:
    """In place: no text and no tag longer, and not more tags, than a contact keeps. What that is
    less than it was; the raw card has it still."""
    cut: list[Shortened] = []
    for name, (most, personal) in LONGEST.items():
        setattr(card, name, fitted(name, getattr(card, name), most, cut, personal=personal))
    card.tags, fewer = shortened_tags(card.tags)
    return cut + fewer


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _structured_name(lines: Sequence[Line]) -> str:
    """Family; given; additional; prefix; suffix: as people are spoken of."""
    if not lines:
        return ""
    parts = [part.replace(",", " ") for part in split_value(lines[0].value, ";")] + [""] * 5
    family, given, additional, prefix, suffix = parts[:5]
    return f"{prefix} {given} {additional} {family} {suffix}"


def _location(line: Line) -> str:
    """Town, region and country of an address; all of it where it has none of them."""
    parts = [_one_line(part) for part in split_value(line.value, ";")]
    place = [part for index, part in enumerate(parts) if index in (3, 4, 6) and part]
    return ", ".join(place or [part for part in parts if part])


def _labelled(lines: Sequence[Line], names: Sequence[Line]) -> list[Labelled]:
    """Emails or numbers with their labels (X-ABLabel of their group, or TYPE), preferred first."""
    labels = {line.group.lower(): unescape(line.value).strip() for line in names if line.group}
    found = []
    for line in lines:
        value = unescape(line.value).strip()
        if not value:
            continue
        own = labels.get(line.group.lower(), "") if line.group else ""
        apple = _APPLE_LABEL.fullmatch(own)
        words = " ".join(word for word in line.types() if word not in _NOISE)
        label = apple[1].lower() if apple else own or words
        found.append((_rank(line), Labelled(value, label)))
    found.sort(key=lambda pair: pair[0])
    return [one for _, one in found]


def _rank(line: Line) -> int:
    if "pref" in line.types():
        return 1
    given = (line.params.get("PREF") or [""])[0]
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 3 else 1000


# --- Writing ----------------------------------------------------------------------------------


def write_card(
    contact: Mapping[str, Any], *, version: Version, raw: str = "", region: str | None = None
) -> str:
    """A contact as a card. `contact` has the columns of the model and {emails, phones} as Labelled,
    {tags}; `raw` is the card it came from, whose other properties are written again, and so are its
    emails and numbers that could not be read, but for those that were dismissed."""
    kept = _Kept(raw, region, contact.get("unreadable"), contact.get("dismissed"))
    lines = [Line("VERSION", version), Line("UID", contact["vcard_uid"] or own_uid(contact["id"]))]
    lines += _names(contact, kept, version)
    lines += kept.same("ORG", "company", contact) or _filled("ORG", escape(contact["company"]))
    lines += _titles(contact, kept)
    lines += _addresses(contact, kept)
    for name, column in (("EMAIL", "emails"), ("TEL", "phones")):
        values = contact[column]
        lines += kept.same_values(name, values) or _changed_values(name, values, version, kept)
    lines += kept.same("NOTE", "notes", contact) or _filled("NOTE", escape(contact["notes"]))
    tags = ",".join(escape(tag) for tag in contact["tags"])
    lines += kept.same_tags(contact["tags"]) or _filled("CATEGORIES", tags)
    for column, name in _OWN.items():
        lines += kept.same(name, column, contact) or _filled(name, escape(contact[column]))
    lines += kept.others
    changed = contact["updated_at"].astimezone(UTC)
    lines.append(Line("REV", f"{changed:%Y%m%dT%H%M%SZ}"))
    body = "".join(write_line(converted(line, version)) for line in lines)
    return f"BEGIN:VCARD\r\n{body}END:VCARD\r\n"


def own_uid(contact_id: object) -> str:
    """The UID of a contact that came from no card: one that its own id makes."""
    return f"urn:uuid:{contact_id}"


def _filled(name: str, value: str) -> list[Line]:
    return [Line(name, value)] if value.strip() else []


class _Kept:
    """The lines of a raw card that are still true of its contact."""

    def __init__(self, raw: str, region: str | None, unreadable: object, dismissed: object) -> None:
        self.region = region
        # By EMAIL and TEL, the texts of those that could not be read, and were dismissed.
        self.unreadable, self.dismissed = (
            {"EMAIL": texts_of(kept, "emails"), "TEL": texts_of(kept, "phones")}
            for kept in (unreadable, dismissed)
        )
        self.lines: list[Line] = []
        self.card: Card | None = None
        if raw:
            try:
                self.lines, self.card = read_lines(raw), read_card(raw)
                fit(self.card)
            except Invalid:
                # It was read once, when it came; a card that no longer reads adds nothing.
                self.lines, self.card = [], None
        self.groups = {line.group.lower() for line in self.lines if line.group}
        addressed = {line.group.lower() for line in self.named("EMAIL", "TEL") if line.group}
        # Labels of emails and numbers come and go with these.
        self.labels = [line for line in self.named("X-ABLABEL") if line.group.lower() in addressed]
        self.others = [
            line for line in self.lines if line.name not in _MANAGED and line not in self.labels
        ]

    def named(self, *names: str) -> list[Line]:
        return [line for line in self.lines if line.name in names]

    def same(self, name: str, column: str, contact: Mapping[str, Any]) -> list[Line]:
        """The raw lines, unless the contact says otherwise by now."""
        agreed = self.card is not None and getattr(self.card, column) == contact[column]
        return self.named(name) if agreed else []

    def same_values(self, name: str, now: Sequence[Labelled]) -> list[Line]:
        """The same for EMAIL and TEL, with their labels."""
        if self.card is None:
            return []
        given, texts = but(self._given(name), self.dismissed[name]), self.unreadable[name]
        if not set(texts) <= {text_of(one) for one in given}:
            return []
        read = but(given, texts)
        if name == "EMAIL":
            then, _ = readable_emails(read, [])
        else:
            then, _ = readable_phones(read, self.region, [])
        if list(now) != then:
            return []
        lines = [line for line, text in self._texts(name) if text not in self.dismissed[name]]
        return self._with_labels(lines)

    def unread(self, name: str) -> tuple[list[Line], list[str]]:
        """(lines of those that could not be read, texts that are in no line of the card)."""
        if not self.unreadable[name]:
            return [], []
        left = dict.fromkeys(self.unreadable[name])
        lines = [line for line, text in self._texts(name) if text in self.unreadable[name]]
        for _, text in self._texts(name):
            left.pop(text, None)
        return self._with_labels(lines), list(left)

    def _texts(self, name: str) -> list[tuple[Line, str]]:
        """Each line with its text; that of an empty one is empty."""
        return [
            (line, next((text_of(one) for one in _labelled([line], self.labels)), ""))
            for line in self.named(name)
        ]

    def _given(self, name: str) -> Sequence[Labelled]:
        if self.card is None:
            return []
        return self.card.emails if name == "EMAIL" else self.card.phones

    def _with_labels(self, lines: list[Line]) -> list[Line]:
        groups = {line.group.lower() for line in lines if line.group}
        return lines + [line for line in self.labels if line.group.lower() in groups]

    def same_tags(self, now: Sequence[str]) -> list[Line]:
        agreed = self.card is not None and self.card.tags == list(now)
        return self.named("CATEGORIES") if agreed else []


def _names(contact: Mapping[str, Any], kept: _Kept, version: Version) -> list[Line]:
    """FN and N. Where no card said which word is the family name, nobody guesses."""
    lines = kept.same("FN", "name", contact) or [Line("FN", escape(contact["name"]))]
    structured = kept.same("N", "name", contact)
    if not structured and version == "3.0":  # which asks for N
        structured = [Line("N", f";{escape(contact['name'])};;;")]
    return lines + structured


def _titles(contact: Mapping[str, Any], kept: _Kept) -> list[Line]:
    """TITLE. A ROLE is among the others, unless the contact's role was read from it and is not so
    any more."""
    lines = kept.same("TITLE", "role", contact)
    if lines:
        return lines
    if not kept.named("TITLE"):
        if kept.same("ROLE", "role", contact):
            return []
        kept.others = [line for line in kept.others if line.name != "ROLE"]
    return _filled("TITLE", escape(contact["role"]))


def _addresses(contact: Mapping[str, Any], kept: _Kept) -> list[Line]:
    """Whole addresses as they were; a changed location takes the place of the first."""
    lines = kept.same("ADR", "location", contact)
    if lines:
        return lines
    place = escape(contact["location"])
    return (_filled("ADR", f";;;{place};;;") if place else []) + kept.named("ADR")[1:]


def _changed_values(
    name: str, values: Sequence[Labelled], version: Version, kept: _Kept
) -> list[Line]:
    """What the contact has now, and what of its card nobody could read."""
    lines, texts = kept.unread(name)
    unread = [Labelled.read(text) for text in texts]
    return [
        *_written(name, values, version, kept.groups),
        *lines,
        *_written(name, unread, version, kept.groups, as_they_stood=True),
    ]


def _written(
    name: str,
    values: Sequence[Labelled],
    version: Version,
    groups: set[str],
    *,
    as_they_stood: bool = False,
) -> list[Line]:
    """EMAIL or TEL lines: known labels as TYPE, others as X-ABLabel of a group (as Apple does)."""
    lines: list[Line] = []
    number = 0
    for one in values:
        value, label = one.value, one.label
        params: dict[str, list[str]] = {}
        if as_they_stood:
            value = escape(value)
        elif name == "TEL":
            found = EXTENSION.fullmatch(label)
            extension, label = (found[2], found[1] or "") if found else ("", label)
            if version == "4.0":
                params["VALUE"] = ["uri"]
                value = f"tel:{value}" + (f";ext={extension}" if extension else "")
            elif extension:
                value = f"{value} ext. {extension}"
        words = label.split(" ") if label else []
        if len(set(words)) == len(words) and set(words) <= _TYPES[name]:
            lines.append(Line(name, value, params | ({"TYPE": words} if words else {})))
            continue
        number += 1
        while f"item{number}" in groups:
            number += 1
        groups.add(f"item{number}")
        lines.append(Line(name, value, params, f"item{number}"))
        lines.append(Line("X-ABLABEL", escape(label), {}, f"item{number}"))
    return lines


def converted(line: Line, version: Version) -> Line:
    """A line of the other version in the terms of this one: preference, numbers, pictures."""
    params = {key: list(values) for key, values in line.params.items()}
    types, value = line.types(), line.value
    binary = line.name in _BINARY
    if version == "4.0":
        if "pref" in types:
            params["PREF"] = ["1"]
        types = [word for word in types if word not in ("pref", "internet")]
        if binary and "ENCODING" in params:
            del params["ENCODING"]
            kind = "audio" if line.name == "SOUND" else "image"
            value = f"data:{kind}/{types[0] if types else 'jpeg'};base64,{value}"
            types = []
    else:
        preference = params.pop("PREF", [])
        if preference[:1] == ["1"] and "pref" not in types:
            types.append("pref")
        if line.name == "TEL" and value.lower().startswith("tel:"):
            params.pop("VALUE", None)
            value = value[len("tel:") :].replace(";ext=", " ext. ")
        found = _DATA.match(value) if binary else None
        if found:
            params.pop("VALUE", None)
            params["ENCODING"], types = ["b"], [found[1].upper()]
            value = value[found.end() :]
    params["TYPE"] = types
    return replace(line, value=value, params=params)
