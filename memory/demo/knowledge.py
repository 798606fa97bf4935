"""Plays what is known and what was asked: memories with all that hangs on them, searches, what
askers said of their hits, golden queries."""

import uuid
from typing import Any

from contacts.services import funnel
from memory.demo.stage import Stage
from memory.demo.stories import Story
from memory.demo.transcript import StoryError
from memory.models import Memory, MemoryDuplicate, Receipt
from memory.models.duplicates import Kept
from memory.models.links import Relation
from memory.search.funnel import search as find
from memory.search.schemas import SearchMode, SearchQuery
from memory.services.about import About
from memory.services.duplicates import alike, merge_duplicate
from memory.services.golden import pin_receipt
from memory.services.memories import (
    NewEvidence,
    NewMemory,
    create_memory,
    link_memories,
    update_memory,
)
from memory.services.receipts import give_feedback, keep

LINKED = {
    "supports": Relation.SUPPORTS,
    "contradicts": Relation.CONTRADICTS,
    "supersedes": Relation.SUPERSEDES,
    "derived_from": Relation.DERIVED_FROM,
    "related": Relation.RELATED,
}
_ABOUT = {"contact": "contact_id", "project": "project_id", "task": "task_id"}
# How long a search takes of the demo's size.
TOOK_MS = (6.0, 19.0)


def memory(stage: Stage, story: Story) -> None:
    """`evidence` is a list of [what, quote], what being `message:session#name`, `task:key` or an
    address. `replaces` names one that says the same, which is merged into this one. `changed` is
    a list of [moment, who, reason, {fields}]."""
    key, by, at = story.need("key"), story.need("by"), stage.moment(story.need("when"))
    linked = {name: story.pop(name, []) for name in (*LINKED, "parents", "causes")}
    evidence, about = story.pop("evidence", []), story.pop("about", [])
    replaces, changed = story.pop("replaces", []), story.pop("changed", [])
    session, project = story.pop("session", ""), story.pop("project", "")
    fields = story.take(
        "kind", "data", "tags", "confidence", "confidence_method", "affect", "ownership",
        "signature", "consolidated", "salience", "pinned", "trust", "state", "method",
    )  # fmt: skip
    for name in ("valid_from", "valid_to", "expires_at"):
        if name in story:
            fields[name] = stage.moment(story.pop(name))
    text = story.need("text").strip()
    story.done()

    def save() -> None:
        row, _ = create_memory(
            actor=stage.actor(by),
            new=NewMemory(
                text=text,
                fields=fields
                | {
                    "session_id": stage.id_of("session", session),
                    "project_id": stage.id_of("project", project),
                },
                parents=[_memory(stage, one) for one in linked["parents"]],
                causes=[_memory(stage, one) for one in linked["causes"]],
                evidence=[_evidence(stage, *one) for one in evidence],
                about=[_about(stage, one) for one in about],
            ),
        )
        stage.keep(f"memory:{key}", row)
        for name, relation in LINKED.items():
            for other in linked[name]:
                link_memories(
                    actor=stage.actor(by), source_id=row.id, target_id=_memory(stage, other),
                    relation=relation,
                )  # fmt: skip
        if replaces:
            _replace(stage, row, *replaces)

    stage.at(at, save)
    for when, who, reason, changes in changed:
        stage.at(
            stage.moment(when),
            lambda who=who, reason=reason, changes=changes: _change(  # type: ignore[misc]
                stage, key, who, reason, changes
            ),
        )


def _memory(stage: Stage, key: str) -> uuid.UUID:
    found: uuid.UUID = stage.row(f"memory:{key}").id
    return found


def _evidence(stage: Stage, what: str, quote: str) -> NewEvidence:
    kind, _, name = what.partition(":")
    if kind == "message":
        message = stage.row(what)
        said = message.content or str(message.blocks)
        if quote not in said:
            raise StoryError(f"{what} does not say {quote!r}")
        return NewEvidence(message_id=message.id, quote=quote)
    if kind == "task":
        return NewEvidence(task_id=stage.id_of("task", name), quote=quote)
    return NewEvidence(uri=what, quote=quote)


def _about(stage: Stage, what: str) -> About:
    kind, _, name = what.partition(":")
    return About(**{_ABOUT[kind]: stage.id_of(kind, name)})


def _change(stage: Stage, key: str, who: str, reason: str, changes: dict[str, Any]) -> None:
    made = {
        name: stage.moment(value) if name in ("valid_from", "valid_to", "expires_at") else value
        for name, value in changes.items()
    }
    update_memory(
        actor=stage.actor(who), memory_id=_memory(stage, key), changes=made, reason=reason
    )


def _replace(stage: Stage, row: Memory, older: str, similarity: float, who: str) -> None:
    """As the job proposes a pair and a person merges it. The job measures the similarity by
    vectors, which are not made yet."""
    before: Memory = stage.row(f"memory:{older}")
    pair = MemoryDuplicate(
        older=before, newer=row, similarity=similarity, overlap=alike(before.text, row.text) or 0.0
    )
    funnel.create(pair, actor=stage.actor(who))
    merge_duplicate(actor=stage.actor(who), duplicate_id=pair.id, keep=Kept.NEWER)


# --- Searches ---------------------------------------------------------------------------------


def search(stage: Stage, story: Story) -> None:
    """By words, since no vectors are made yet. `said` is a list of [rank, verdict, note]; `golden`
    the name it is pinned under, by `pinned_by`."""
    by, at = story.need("by"), stage.moment(story.need("when"))
    said, golden = story.pop("said", []), story.pop("golden", "")
    pinned_by = story.pop("pinned_by", "")
    asked = story.take("q", "kinds", "tags", "limit")
    story.done()

    def ask() -> None:
        query = SearchQuery(**asked, mode=SearchMode.LEXICAL)
        answer = find(query=query.model_copy(update={"explain": True}))
        took = stage.dice(f"search {query.q}").uniform(*TOOK_MS)
        actor = stage.actor(by)
        kept = keep(query=query, answer=answer, took_ms=took, actor=actor)
        for rank, verdict, note in said:
            if rank > len(answer.hits):
                raise StoryError(f"the search for {query.q!r} has {len(answer.hits)} hits")
            hit = answer.hits[rank - 1]
            give_feedback(
                actor=actor, receipt=str(kept), hit_id=str(hit.id), kind=hit.kind.value,
                verdict=verdict, note=note,
            )  # fmt: skip
        if golden:
            receipt = Receipt.objects.get(pk=kept)
            pin_receipt(actor=stage.actor(pinned_by), receipt=receipt, name=golden)

    stage.at(at, ask)
