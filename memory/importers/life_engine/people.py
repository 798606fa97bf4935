"""What a life engine's contacts become."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from contacts.models import Contact
from contacts.services.addresses import (
    Labelled,
    folded,
    folded_tag,
    read_email,
    read_phone,
)
from memory.importers.life_engine.parts import NO_NAME, Row, notes_of, without_none
from memory.importers.problems import Code
from memory.importers.rows import Draft, Entry
from memory.importers.values import Fields, short, without_empty

# The engine's numbers are of the country it was made in.
REGION = "US"


def contact(row: Row, tags: Sequence[Any], twins: Mapping[str, Sequence[str]]) -> Entry:
    """A contact with its tags. `twins` are others with the same email or phone, by which."""
    f = Fields(row)
    key = f.text("id")
    name = folded(f.text("name", 300))
    if not name:
        f.find(Code.EMPTY, "it has no name", f"became {NO_NAME}")
    emails, bad_email = _email(f)
    phones, bad_phone = _phone(f)
    for what, others in twins.items():
        f.find(Code.SAME_PERSON, f"its {what} is also that of {', '.join(others[:5])}",
               "not merged; look at the duplicates")  # fmt: skip
    created = f.time("created_at")
    draft = Draft(
        Contact,
        key,
        without_none(
            name=name or NO_NAME,
            company=folded(f.text("company", 300)),
            role=folded(f.text("role", 200)),
            location=folded(f.text("location", 300)),
            description=f.text("description", 100_000),
            relationship=folded(f.text("relationship", 200)),
            notes=notes_of(f),
            last_contact_at=f.time("last_contact_date"),
            pinned=f.flag("pinned"),
            created_at=created,
            metadata=without_empty(
                email=bad_email,
                phone=bad_phone,
                value_exchange=f.text("value_exchange"),
                imessage_count=f.number("imessage_count", 0) or None,
                macos_contact_id=f.text("macos_contact_id"),
                source=f.text("source"),
                last_contact_date=f.text("last_contact_date"),
            ),
        ),
        parts=without_empty(emails=emails, phones=phones, tags=_tags(f, tags)),
        also=Counter({"contact_tags": len(tags)} if tags else {}),
    )
    return Entry("contacts", key, [draft], findings=f.findings, at=created)


def _email(f: Fields) -> tuple[list[Labelled], str]:
    """(emails, what was there instead)."""
    given = f.text("email")
    if not given.strip():
        return [], ""
    try:
        return [Labelled(read_email(given))], ""
    except ValueError as error:
        f.find(Code.BAD_VALUE, f"email {short(given)} {error}", "kept as text in metadata")
        return [], given


def _phone(f: Fields) -> tuple[list[Labelled], str]:
    given = f.text("phone")
    if not given.strip():
        return [], ""
    try:
        number, extension = read_phone(given, REGION)
    except ValueError as error:
        f.find(Code.BAD_VALUE, f"phone {short(given)} {error}", "kept as text in metadata")
        return [], given
    return [Labelled(number, f"ext. {extension}" if extension else "")], ""


def _tags(f: Fields, tags: Sequence[Any]) -> list[str]:
    found: dict[str, str] = {}
    for tag in tags:
        given = "" if tag is None else str(tag)
        name = folded_tag(given.replace(",", " ").replace(";", " "))
        if not name:
            f.find(Code.EMPTY, "an empty tag", "left out")
        elif name in found:
            said = "came twice" if found[name] == given else f"differs from {found[name]!r} by case"
            f.find(Code.DUPLICATE, f"the tag {given!r:.60} {said}", "kept once")
        else:
            found[name] = given
    return sorted(found)
