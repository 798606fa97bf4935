"""How changes of memories and golden queries are taken back."""

import uuid
from collections.abc import Mapping
from typing import Any

from config.lib.actor import Actor
from config.lib.errors import Conflict
from contacts.models import Revision
from contacts.services import funnel
from contacts.services.restoring import remade
from contacts.services.undoable import Way, no_parts, undoable
from memory.models import Evidence, GoldenQuery, Memory, MemoryLink
from memory.models.links import Relation
from memory.services import golden, memories
from memory.services.about import About, about_part, held_about, still_there
from memory.services.authority import check_restoring
from memory.services.contradictions import reopen_contradiction
from memory.services.supersession import restore


def _about(values: list[str]) -> list[About]:
    return still_there([About.read(value) for value in values])


def _parts(memory: Memory, before: Mapping[str, Any]) -> list[funnel.Part]:
    """Links with memories that are still there, the evidence, and what it is about."""
    links, evidence = _links(before.get("links", [])), before.get("evidence", [])

    def rest_on() -> None:
        # The memory must be there before what belongs to it.
        _insert([remade(Evidence, one, memory=memory) for one in evidence])

    parts = [
        funnel.Part("links", [], [_said(one) for one in links], lambda: _insert(links)),
        funnel.Part("evidence", [], evidence, rest_on),
    ]
    about = _about(before.get("about", []))
    return [*parts, about_part(memory, about)] if about else parts


def _links(kept: list[dict[str, str]]) -> list[MemoryLink]:
    ends = {uuid.UUID(one[end]) for one in kept for end in ("source", "target")}
    there = set(Memory.objects.filter(pk__in=ends).values_list("pk", flat=True))
    rows = [
        MemoryLink(
            source_id=uuid.UUID(one["source"]),
            target_id=uuid.UUID(one["target"]),
            relation=one["relation"],
        )
        for one in kept
    ]
    # One of the two ends is what is being brought back.
    return [row for row in rows if {row.source_id, row.target_id} & there]


def _said(link: MemoryLink) -> dict[str, str]:
    return {
        "source": str(link.source_id), "relation": link.relation, "target": str(link.target_id)
    }  # fmt: skip


def _insert(rows: list[Any]) -> None:
    for row in rows:
        row.save(force_insert=True)


def _unsupersede(actor: Actor, revision: Revision, reason: str) -> Memory:
    """With the link that says it, and with what was decided of a contradiction by it."""
    old = funnel.get_row(Memory, revision.object_id)
    link = MemoryLink.objects.filter(
        source_id=old.superseded_by_id, target=old, relation=Relation.SUPERSEDES
    ).first()
    if link is None:
        raise Conflict("The link that it followed from is gone.", code="changed_since")
    decided = link.metadata.get("contradiction")
    if decided is not None:
        reopen_contradiction(actor=actor, link_id=uuid.UUID(decided), reason=reason)
    else:
        restore(actor=actor, link=link, reason=reason)
    return funnel.get_row(Memory, old.pk)


def register() -> None:
    memory = Way(
        memories.update_memory,
        "memory_id",
        memories.EDITABLE,
        "memories",
        parts=_parts,
        read={"about": _about},
        held=held_about,
        follows=frozenset({"expired_at"}),
        may_restore=check_restoring,
        actions={"supersede": _unsupersede},
    )
    undoable(Memory, memory)
    query = Way(golden.update_golden, "golden_id", golden.EDITABLE, "workspace", parts=no_parts)
    undoable(GoldenQuery, query)
