"""Contacts from files: each card or row updates the contact it is of, or makes one.

A card is of a contact by its UID, else by an email, else by a number; never by its name alone. A
row of a sheet first by its own id or external id. What of one cannot be read, or is longer than is
kept, is left out of it and reported; a card or row that cannot be taken is reported with its place
while the rest goes in.
"""

from contacts.services.imports.files import (
    Read,
    Region,
    cards_here,
    import_sheet,
    import_vcards,
    read_cards,
    ready_cards,
    take_cards,
)
from contacts.services.imports.report import LeftOut, Refused, Report, Taken

__all__ = [
    "LeftOut",
    "Read",
    "Refused",
    "Region",
    "Report",
    "Taken",
    "cards_here",
    "import_sheet",
    "import_vcards",
    "read_cards",
    "ready_cards",
    "take_cards",
]
