"""Reads of memories. Search has a package of its own; how much there is says stats.py.

Lists are values() rows with the columns that lists show; each says which index serves it.
"""

import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from django.db.models import F, Q, QuerySet

from config.lib.db.lookup import find_row
from memory.models import Evidence, Memory, MemoryAbout, MemoryLink
from memory.models.links import Relation
from memory.models.memory import MemoryState
from memory.schemas import MemoryRow
from memory.services.about import about_of
from memory.services.memories import MAX_LINKS
from sessions.selectors import columns

Rows = QuerySet[Any, dict[str, Any]]


class MemoryFilter(TypedDict, total=False):
    """What a list of memories can be narrowed by; None and absent ask for nothing."""

    kinds: Sequence[str] | None
    states: Sequence[str] | None
    trust: str | None
    agent_id: uuid.UUID | None
    session_id: uuid.UUID | None
    project_id: uuid.UUID | None
    about_contact_id: uuid.UUID | None
    about_project_id: uuid.UUID | None
    about_task_id: uuid.UUID | None
    tags: Sequence[str] | None
    pinned: bool | None
    since: datetime | None
    until: datetime | None


_ABOUT = ("about_contact_id", "about_project_id", "about_task_id")
_LOOKUPS = {
    "kinds": "kind__in",
    "states": "state__in",
    "tags": "tags__contains",
    "since": "recorded_at__gte",
    "until": "recorded_at__lt",
}


def list_memories(wanted: MemoryFilter) -> Rows:
    """In the order ["-recorded_at", "-id"]. Index memory_list, or memory_kind, memory_state,
    memory_agent, memory_session, memory_project under that filter, or memoryabout_contact,
    memoryabout_project, memoryabout_task; the others are checked on the rows that these give."""
    conditions: dict[str, Any] = {_LOOKUPS.get(k, k): v for k, v in wanted.items() if v is not None}
    rows = Memory.objects.all()
    for name in _ABOUT:
        if name in conditions:
            # Each is a row of its own: one filter for all would ask for one row about all.
            rows = rows.filter(**{f"about__{name.removeprefix('about_')}": conditions.pop(name)})
    if "tags__contains" in conditions:
        # As they are stored: see services.memories.
        folded = [unicodedata.normalize("NFC", tag).strip() for tag in conditions["tags__contains"]]
        conditions["tags__contains"] = folded
    return rows.filter(**conditions).values(*columns(Memory, MemoryRow))


def list_known(contact_id: uuid.UUID) -> Rows:
    """Active memories about a contact, in the order ["-id"]. Index memoryabout_contact."""
    shown = {f"memory_{name}": F(f"memory__{name}") for name in columns(Memory, MemoryRow)}
    rows = MemoryAbout.objects.filter(contact_id=contact_id, memory__state=MemoryState.ACTIVE)
    # Django has `memory_id` already.
    del shown["memory_id"]
    return rows.values("id", "memory_id", **shown)


def known_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What list_known gives, as schemas.KnownOut."""
    names = columns(Memory, MemoryRow)
    return [
        {name: row[f"memory_{name}"] for name in names}
        | {"spoken_of_at": row["memory_recorded_at"]}
        for row in rows
    ]


def get_memory(text: str) -> Memory:
    """By a full or shortened id. Or NotFound."""
    return find_row(Memory.objects.all(), text)


def links_of(memory_id: uuid.UUID) -> QuerySet[MemoryLink]:
    """In both directions, in the order ["id"]. Indexes memorylink_unique, memorylink_target."""
    return MemoryLink.objects.filter(Q(source_id=memory_id) | Q(target_id=memory_id)).order_by("id")


def context_of(memory: Memory) -> dict[str, Any]:
    """{parents, causes, links, evidence, about} of a memory: three queries. Index evidence_memory,
    and those of about_of."""
    links = list(links_of(memory.id)[:MAX_LINKS])
    own = [link for link in links if link.source_id == memory.id]
    return {
        "parents": [link.target_id for link in own if link.relation == Relation.PARENT],
        "causes": [link.target_id for link in own if link.relation == Relation.CAUSE],
        "links": links,
        "evidence": list(Evidence.objects.filter(memory_id=memory.id).order_by("id")),
        "about": [
            {"contact": row.contact_id, "project": row.project_id, "task": row.task_id}
            for row in about_of(memory.id)
        ],
    }
