"""Memories that cannot both hold: found by rules, proposed to people, decided by one of them.

A job compares a new memory with what is near it in meaning and with what shares its rarest words.
What contradicts it is linked (`contradicts`, from the newer to the older) and waits for review;
nothing leaves use by that. The link's metadata says by which rule and in which words the two
differ, and later what was decided. Rules: memory/learning/contradictions.py. Where a language model
is asked about what the rules leave: judgements.py.
"""

import uuid
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from django.db.models import Q, QuerySet

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict
from contacts.services import funnel
from memory.learning.contradictions import Contradiction, contradiction, telling_words
from memory.models import Memory, MemoryLink
from memory.models.links import Relation
from memory.models.memory import UNVOUCHED, Kind, MemoryState
from memory.models.passage import PassageKind
from memory.search.filters import Filter
from memory.search.funnel import find_rows
from memory.services import supersession

JOB = Actor("system", "contradictions", "contradictions", "job")
# What says how things are. The others tell of something that happened once, and then of another.
STATING = (
    Kind.FACT,
    Kind.PREFERENCE,
    Kind.PROCEDURE,
    Kind.DECISION,
    Kind.OBSERVATION,
    Kind.INFERENCE,
    Kind.RECONCILIATION,
    Kind.SELF_DEFINITION,
    Kind.LEARNING_PATTERN,
)
IN_USE = MemoryState.ACTIVE
# By words; those near in meaning are the job's to bring (duplicates.py).
MOST_BY_WORDS, MOST_WORDS = 20, 12
# Whoever contradicts a hundred others is looked at once, not a hundred times.
MOST_PROPOSED = 3
DECIDED = "decided"


class Decision(StrEnum):
    """What a person says of a contradiction."""

    KEEP_NEWER = "keep-newer"
    KEEP_OLDER = "keep-older"
    KEEP_BOTH = "keep-both"
    DISMISS = "dismiss"


# --- Finding ----------------------------------------------------------------------------------


def propose_for(memory: Memory, near: Sequence[Memory]) -> int:
    """Link what contradicts a memory among `near` and what shares its words; how many."""
    if memory.kind not in STATING:
        return 0
    proposed = 0
    seen = {memory.pk}
    for other in [*near, *by_words(memory)]:
        if other.pk in seen or not may_contradict(memory, other):
            continue
        seen.add(other.pk)
        older, newer = sorted((memory, other), key=lambda one: (since(one), one.pk))
        found = contradiction(older.text, newer.text)
        if found is None or know_each_other(older, newer):
            continue
        _link(newer, older, found)
        proposed += 1
        if proposed == MOST_PROPOSED:
            break
    return proposed


def link_found(newer: Memory, older: Memory, rule: str, **told: Any) -> MemoryLink | None:
    """The link of a contradiction, None where somebody linked the two already, another job at the
    same moment among them."""
    if know_each_other(older, newer):
        return None
    vouched = newer.trust not in UNVOUCHED and older.trust not in UNVOUCHED
    link = MemoryLink(
        source=newer,
        target=older,
        relation=Relation.CONTRADICTS,
        # Asked of a person all the same where one has vouched for both: one of the two is wrong.
        metadata={"rule": rule, "vouched": vouched, **told},
    )
    same = MemoryLink.objects.filter(source=newer, target=older, relation=Relation.CONTRADICTS)
    found, is_new = funnel.once(same.first, lambda: funnel.create(link, actor=JOB))
    return found if is_new else None


def _link(newer: Memory, older: Memory, found: Contradiction) -> None:
    link_found(newer, older, found.rule, words=[found.older[:300], found.newer[:300]])


def since(memory: Memory) -> Any:
    return memory.valid_from or memory.recorded_at


def by_words(memory: Memory) -> list[Memory]:
    """Memories in use of the same project with its words, the rarest counting most. Index
    passage_words."""
    words = telling_words(memory.text)[:MOST_WORDS]
    if not words:
        return []
    found = find_rows(
        " ".join(words),
        Filter(
            kinds=[PassageKind.MEMORY.value],
            states=[MemoryState.ACTIVE.value],
            projects=[memory.project_id] if memory.project_id else None,
        ),
        most=MOST_BY_WORDS,
    )
    rows = Memory.objects.in_bulk(found)
    return [rows[pk] for pk in found if pk in rows]


def may_contradict(one: Memory, other: Memory) -> bool:
    """Both are in use, of one project or of none, and say how things are, at a time that both
    speak of."""
    return (
        other.kind in STATING
        and other.state == MemoryState.ACTIVE
        and one.project_id == other.project_id
        and not (one.valid_to is not None and one.valid_to <= since(other))
        and not (other.valid_to is not None and other.valid_to <= since(one))
    )


def know_each_other(one: Memory, other: Memory) -> bool:
    """Somebody linked the two, or decided about them, and so knows both. Index
    memorylink_unique."""
    ids = [one.pk, other.pk]
    return MemoryLink.objects.filter(source_id__in=ids, target_id__in=ids).exists()


# --- Deciding ---------------------------------------------------------------------------------


def undecided() -> QuerySet[MemoryLink]:
    """Those between memories in use, with both. Index memorylink_contradicts."""
    links = MemoryLink.objects.filter(
        relation=Relation.CONTRADICTS,
        source__state=MemoryState.ACTIVE,
        target__state=MemoryState.ACTIVE,
    ).exclude(metadata__has_key=DECIDED)
    return links.select_related("source", "target")


def open_contradictions(memory_id: uuid.UUID, most: int) -> list[MemoryLink]:
    """Undecided ones between a memory and others in use. Indexes memorylink_unique,
    memorylink_target."""
    links = undecided().filter(Q(source_id=memory_id) | Q(target_id=memory_id))
    return list(links.order_by("id")[:most])


def decide_contradiction(
    *, actor: Actor, link_id: uuid.UUID, decision: Decision, reason: str = ""
) -> MemoryLink:
    """Keep one (the other is superseded by it), keep both, or say that it is none: then the two
    are merely related. Either way it is not asked again. Conflict (`decided`, `not_active`)."""
    link = _locked(link_id)
    if link.relation != Relation.CONTRADICTS or DECIDED in link.metadata:
        raise Conflict("This contradiction is decided already.", code="decided")
    told = {DECIDED: decision.value, "decided_at": clock.now().isoformat()}
    values: dict[str, Any] = {"metadata": {**link.metadata, **told}}
    if decision in (Decision.KEEP_NEWER, Decision.KEEP_OLDER):
        newest = decision is Decision.KEEP_NEWER
        ends = (link.source_id, link.target_id)
        kept, lost = ends if newest else reversed(ends)
        supersession.supersede(
            actor=actor,
            new_id=kept,
            old_id=lost,
            metadata={"contradiction": str(link.pk)},
            reason=reason,
        )
    elif decision is Decision.DISMISS and not _is_related(link):
        values["relation"] = Relation.RELATED.value
    supersession.write_link(link, actor=actor, reason=reason, **values)
    return link


def reopen_contradiction(*, actor: Actor, link_id: uuid.UUID, reason: str = "") -> MemoryLink:
    """Take a decision back: both are in use and wait again. Conflict (`not_decided`,
    `changed_since`)."""
    link = _locked(link_id)
    decided = link.metadata.get(DECIDED)
    if decided is None:
        raise Conflict("This contradiction is not decided.", code="not_decided")
    if decided in (Decision.KEEP_NEWER, Decision.KEEP_OLDER):
        made = MemoryLink.objects.filter(
            Q(source=link.source, target=link.target) | Q(source=link.target, target=link.source),
            relation=Relation.SUPERSEDES,
            metadata__contradiction=str(link.pk),
        ).first()
        if made is None:
            raise Conflict("It was changed since it was decided.", code="changed_since")
        supersession.restore(actor=actor, link=made, reason=reason)
    kept = {k: v for k, v in link.metadata.items() if k not in (DECIDED, "decided_at")}
    supersession.write_link(
        link,
        actor=actor,
        reason=reason,
        metadata=kept,
        relation=Relation.CONTRADICTS.value,
    )
    return link


def _locked(link_id: uuid.UUID) -> MemoryLink:
    return funnel.get_row(MemoryLink, link_id, lock=True, what="contradiction")


def _is_related(link: MemoryLink) -> bool:
    ends = {"source_id": link.source_id, "target_id": link.target_id}
    return MemoryLink.objects.filter(relation=Relation.RELATED, **ends).exists()
