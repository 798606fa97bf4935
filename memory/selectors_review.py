"""What waits for a reviewer: memories in quarantine, proposed by a model, hardly believed, or
contradicted by another one in use.

Each leg is read to a limit by an index that it names, so that the queue costs the same with fifty
memories waiting and with fifty thousand. What a person has vouched for waits no more.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet, Value

from contacts.models import Revision
from memory.models import Memory, MemoryLink
from memory.models.links import Relation
from memory.models.memory import MODEL_METHOD, UNSURE_BELOW, UNVOUCHED, MemoryState

# What is read of each leg. Nobody decides more than that before the page is read again.
WINDOW = 200
BADGE = 99


class Why(StrEnum):
    """Why a memory waits, in the order in which the page offers them."""

    PROPOSED = "proposed"
    QUARANTINED = "quarantined"
    CONTRADICTING = "contradicting"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class ReviewFilter:
    """What the queue is narrowed by; None and empty ask for nothing. `key` is the id of the API key
    that saved them, `source` the method that made them or else the system they were taken from."""

    agent: uuid.UUID | None = None
    key: uuid.UUID | None = None
    session: uuid.UUID | None = None
    source: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One that waits, with what the page's filters show of it."""

    id: uuid.UUID
    recorded_at: datetime
    why: Why
    kind: str
    agent: tuple[str, str] | None
    session: tuple[str, str] | None
    source: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a filter and how many of those that were read have it."""

    value: str
    label: str
    count: int


@dataclass(slots=True)
class Queue:
    """Longest waiting first. `more` names the legs that have more than were read."""

    entries: list[Entry] = field(default_factory=list)
    counts: dict[Why, int] = field(default_factory=dict)
    # Of all legs: one memory may wait for two reasons.
    total: int = 0
    more: set[Why] = field(default_factory=set)

    @property
    def agents(self) -> list[Choice]:
        return _choices(one.agent for one in self.entries)

    @property
    def sessions(self) -> list[Choice]:
        return _choices(one.session for one in self.entries)

    @property
    def sources(self) -> list[Choice]:
        return _choices((one.source, one.source) if one.source else None for one in self.entries)

    @property
    def kinds(self) -> list[Choice]:
        return _choices((one.kind, one.kind.replace("_", " ")) for one in self.entries)


def review_queue(wanted: ReviewFilter, why: Why | None = None) -> Queue:
    """What waits, at most WINDOW of each leg. One query; the legs say by which index."""
    shown = {
        "agent_name": F("agent__name"),
        "session_name": F("session__name"),
    }
    columns = ("id", "recorded_at", "kind", "agent_id", "session_id", "method", "source")
    legs = [
        _narrowed(rows, wanted)
        .order_by("recorded_at", "id")
        .values(*columns, **shown, why=Value(name.value, output_field=CharField()))[: WINDOW + 1]
        for name, rows in _legs(WINDOW + 1).items()
    ]
    queue = Queue(counts=dict.fromkeys(Why, 0))
    seen: set[uuid.UUID] = set()
    everything: set[uuid.UUID] = set()
    found = legs[0].union(*legs[1:], all=True).order_by("recorded_at", "id")
    for row in found:
        name = Why(row["why"])
        if queue.counts[name] == WINDOW:
            queue.more.add(name)
            continue
        queue.counts[name] += 1
        # One may be hardly believed and contradicted as well.
        everything.add(row["id"])
        if (why is None or name == why) and row["id"] not in seen:
            seen.add(row["id"])
            queue.entries.append(_entry(row))
    queue.total = len(everything)
    return queue


def waiting_count() -> int:
    """How many wait, counted to BADGE + 1. One query."""
    return waiting(BADGE + 1)[: BADGE + 1].count()


def waiting(most: int) -> QuerySet[Memory, Any]:
    """The ids of what waits, `most` of each leg."""
    legs = [rows.values("id")[:most] for rows in _legs(most).values()]
    return legs[0].union(*legs[1:])


def _legs(most: int) -> dict[Why, QuerySet[Memory]]:
    """Indexes memory_proposed, memory_quarantined, memorylink_contradicts, memory_unsure. Of
    undecided contradictions the latest `most` are looked at; decided ones are passed over on the
    way, and those are as many as people have decided."""
    waiting = Memory.objects.filter(state=MemoryState.QUARANTINED)
    by_model = Q(method__startswith=MODEL_METHOD)
    in_use = Memory.objects.filter(state=MemoryState.ACTIVE, trust__in=UNVOUCHED)
    links = (
        MemoryLink.objects.filter(
            relation=Relation.CONTRADICTS,
            source__state=MemoryState.ACTIVE,
            target__state=MemoryState.ACTIVE,
        )
        .exclude(metadata__has_key="decided")
        .order_by("-id")
    )
    either = (
        links.filter(source__trust__in=UNVOUCHED)
        .values("source_id")[:most]
        .union(
            links.filter(target__trust__in=UNVOUCHED).values("target_id")[:most],
            # A person vouched for both: it is asked of the newer one.
            links.filter(metadata__vouched=True).values("source_id")[:most],
        )
    )
    everyone = Memory.objects.filter(state=MemoryState.ACTIVE)
    return {
        Why.PROPOSED: waiting.filter(by_model),
        Why.QUARANTINED: waiting.exclude(by_model),
        Why.CONTRADICTING: everyone.filter(pk__in=either),
        Why.UNSURE: in_use.filter(confidence__lt=UNSURE_BELOW),
    }


def _narrowed(rows: QuerySet[Memory], wanted: ReviewFilter) -> QuerySet[Memory]:
    if wanted.agent is not None:
        rows = rows.filter(agent_id=wanted.agent)
    if wanted.session is not None:
        rows = rows.filter(session_id=wanted.session)
    if wanted.kind:
        rows = rows.filter(kind=wanted.kind)
    if wanted.source:
        rows = rows.filter(Q(method=wanted.source) | Q(method="", source=wanted.source))
    if wanted.key is not None:
        rows = rows.filter(_saved_by(wanted.key))
    return rows


def _saved_by(key_id: uuid.UUID) -> Exists:
    """Index revision_object, once for each that waits: a key may have written a million others."""
    return Exists(
        Revision.objects.filter(
            object_id=OuterRef("pk"),
            action="create",
            actor_kind="key",
            actor_id=str(key_id),
        )
    )


def _entry(row: dict[str, Any]) -> Entry:
    agent, session = row["agent_id"], row["session_id"]
    return Entry(
        id=row["id"],
        recorded_at=row["recorded_at"],
        why=Why(row["why"]),
        kind=row["kind"],
        agent=(str(agent), row["agent_name"]) if agent else None,
        session=(str(session), row["session_name"] or f"Session {str(session)[-12:]}")
        if session
        else None,
        source=row["method"] or row["source"],
    )


def _choices(values: Iterable[tuple[str, str] | None]) -> list[Choice]:
    counted = Counter(value for value in values if value is not None)
    return [
        Choice(value, label, count)
        for (value, label), count in sorted(counted.items(), key=lambda one: (-one[1], one[0][1]))
    ]


def around(entries: Sequence[Entry], at: int, *, before: int, after: int) -> list[Entry]:
    """Those beside one of them in the queue."""
    return list(entries[max(0, at - before) : at + after + 1])
