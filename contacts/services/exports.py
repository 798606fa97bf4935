"""Contacts as files, streamed: a batch at a time, each in a scope of its own."""

import uuid
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from config.lib.cursor import page
from config.lib.scope import workspace_scope
from contacts.models import Contact
from contacts.selectors_contacts import ContactFilter, list_contacts, shown
from contacts.services.addresses import Labelled, workspace_region
from contacts.services.sheets import write_header, write_row
from contacts.services.vcards import Version, write_card

# Each may bring a raw card of a megabyte.
BATCH = 50
_COLUMNS = [field.attname for field in Contact._meta.concrete_fields]


class FileFormat(StrEnum):
    VCARD3 = "vcard3"
    VCARD4 = "vcard4"
    CSV = "csv"

    @property
    def content_type(self) -> str:
        return f"text/{'csv' if self is FileFormat.CSV else 'vcard'}; charset=utf-8"

    @property
    def ending(self) -> str:
        return "csv" if self is FileFormat.CSV else "vcf"


def export_contacts(
    *, workspace_id: uuid.UUID, wanted: ContactFilter, wanted_format: FileFormat
) -> Iterator[bytes]:
    """The file's parts. Outside any scope; the first part is made at once, so that a filter which
    cannot be read raises here and not in the middle of an answer."""
    parts = contact_parts(workspace_id, wanted, wanted_format)
    first = next(parts, b"")

    def all_parts() -> Iterator[bytes]:
        yield first
        yield from parts

    return all_parts()


def contact_parts(
    workspace_id: uuid.UUID, wanted: ContactFilter, wanted_format: FileFormat
) -> Iterator[bytes]:
    """The same, all of it only when it is read: for an answer that is made inside a scope."""
    cursor: str | None = None
    head = write_header() if wanted_format is FileFormat.CSV else ""
    while True:
        with workspace_scope(workspace_id):
            rows, order = list_contacts(wanted)
            found, cursor = page(rows.defer(None), order=order, cursor=cursor, limit=BATCH)
            text = head + "".join(_written(found, wanted_format))
        head = ""
        yield text.encode()
        if cursor is None:
            return


def _written(rows: list[Contact], wanted_format: FileFormat) -> Iterator[str]:
    if wanted_format is FileFormat.CSV:
        yield from (write_row(contact) for contact in _whole(rows))
        return
    version: Version = "3.0" if wanted_format is FileFormat.VCARD3 else "4.0"
    region = workspace_region()
    for contact in _whole(rows):
        yield write_card(contact, version=version, raw=contact["vcard"], region=region)


def _whole(rows: list[Contact]) -> list[dict[str, Any]]:
    found = shown(rows, [*_COLUMNS, "emails", "phones", "tags"])
    for contact in found:
        contact["emails"] = [Labelled(one["email"], one["label"]) for one in contact["emails"]]
        contact["phones"] = [Labelled(one["number"], one["label"]) for one in contact["phones"]]
    return found


def card_of(contact: Contact, version: Version) -> str:
    """One contact as a card, in the current scope."""
    (whole,) = _whole([contact])
    return write_card(whole, version=version, raw=contact.vcard, region=workspace_region())
