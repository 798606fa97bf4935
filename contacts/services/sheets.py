"""CSV (RFC 4180): a sheet of contacts read, whoever wrote it, and written for people's programs.

Written with a byte order mark and CRLF, as Excel reads it. A cell that a spreadsheet would take
for a formula is written with an apostrophe before it, which reading takes away again. Lists
(emails, phones, tags) are one cell, an item a line, labels in parentheses.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from config.lib.errors import Invalid
from contacts.services.addresses import Labelled
from contacts.services.unreadable import texts_of
from contacts.services.vcards import Card

COLUMNS = (
    "id", "name", "company", "role", "location", "relationship", "description", "emails", "phones",
    "tags", "notes", "last_contact_at", "pinned", "source", "external_id", "vcard_uid",
)  # fmt: skip
MAX_CELL = 120_000
MAX_COLUMNS = 300

# What begins a formula in Excel, LibreOffice and Google Sheets (OWASP, CSV injection), after any
# apostrophes, so that one can be added and taken away again.
_FORMULA = re.compile(r"'*\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# Not within the parentheses of a label.
_SEPARATOR = re.compile(r"\s*(?:[\r\n;,]+|:::)\s*(?![^()]*\))")

# Headers of Google's, Outlook's and others' exports, as _header folds them.
_NAMES = {
    "name": ("name", "full name", "display name", "file as"),
    "first": ("first name", "given name"),
    "middle": ("middle name", "additional name"),
    "last": ("last name", "family name", "surname"),
    "prefix": ("name prefix",),
    "suffix": ("suffix", "name suffix"),
    "company": ("company", "company name", "organization", "organization name", "organisation",
                "organization 1 name"),
    "role": ("role", "job title", "position", "organization title", "organization 1 title"),
    "location": ("location", "city", "business city", "home city", "other city",
                 "address 1 city"),
    "relationship": ("relationship",),
    "description": ("description",),
    "tags": ("tags", "tag", "labels", "categories", "group membership"),
    "notes": ("notes", "note", "context notes"),
    "last_contact_at": ("last contact at", "last contact date"),
    "pinned": ("pinned",),
    "source": ("source",),
    "external_id": ("external id",),
    "vcard_uid": ("vcard uid", "uid"),
    "id": ("id",),
}  # fmt: skip
_FIELD_OF = {header: name for name, headers in _NAMES.items() for header in headers}
_PHONES = {
    "mobile phone": "cell", "mobile": "cell", "cell phone": "cell", "cell": "cell",
    "home phone": "home", "home phone 2": "home", "business phone": "work",
    "business phone 2": "work", "work phone": "work", "company main phone": "work",
    "primary phone": "", "other phone": "", "phone number": "", "telephone": "", "phone": "",
    "phones": "", "pager": "pager", "home fax": "home fax", "business fax": "work fax",
}  # fmt: skip
_EMAIL = re.compile(r"e ?mails?(?: address(?:es)?)?(?: \d+)?(?: address)?(?: value)?")
_PHONE = re.compile(r"phones? \d+(?: value)?")
_LABEL = re.compile(r"(e ?mail|phone) (\d+) (?:label|type)")
_NUMBERED = re.compile(r"(e ?mail|phone) (\d+) value")


@dataclass(slots=True)
class Row:
    """One line of a sheet. `given` are further columns of the model, `known` its identities
    {id, source, external_id}; `problem` is why it cannot be read."""

    place: int
    line: int
    card: Card
    given: dict[str, Any] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    problem: Mapping[str, str] | None = None


# --- Reading ----------------------------------------------------------------------------------


def read_sheet(text: str) -> tuple[list[str], Iterator[Row]]:
    """(columns that nothing is made of, the rows). Invalid without a header that names people."""
    text = text.removeprefix("\ufeff")
    head = text[:10_000].split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise Invalid({"header": f"cannot be read: {error}"}) from None
    if len(header) > MAX_COLUMNS:
        raise Invalid({"header": f"has {len(header)} columns; at most {MAX_COLUMNS} are read"})
    columns = [_header(name) for name in header]
    meant = [_meaning(name, columns) for name in columns]
    if not any(name in ("name", "first", "last", "company", "email") for name, _ in meant):
        raise Invalid(
            {"header": f"names none of: name, first name, last name, company, email. Ours are "
             f"{', '.join(COLUMNS)}"}
        )  # fmt: skip
    ignored = [
        name for name, (kind, _) in zip(header, meant, strict=True) if kind == "" and name.strip()
    ]
    return ignored[:50], _rows(reader, columns, meant)


def _header(name: str) -> str:
    """Without case, punctuation and accents: `E-mail 1 - Value` is `e mail 1 value`."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(re.sub(r"[^\w]+|_", " ", plain).split())


def _meaning(name: str, columns: list[str]) -> tuple[str, str]:
    """(field, label) of a column; ("", "") where it says nothing to us."""
    if name == "title":  # Outlook's is Mr. or Dr., others' what somebody does
        return ("prefix" if "job title" in columns else "role"), ""
    if name in _FIELD_OF:
        return _FIELD_OF[name], ""
    if name in _PHONES:
        return "phone", _PHONES[name]
    if _EMAIL.fullmatch(name):
        return "email", ""
    if _PHONE.fullmatch(name):
        return "phone", ""
    return ("label", "") if _LABEL.fullmatch(name) else ("", "")


def _rows(reader: Any, columns: list[str], meant: list[tuple[str, str]]) -> Iterator[Row]:
    place = 0
    line = reader.line_num + 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # Where quotes are broken nobody can tell where the next row begins.
            yield Row(place + 1, line, Card(), problem={"row": f"cannot be read: {error}; nothing "
                      "after it was read either"})  # fmt: skip
            return
        begin, line = line, reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        place += 1
        yield _row(place, begin, cells, columns, meant)


def _row(
    place: int, line: int, cells: list[str], columns: list[str], meant: list[tuple[str, str]]
) -> Row:
    row = Row(place, line, Card())
    if len(cells) > len(columns):
        row.problem = {"row": f"has {len(cells)} cells; the header has {len(columns)}"}
        return row
    values: dict[str, list[str]] = {}
    labels = _labels(cells, columns)
    for cell, column, (name, label) in zip(cells, columns, meant, strict=False):
        text = _unguarded(cell).strip()
        if not text or not name or name == "label":
            continue
        if len(text) > MAX_CELL:
            row.problem = {column: f"has {len(text):,} characters; at most {MAX_CELL:,} are read"}
            return row
        if name in ("email", "phone"):
            found = row.card.emails if name == "email" else row.card.phones
            found += _items(text, label or labels.get(column, ""))
        else:
            values.setdefault(name, []).append(text)
    _fill(row, values)
    return row


def _labels(cells: list[str], columns: list[str]) -> dict[str, str]:
    """column of a value -> what its neighbour calls it (Google: `E-mail 1 - Label`; a star is of
    the preferred one)."""
    named = {
        match.groups(): cell.strip().removeprefix("*").strip().lower()
        for cell, column in zip(cells, columns, strict=False)
        if (match := _LABEL.fullmatch(column))
    }
    return {
        column: named.get(match.groups(), "")
        for column in columns
        if (match := _NUMBERED.fullmatch(column))
    }


def _items(text: str, label: str) -> list[Labelled]:
    found = [Labelled.read(part) for part in _SEPARATOR.split(text) if part.strip()]
    return [Labelled(one.value, one.label or label) for one in found]


def _fill(row: Row, values: Mapping[str, list[str]]) -> None:
    def first(name: str) -> str:
        return values.get(name, [""])[0]

    card = row.card
    parts = " ".join(first(n) for n in ("prefix", "first", "middle", "last", "suffix")).split()
    card.company = first("company")
    card.name = first("name") or " ".join(parts) or card.company
    for name in ("role", "location", "relationship", "description"):
        setattr(card, name, first(name))
    card.notes = "\n\n".join(values.get("notes", []))
    card.uid = first("vcard_uid")
    tags = (tag for text in values.get("tags", ()) for tag in _SEPARATOR.split(text))
    card.tags = [tag.removeprefix("* ") for tag in tags]
    row.known = {name: first(name) for name in ("id", "source", "external_id") if first(name)}
    problems: dict[str, str] = {}
    if first("pinned"):
        word = first("pinned").casefold()
        row.given["pinned"] = word in ("true", "yes", "1")
        if word not in ("true", "yes", "1", "false", "no", "0"):
            problems["pinned"] = "must be true or false"
    if first("last_contact_at"):
        try:
            moment = datetime.fromisoformat(first("last_contact_at"))
            if moment.tzinfo is None:
                raise ValueError("a time without a zone")
            row.given["last_contact_at"] = moment
        except ValueError:
            problems["last_contact_at"] = (
                "must be an RFC 3339 time with a zone, such as 2026-01-31T12:00:00Z"
            )
    row.problem = problems or None


# --- Writing ----------------------------------------------------------------------------------


def write_header() -> str:
    return "\ufeff" + write_cells(COLUMNS)


def write_row(contact: Mapping[str, Any]) -> str:
    """`contact` has the columns of the model and {emails, phones} as Labelled, {tags}. What could
    not be read of its addresses is beside them, as it stood."""
    spoken = contact["last_contact_at"]
    unreadable = contact.get("unreadable")
    cells = {
        **contact,
        "emails": _lines_of(contact["emails"], texts_of(unreadable, "emails")),
        "phones": _lines_of(contact["phones"], texts_of(unreadable, "phones")),
        "tags": "\n".join(contact["tags"]),
        "last_contact_at": spoken.isoformat() if spoken else "",
        "pinned": "true" if contact["pinned"] else "false",
    }
    return write_cells([str(cells[name]) for name in COLUMNS])


def _lines_of(values: Iterable[Labelled], unreadable: Iterable[str]) -> str:
    return "\n".join([*(str(one) for one in values), *unreadable])


def write_cells(cells: Iterable[Any]) -> str:
    """A line of a sheet; texts that a spreadsheet would take for formulas are made texts."""
    buffer = io.StringIO(newline="")
    guarded = (_guarded(cell) if isinstance(cell, str) else cell for cell in cells)
    csv.writer(buffer, lineterminator="\r\n").writerow(guarded)
    return buffer.getvalue()


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
