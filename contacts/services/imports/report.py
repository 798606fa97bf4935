"""What became of the cards of a file."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Action = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was not taken of a card that was: its place (phones[0].number, company), its text,
    shortened, and why, and what to do."""

    field: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one card. `matched_by` is id, external_id, uid, email or phone, or empty.
    `left_out` are texts that stand for addresses and are none; `shortened` is of what more was
    there than is kept."""

    place: int
    line: int
    name: str
    action: Action
    contact_id: uuid.UUID
    matched_by: str = ""
    left_out: Sequence[LeftOut] = ()
    shortened: Sequence[LeftOut] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A card that was not taken, and why, by property or field."""

    place: int
    line: int
    name: str
    errors: Mapping[str, str]


@dataclass(slots=True)
class Report:
    taken: list[Taken] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)

    def count(self, action: Action) -> int:
        return sum(one.action == action for one in self.taken)

    @property
    def left_out(self) -> int:
        """How many addresses of cards that were taken."""
        return sum(len(one.left_out) for one in self.taken)

    @property
    def shortened(self) -> int:
        """How many texts of cards that were taken."""
        return sum(len(one.shortened) for one in self.taken)
