"""What a source's rows become: drafts of our rows, which name others by the source's own keys.

A source yields an `Entry` for each of its rows, in any order. It knows nothing of ids and
transactions: references are names (`Ref`), and are resolved when what they name is there.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from config.lib.actor import Actor
from config.lib.db.models import WorkspaceRow
from memory.importers.problems import Finding, Problem
from sessions.services.events import NewEvent
from sessions.services.threads import NewMessage

Model = type[WorkspaceRow]


@dataclass(frozen=True, slots=True)
class Ref:
    """A row of ours by the key that the source has for it."""

    model: Model
    key: str


@dataclass(slots=True)
class Draft:
    """A row of ours: `values` of its fields, and `refs` to others by the name of the field.

    `key` is its external_id. A model without one is known by the fields in `natural`, which the
    database keeps unique. `agent` names whose it is; one of that name is made where there is none.
    `once` names fields that are set when the row is made and not compared afterwards: counters that
    go on here, and what was inferred. `parts` are what lies in rows of its own (emails, phones and
    tags of a contact). `also` counts rows of other tables that went into this one. A reference in
    `needed` that is not there leaves the whole row out. `made` is the row that it becomes where it
    is new, where that is made already.
    """

    model: Model
    key: str
    values: dict[str, Any]
    refs: dict[str, Ref] = field(default_factory=dict)
    agent: str = ""
    once: frozenset[str] = frozenset()
    natural: tuple[str, ...] = ()
    needed: frozenset[str] = frozenset()
    parts: Mapping[str, Any] = field(default_factory=dict)
    also: Counter[str] = field(default_factory=Counter)
    links: list["Link"] = field(default_factory=list)
    made: "Made | None" = None


@dataclass(slots=True)
class Made:
    """A new row with its values, and what is wrong with them by the field's path (made.py)."""

    row: WorkspaceRow
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """A memory's relation to another one, by the source's keys; `label` is the source's column."""

    relation: str
    target: str
    label: str
    metadata: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Appended:
    """Messages of a thread or events of a session, in their order. Each has a key of its own
    (native_uuid, dedupe_key), by which it is appended once. `session` is that of messages which
    another source may tell too, in a thread of its own (joined.py)."""

    to: Ref
    rows: tuple[NewEvent | NewMessage, ...]
    session: Ref | None = None


class Work(Protocol):
    """Rows that a source writes by itself, because its format has identities of its own (a
    transcript's lines). Each is one transaction, which the frame opens, and opens again where
    somebody else wrote the same rows."""

    def write(self, actor: Actor) -> "Tally":
        """Write what is new, in the frame's transaction."""

    def prepare(self, workspace_id: uuid.UUID) -> None:
        """Make what it can of its rows before they are written. Touches no database."""

    def texts(self) -> Iterable[str]:
        """What is searched for once it is written, as far as that is known before."""

    def here(self) -> "Tally":
        """What of it is there, for verification: each table's rows as `unchanged`."""


@dataclass(slots=True)
class Tally:
    """Rows of the source's tables by what came of them, our rows made, and what was found."""

    tables: dict[str, Counter[str]] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)
    problems: Iterable[Problem] = ()
    redacted: int = 0


@dataclass(slots=True)
class Entry:
    """One row of the source: what it becomes, and what was found wrong with it.

    The first draft is what the row itself becomes; others are rows it needs (a project it names).
    Without drafts and appended rows it is skipped, and a finding says why. With `work` it has
    nothing else. `number` is its place in the source, which the frame gives it.
    """

    table: str
    key: str
    drafts: list[Draft] = field(default_factory=list)
    appended: list[Appended] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    at: datetime | None = None
    work: Work | None = None
    number: int = 0

    @property
    def size(self) -> int:
        """About how many characters it holds: batches are bounded by it."""
        total = sum(_size(draft.values.values()) for draft in self.drafts)
        for appended in self.appended:
            for row in appended.rows:
                total += len(row.text if isinstance(row, NewEvent) else row.content)
        return total


def _size(values: Iterable[Any]) -> int:
    total = 0
    for value in values:
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, dict):
            total += _size(value.values())
        elif isinstance(value, (list, tuple)):
            total += _size(value)
        else:
            total += 8
    return total
