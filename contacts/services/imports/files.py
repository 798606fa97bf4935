"""Files of contacts, and parts of them."""

import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from config.lib.actor import Actor
from config.lib.errors import DomainError, Invalid
from contacts.services.addresses import workspace_region
from contacts.services.imports.cards import New, known_by_text, normalise, read_pieces
from contacts.services.imports.matching import Present, find
from contacts.services.imports.report import Refused, Report
from contacts.services.imports.taking import take_all
from contacts.services.sheets import read_sheet
from contacts.services.vcards import Piece, split_cards

# What a request has time for.
MAX_CARDS = 1_000


def import_vcards(*, actor: Actor, text: str, preview: bool = False) -> Report:
    """Of a file of vCards 2.1, 3.0 or 4.0. With `preview` nothing is kept of it."""
    pieces = list(split_cards(text))
    _check_count(len(pieces), "cards")
    report = Report()
    return take_all(actor, known_by_text(read_pieces(pieces, report)), report, preview)


def import_sheet(*, actor: Actor, text: str, preview: bool = False) -> Report:
    """Of a CSV file with a header; see sheets.py for its columns."""
    report = Report()
    report.ignored_columns, rows = read_sheet(text)
    cards: list[New] = []
    for row in rows:
        _check_count(row.place, "rows")
        if row.problem:
            report.refused.append(Refused(row.place, row.line, row.card.name, row.problem))
        else:
            cards.append(New(row.place, row.line, row.card, row.given, row.known))
    return take_all(actor, known_by_text(cards), report, preview)


@dataclass(frozen=True, slots=True)
class Read:
    """Cards as they were read, and those that are none."""

    cards: list[New]
    refused: list[Refused]


def read_cards(pieces: Sequence[Piece]) -> Read:
    """Some cards of a file. A card that nothing tells from others is known by its own text. Touches
    no database."""
    report = Report()
    return Read(known_by_text(read_pieces(pieces, report), bare=True), report.refused)


def take_cards(*, actor: Actor, read: Read, seen: dict[uuid.UUID, str]) -> Report:
    """Some cards of a file of any size, in the caller's transaction; they are taken once. `seen`
    begins empty and is passed on from call to call: it holds whom the file has named, so that two
    cards of one file stay two people."""
    report = Report()
    report.refused += read.refused
    return take_all(actor, read.cards, report, False, seen)


def cards_here(pieces: Sequence[Piece]) -> int:
    """Of how many cards the contact is there."""
    region = workspace_region()
    cards = []
    for new in read_cards(pieces).cards:
        with contextlib.suppress(DomainError):
            normalise(new, region)
            cards.append(new)
    present = Present(cards)
    return sum(find(new, present, {})[0] is not None for new in cards)


def _check_count(count: int, what: str) -> None:
    if count > MAX_CARDS:
        raise Invalid({"body": f"more than {MAX_CARDS:,} {what}; send them in several parts"})
