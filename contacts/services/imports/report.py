"""What became of the cards of a file."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Action = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What stands for an address in a card that was taken, and is none: its place
    (phones[0].number), its text, shortened, and why it is none and what to do."""

    field: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one card. `matched_by` is id, external_id, uid, email or phone, or empty."""

    place: int
    line: int
    name: str
    action: Action
    contact_id: uuid.UUID
    matched_by: str = ""
    left_out: Sequence[LeftOut] = ()


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
