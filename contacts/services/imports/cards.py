"""Cards with their places, read and brought to the form in which they are stored and compared."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.lib.errors import Invalid
from contacts.services.addresses import normal_emails, normal_phones, normal_tags
from contacts.services.imports.report import Refused, Report
from contacts.services.vcards import Card, Piece, read_card

FIELDS = ("name", "company", "role", "location", "relationship", "description", "notes")


@dataclass(slots=True)
class New:
    """A card with its place, and what a sheet says beside it."""

    place: int
    line: int
    card: Card
    given: dict[str, Any] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)


def read_pieces(pieces: Iterable[Piece], report: Report) -> Iterator[New]:
    """Whole cards; what is none is refused."""
    for piece in pieces:
        if piece.problem:
            report.refused.append(Refused(piece.place, piece.line, "", {"card": piece.problem}))
            continue
        try:
            yield New(piece.place, piece.line, read_card(piece.text))
        except Invalid as error:
            report.refused.append(Refused(piece.place, piece.line, "", error.errors))


def known_by_text(cards: Iterable[New]) -> list[New]:
    """Cards without UID, email and number get an external id of their text."""
    found = []
    for new in cards:
        card = new.card
        if not (card.uid or card.emails or card.phones):
            digest = hashlib.sha256(card.raw.encode("utf-8", "surrogatepass")).hexdigest()
            new.known = {"source": "vcard", "external_id": f"card:{digest}"}
        found.append(new)
    return found


def normalise(card: Card, region: str | None) -> None:
    """In place. Raises Invalid, Conflict for what cannot be stored."""
    card.emails, card.phones = normal_emails(card.emails), normal_phones(card.phones, region)
    card.tags = normal_tags(card.tags)
    for name in ("name", "company", "role", "location", "relationship"):
        setattr(card, name, " ".join(getattr(card, name).split()))
    if any(ord(character) < 32 for character in card.uid):
        raise Invalid({"UID": "holds control characters"})
