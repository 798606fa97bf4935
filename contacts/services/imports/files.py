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
from contacts.services.imports.taking import make_ready, take_all
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
class Region:
    """Whose numbers without a plus are a workspace's, as it was when somebody asked."""

    code: str | None


@dataclass(slots=True)
class Read:
    """Cards as they were read, and those that are none; `region` is that for which they are ready
    to be taken."""

    cards: list[New]
    refused: list[Refused]
    region: Region | None = None


def read_cards(pieces: Sequence[Piece]) -> Read:
    """Some cards of a file. A card that nothing tells from others is known by its own text. Touches
    no database."""
    report = Report()
    return Read(known_by_text(read_pieces(pieces, report), bare=True), report.refused)


def ready_cards(pieces: Sequence[Piece], region: Region, workspace_id: uuid.UUID) -> Read:
    """The same, with all that can be done before they are taken. Touches no database."""
    read = read_cards(pieces)
    make_ready(read.cards, region.code, workspace_id)
    read.region = region
    return read


def take_cards(
    *, actor: Actor, pieces: Sequence[Piece], read: Read | None, seen: dict[uuid.UUID, str]
) -> tuple[Report, Region]:
    """Some cards of a file of any size, in the caller's transaction; (what came of them, the
    workspace's region). `seen` begins empty and is passed on from call to call: it holds whom the
    file has named, so that two cards of one file stay two people. `read` are the pieces' cards,
    where those are at hand; they are taken once."""
    region = Region(workspace_region())
    if read is None or read.region not in (None, region):
        read = read_cards(pieces)
    report = Report()
    report.refused += read.refused
    take_all(actor, read.cards, report, False, seen, ready=read.region is not None)
    return report, region


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
