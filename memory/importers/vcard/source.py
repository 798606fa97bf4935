"""vCards as a source of the import frame: what a card is to a contact, contacts' own import knows.

Cards have identities of their own (UID, emails, numbers), so they are written by that import.
"""

import contextlib
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from config.lib.actor import Actor
from config.lib.redact import redact_text
from contacts.services.imports import (
    LeftOut,
    Read,
    Refused,
    Region,
    Taken,
    cards_here,
    read_cards,
    ready_cards,
    take_cards,
)
from contacts.services.vcards import Piece, split_cards
from memory.importers.ahead import give_way
from memory.importers.lines import check_kind
from memory.importers.problems import Code, Finding, Problem, SourceError
from memory.importers.rows import Entry, Tally
from memory.importers.source import Options
from memory.importers.storable import Storable, shown

CARDS = "cards"
# A transaction's worth, by count and by characters; it holds the workspace meanwhile.
BATCH, BATCH_CHARS = 500, 2_000_000
MAX_LINE = 1 << 20
# What became of what is not in the contact's columns.
UNREADABLE = "kept in the contact as unreadable; the next import that can read it adds it"
TOO_LONG = "the rest is left out; the contact keeps the whole card, and exports write it so"
# Of one card with its photograph; what contacts keep of it is less.
MAX_CARD = 8 << 20


class VCard:
    name = "vcard"
    title = "vCards (.vcf)"
    times = "none is carried over; a REV stays in the card as it is"

    @contextlib.contextmanager
    def open(self, where: str, scratch: Path, options: Options) -> Iterator["Reader"]:
        path = Path(where).expanduser()
        if path.is_dir():
            files = sorted(one for one in path.iterdir() if one.suffix.lower() == ".vcf")
            if not files:
                raise SourceError(f"{shown(path)} is a folder without vCards (*.vcf)")
        else:
            files = [path]
            check_kind(path, self.name)
        yield Reader(files)


VCARD = VCard()


class Reader:
    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files
        self.problems: Sequence[Problem] = ()
        self.totals: Mapping[str, int] = {CARDS: sum(1 for file in files for _ in _pieces(file))}
        # What was not taken, by file and place; its contact may be there all the same.
        self.refused: set[tuple[Path, int]] = set()

    def entries(self) -> Iterator[Entry]:
        told = _Told(self.refused)
        for file in self.files:
            batch: list[Piece] = []
            findings: list[Problem] = []
            size = 0
            for piece in _pieces(file):
                clean, found = _cleaned(piece)
                batch.append(clean)
                findings += (one.at(shown(file), piece.line) for one in found)
                size += len(clean.text)
                if len(batch) == BATCH or size >= BATCH_CHARS:
                    yield _entry(file, batch, findings, told)
                    batch, findings, size = [], [], 0
            if batch:
                yield _entry(file, batch, findings, told)


@dataclass(slots=True)
class _Told:
    """What is known from one batch to the next: whom the files have named so far, and the
    workspace's region, which only who writes can ask for. `refused` is the reader's."""

    refused: set[tuple[Path, int]]
    seen: dict[uuid.UUID, str] = field(default_factory=dict)
    region: Region | None = None


def _entry(file: Path, batch: list[Piece], findings: list[Problem], told: _Told) -> Entry:
    return Entry(CARDS, f"{shown(file)}:{batch[0].line}", work=_Cards(file, batch, findings, told))


def _said(what: LeftOut) -> str:
    return f"{what.field} {what.value!r} {what.why}"


class _Cards:
    """Some cards of a file."""

    def __init__(
        self, file: Path, pieces: list[Piece], findings: list[Problem], told: _Told
    ) -> None:
        self.file = file
        self.pieces = pieces
        self.findings = findings
        self.told = told
        self.read: Read | None = None

    def write(self, actor: Actor) -> Tally:
        seen = dict(self.told.seen)
        # What was taken is changed by it: once more, they are read anew.
        read, self.read = self.read, None
        report, region = take_cards(actor=actor, pieces=self.pieces, read=read, seen=seen)
        self.told.seen.update(seen)
        self.told.region = region
        self.told.refused.difference_update((self.file, one.place) for one in self.pieces)
        self.told.refused.update((self.file, one.place) for one in report.refused)
        outcomes = Counter(one.action for one in report.taken)
        refused = [
            self._problem(one, "; ".join(f"{n} {text}" for n, text in one.errors.items())[:300],
                          "skipped", Code.REFUSED)
            for one in report.refused
        ]  # fmt: skip
        left_out = [
            self._problem(one, _said(what), UNREADABLE, Code.BAD_VALUE)
            for one in report.taken
            for what in one.left_out
        ]
        shortened = [
            self._problem(one, _said(what), TOO_LONG, Code.TEXT_CUT)
            for one in report.taken
            for what in one.shortened
        ]
        cards = Counter({str(name): rows for name, rows in outcomes.items()})
        cards["skipped"] = len(refused)
        made = Counter({"contact": outcomes["created"]})
        return Tally({CARDS: +cards}, +made, [*self.findings, *left_out, *shortened, *refused])

    def _problem(self, one: Taken | Refused, reason: str, action: str, code: Code) -> Problem:
        return Problem(shown(self.file), one.line, reason, action, code)

    def prepare(self, workspace_id: uuid.UUID) -> None:
        region = self.told.region
        self.read = Read([], [], region)
        for piece in self.pieces:
            give_way()
            if region is None:
                one = read_cards([piece])
            else:
                one = ready_cards([piece], region, workspace_id)
            self.read.cards += one.cards
            self.read.refused += one.refused

    def texts(self) -> Iterable[str]:
        return ()

    def here(self) -> Tally:
        taken = [one for one in self.pieces if (self.file, one.place) not in self.told.refused]
        return Tally({CARDS: Counter(unchanged=cards_here(taken))})


# --- Reading --------------------------------------------------------------------------------------


def _pieces(file: Path) -> Iterator[Piece]:
    """The cards of a file in order, one at a time in memory."""
    place, first, lines, size = 0, 1, [], 0
    try:
        with open(file, "rb") as stream:
            number, whole = 1, True
            while raw := stream.readline(MAX_LINE):
                size += len(raw)
                if size <= MAX_CARD:
                    lines.append(raw)
                ended = whole and raw.strip().upper() == b"END:VCARD"
                whole = raw.endswith(b"\n")
                number += whole
                if ended:
                    for piece in _split(lines, size, first):
                        place += 1
                        yield replace(piece, place=place)
                    first, lines, size = number, [], 0
            for piece in _split(lines, size, first):
                place += 1
                yield replace(piece, place=place)
    except OSError as error:
        raise SourceError(f"{shown(file)}: {error.strerror or error}") from None


def _split(lines: Sequence[bytes], size: int, first: int) -> Iterator[Piece]:
    if size > MAX_CARD:
        yield Piece(0, first, "", f"has {size:,} bytes; at most {MAX_CARD:,} are read")
        return
    raw = b"".join(lines)
    # Lone surrogates stand for bytes that are not UTF-8, until the card is cleaned.
    for piece in split_cards(raw.decode("utf-8", "surrogateescape")):
        yield replace(piece, line=first + piece.line - 1)


def _cleaned(piece: Piece) -> tuple[Piece, list[Finding]]:
    """A card without secrets, storable. One that is not UTF-8 is of an old phone or program."""
    found: list[Finding] = []
    text = piece.text
    raw = text.encode("utf-8", "surrogateescape")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
        found.append(Finding(Code.INVALID_UTF8, "it is not UTF-8", "read as Windows-1252"))
    storable = Storable(raw_line=False)
    text = storable.text(text, limit=MAX_CARD)
    if storable.replaced:
        what = f"{storable.replaced:,} characters that cannot be stored"
        found.append(Finding(Code.TEXT_CHANGED, what, "replaced by U+FFFD"))
    clean = redact_text(text)
    if clean != text:
        found.append(Finding(Code.REDACTED, "it holds a secret", "redacted"))
    return replace(piece, text=clean), found
