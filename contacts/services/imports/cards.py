"""Cards with their places, read and brought to the form in which they are stored and compared."""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from config.lib.errors import DomainError, Invalid
from contacts.services.addresses import (
    Labelled,
    Unreadable,
    read_email,
    readable_emails,
    readable_phones,
    text_of,
)
from contacts.services.contacts import NewContact
from contacts.services.fitting import Shortened
from contacts.services.imports.report import LeftOut, Refused, Report
from contacts.services.unreadable import KINDS, but, texts_of
from contacts.services.vcards import Card, Piece, fit, read_card

# Of a text that is no address, in a report.
SHOWN = 80
# By whether it is a card or a line of a sheet: (what is missing, why that refuses it).
_NOBODY = {
    True: ("FN", "is missing, and so are N, ORG and an EMAIL or TEL that can be read: the card "
           "names nobody"),
    False: ("name", "is missing, and so are company and an email or phone that can be read: the "
            "row names nobody"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Addresses:
    """Those of a card, by `emails` and `phones`: as they stand there, what could be read, in the
    form in which it is stored, and what could not; and which labels are longer than is stored."""

    given: Mapping[str, Sequence[Labelled]]
    read: Mapping[str, list[Labelled]]
    unreadable: Mapping[str, list[Unreadable]]
    shortened: Sequence[Shortened] = ()

    def stood(self, name: str) -> set[str]:
        """The text of each."""
        return {text_of(one) for one in self.given[name]}

    def texts(self, name: str) -> list[str]:
        """Of those that could not be read, each once."""
        return list(dict.fromkeys(one.text for one in self.unreadable[name]))


@dataclass(slots=True)
class New:
    """A card with its place, and what a sheet says beside it. `left_out` is what `normalise` could
    not read of it, `shortened` what it took a part of; `problem` is why it refused the card, and
    `made` the contact that the card becomes where it is a new one, both where it was made ready
    before (taking.py)."""

    place: int
    line: int
    card: Card
    given: dict[str, Any] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)
    addresses: Addresses = field(default_factory=lambda: Addresses({}, {}, {}))
    left_out: Sequence[LeftOut] = ()
    shortened: Sequence[LeftOut] = ()
    problem: DomainError | None = None
    made: NewContact | None = None


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


def known_by_text(cards: Iterable[New], *, bare: bool = False) -> list[New]:
    """Those that nothing tells from others get an external id of their text: without UID, and with
    no address that can be read whatever the workspace's region is, so that they are found again
    after it was set. `bare`: those without any address too."""
    found = []
    for new in cards:
        card = new.card
        addressed = bool(card.emails or card.phones)
        named = card.uid or "external_id" in new.known
        if not named and (addressed or bare) and not (addressed and _tells(card)):
            text = card.raw.encode("utf-8", "surrogatepass") if card.raw else orjson.dumps(card)
            kind, source = ("card", "vcard") if card.raw else ("row", "csv")
            own = {"source": source, "external_id": f"{kind}:{hashlib.sha256(text).hexdigest()}"}
            new.known = own | dict(new.known)
        found.append(new)
    return found


def _tells(card: Card) -> bool:
    for one in card.emails:
        with contextlib.suppress(ValueError):
            read_email(one.value)
            return True
    return any(readable_phones([one], None)[0] for one in card.phones)


def normalise(new: New, region: str | None) -> None:
    """In place. What cannot be read of its addresses is left out of them, and texts are shortened
    to what is kept. Raises Invalid, Conflict for what cannot be stored, and for who has neither a
    name nor an address."""
    card = new.card
    new.addresses = found = read_addresses(card, region)
    unreadable = [one for name in KINDS for one in found.unreadable[name]]
    card.emails, card.phones = found.read["emails"], found.read["phones"]
    card.name = name_of(card)
    if not card.name:
        field_name, why = _NOBODY[bool(card.raw)]
        raise Invalid({field_name: why} | {one.field: one.why for one in unreadable})
    for name in ("name", "company", "role", "location", "relationship"):
        setattr(card, name, " ".join(getattr(card, name).split()))
    if any(ord(character) < 32 for character in card.uid):
        raise Invalid({"UID": "holds control characters"})
    new.left_out = left_out_of(found)
    new.shortened = said([*fit(card), *found.shortened])


def said(shortened: Iterable[Shortened]) -> list[LeftOut]:
    """As reports have it."""
    return [LeftOut(one.field, _shown(one.text), one.why) for one in shortened]


def read_addresses(card: Card, region: str | None, passed: object = None) -> Addresses:
    """Of a card as it stands, but for what is in `passed`: what is unreadable of a contact, or was
    dismissed in it."""
    given = {"emails": card.emails, "phones": card.phones}
    cut: list[Shortened] = []
    emails, bad_emails = readable_emails(but(given["emails"], texts_of(passed, "emails")), cut)
    phones, bad_phones = readable_phones(
        but(given["phones"], texts_of(passed, "phones")), region, cut
    )
    read, bad = {"emails": emails, "phones": phones}, {"emails": bad_emails, "phones": bad_phones}
    return Addresses(given, read, bad, cut)


def pass_over(new: New, region: str | None, dismissed: object) -> None:
    """In place: a card that `normalise` read, without what was dismissed in its contact."""
    if not any(new.addresses.stood(name).intersection(texts_of(dismissed, name)) for name in KINDS):
        return
    card, given, left = new.card, new.addresses.given, new.addresses.unreadable
    card.emails, card.phones = list(given["emails"]), list(given["phones"])
    found = read_addresses(card, region, dismissed)
    card.emails, card.phones = found.read["emails"], found.read["phones"]
    # Their places are those of the card as it stands.
    kept = {name: [one for one in left[name] if one.text in found.texts(name)] for name in KINDS}
    new.addresses = replace(found, unreadable=kept)
    new.left_out = left_out_of(new.addresses)


def left_out_of(addresses: Addresses) -> list[LeftOut]:
    """As reports have it."""
    unreadable = [one for name in KINDS for one in addresses.unreadable[name]]
    return [LeftOut(one.field, _shown(one.text), one.why) for one in unreadable]


def name_of(card: Card) -> str:
    """Of a card whose addresses are read: who has no other name is called by the first of them."""
    return card.name or next((one.value for one in (*card.emails, *card.phones)), "")


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
