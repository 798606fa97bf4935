"""Memories: saved, changed, linked, deleted.

What search makes of them (passages) follows from the announcement, see memory/handlers.py.
"""

import hashlib
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db.models import Q

from config.lib.actor import Actor
from config.lib.errors import Conflict, Forbidden, Invalid, NotFound
from contacts.services import funnel
from memory.models import Evidence, Memory, MemoryLink
from memory.models.links import Relation
from memory.models.memory import Kind, MemoryState, Trust
from memory.services import expiry, supersession
from memory.services.about import About, about_part, held_about
from memory.services.authority import check_authority, check_release, is_agent
from memory.services.repeats import create_once, forget_key
from memory.services.trust import DERIVING, EXTERNAL_KINDS, is_lower, least, of_parents
from sessions.models import Message, Mission, Project, Session, SessionEvent, Task

MAX_BATCH = 500
MAX_TAGS = 100
MAX_LINKS = 200
AFFECT_RANGES = {"valence": (-1, 1), "arousal": (0, 1), "dominance": (-1, 1), "intensity": (0, 1)}
EDITABLE = frozenset(
    {
        "kind", "text", "data", "tags", "session_id", "project_id", "confidence",
        "confidence_method", "affect", "ownership", "signature", "consolidated", "salience",
        "pinned", "trust", "state", "valid_from", "valid_to", "expires_at", "metadata",
    }
)  # fmt: skip
ON_CREATION = EDITABLE | {
    "agent_id", "actor", "method", "recorded_at", "source", "external_id",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewEvidence:
    """One of the ids and `uri`, with the words relied on."""

    message_id: uuid.UUID | None = None
    event_id: uuid.UUID | None = None
    task_id: uuid.UUID | None = None
    mission_id: uuid.UUID | None = None
    uri: str = ""
    quote: str = ""


@dataclass(frozen=True, slots=True)
class NewMemory:
    """What a caller says of a memory. `fields` are the model's (see ON_CREATION)."""

    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    parents: Sequence[uuid.UUID] = ()
    causes: Sequence[uuid.UUID] = ()
    evidence: Sequence[NewEvidence] = ()
    about: Sequence[About] = ()


def content_hash(text: str) -> str:
    """SHA-256, hex, of the text in Unicode normal form with white space folded."""
    folded = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.sha256(folded.encode("utf-8", "surrogatepass")).hexdigest()


def create_memory(*, actor: Actor, new: NewMemory) -> tuple[Memory, bool]:
    """Save a memory; (memory, whether it is new).

    With `external_id` (and `source`) set, a memory of that identity is returned as it is instead
    of made again; without, one that says exactly the same is returned and counted (repeats.py).
    """
    values = dict(new.fields)
    sent = set(values)
    unknown = values.keys() - ON_CREATION
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be set on a memory"))
    if values.get("external_id"):
        values.setdefault("source", "api")
        found = Memory.objects.filter(
            source=values["source"], external_id=values["external_id"]
        ).first()
        if found is not None:
            return found, False
    if actor.agent_id is not None:
        values.setdefault("agent_id", actor.agent_id)
    if actor.channel != "import":
        # Who it is follows from the key, not from what the caller says.
        values["actor"] = "agent" if is_agent(actor) else actor.kind
    values["text"] = new.text
    _check_values(actor, values)
    _check_targets(values)
    if is_agent(actor) or actor.kind == "import":
        _limit_trust(values, new)
    memory = Memory(content_hash=content_hash(new.text), **values)
    _check_validity(memory)
    parts = [about_part(memory, new.about)] if new.about else []
    parts += [_links_part(memory, new), _evidence_part(memory, new.evidence)]

    def create() -> Memory:
        return funnel.create(memory, actor=actor, parts=parts)

    says_more = any((new.parents, new.causes, new.evidence, new.about, memory.external_id))
    return (create(), True) if says_more else create_once(memory, sent, create)


def create_memories(*, actor: Actor, new: Sequence[NewMemory]) -> list[tuple[Memory, bool]]:
    """Save up to 500 memories, all or none, in the order given."""
    if len(new) > MAX_BATCH:
        raise Invalid({"memories": f"{len(new):,} memories; at most {MAX_BATCH:,} in one batch"})
    saved = []
    for index, one in enumerate(new):
        try:
            saved.append(create_memory(actor=actor, new=one))
        except Invalid as error:
            raise Invalid(
                {f"memories[{index}].{name}": text for name, text in error.errors.items()}
            ) from None
    return saved


def update_memory(
    *,
    actor: Actor,
    memory_id: uuid.UUID,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str = "",
) -> Memory:
    """Change a memory's own fields, and with `about` (a list of About) all that it is about."""
    changes = dict(changes)
    about = changes.pop("about", None)
    unknown = changes.keys() - EDITABLE
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be changed on a memory"))
    memory = funnel.get_row(Memory, memory_id, lock=True)
    if memory.state == MemoryState.ERASED:
        raise Conflict("This memory was erased.", code="erased")
    check_authority(actor, memory)
    _check_values(actor, changes, memory)
    _check_targets(changes)
    if is_agent(actor) and changes.keys() & {"kind", "state"}:
        # What may be in use at once as one kind waits as another.
        kind, state = changes.get("kind", memory.kind), changes.get("state", memory.state)
        if _waits(changes.get("trust", memory.trust), kind, state):
            changes["state"] = MemoryState.QUARANTINED
    if "text" in changes:
        changes["content_hash"] = content_hash(changes["text"])
    _check_validity(memory, changes)
    changes = expiry.following(memory, changes)
    before = memory.version
    funnel.update(
        memory,
        changes,
        actor=actor,
        expected_version=expected_version,
        reason=reason,
        parts=[] if about is None else [about_part(memory, about)],
    )
    if memory.version != before:
        forget_key(memory)
        if "text" in changes:
            funnel.touch(memory, compared_at=None)
    return memory


def delete_memory(
    *, actor: Actor, memory_id: uuid.UUID, expected_version: int | None = None, reason: str = ""
) -> None:
    """Remove a memory, its links, evidence and passages. Its Revision keeps what it said."""
    memory = funnel.get_row(Memory, memory_id, lock=True)
    check_authority(actor, memory)
    note: dict[str, Any] = {"links": _links_of(memory), "evidence": _evidence_of(memory)}
    note |= held_about([memory.pk])[memory.pk]
    funnel.delete(
        memory,
        actor=actor,
        expected_version=expected_version,
        reason=reason,
        note={name: rows for name, rows in note.items() if rows},
    )


def link_memories(
    *,
    actor: Actor,
    source_id: uuid.UUID,
    target_id: uuid.UUID,
    relation: str,
    metadata: Mapping[str, Any] | None = None,
) -> tuple[MemoryLink, bool]:
    """`source` has `target` as its `relation`; (link, whether it is new). What supersedes another
    takes its place by that (supersession.py).

    What is derived from something less trusted is trusted no more than that, unless a person has
    vouched for it.
    """
    if relation == Relation.SUPERSEDES:
        made = supersession.supersede(
            actor=actor, new_id=source_id, old_id=target_id, metadata=metadata
        )
        return made.link, made.is_new
    source = funnel.get_row(Memory, source_id)
    if source_id == target_id:
        raise Invalid({"target_id": "a memory cannot be linked to itself"})
    target = funnel.get_row(Memory, target_id)
    found = MemoryLink.objects.filter(source=source, target=target, relation=relation).first()
    if found is not None:
        return found, False
    link = MemoryLink(
        source=source, target=target, relation=relation, metadata=dict(metadata or {})
    )
    funnel.create(link, actor=actor)
    lowered = relation in DERIVING and is_lower(target.trust, source.trust)
    if lowered and source.trust not in (Trust.OPERATOR, Trust.VERIFIED):
        held = funnel.get_row(Memory, source_id, lock=True)
        reason = f"derived from what is {target.trust}"
        funnel.update(held, {"trust": target.trust}, actor=actor, action="lower", reason=reason)
    return link, True


def unlink_memories(*, actor: Actor, memory_id: uuid.UUID, link_id: uuid.UUID) -> None:
    """Remove one link of a memory, in either direction. With `supersedes` the one that was
    superseded by it is in use again."""
    link = funnel.get_row(MemoryLink, link_id, what="link")
    if memory_id not in (link.source_id, link.target_id):
        raise NotFound("link of this memory", link_id)
    if link.relation == Relation.SUPERSEDES and link.target.superseded_by_id == link.source_id:
        supersession.restore(actor=actor, link=link)
        return
    supersession.remove_link(link, actor=actor)


def _check_values(actor: Actor, values: dict[str, Any], memory: Memory | None = None) -> None:
    """What the model's own checks cannot see. Tags are folded in place."""
    errors: dict[str, str] = {}
    if "tags" in values:
        # One tag, however it was typed: NFC and NFD look the same to everybody.
        folded = (unicodedata.normalize("NFC", str(tag)).strip() for tag in values["tags"])
        values["tags"] = list(dict.fromkeys(tag for tag in folded if tag))
        if len(values["tags"]) > MAX_TAGS:
            errors["tags"] = f"{len(values['tags'])} tags; at most {MAX_TAGS}"
    errors.update(_affect_problems(values.get("affect")))
    if "text" in values and not values["text"].strip():
        errors["text"] = "must not be blank"
    if values.get("state") in (MemoryState.ERASED, MemoryState.SUPERSEDED):
        errors["state"] = f"{values['state']} follows from an action of that name, it is not set"
    if errors:
        raise Invalid(errors)
    _check_trust(actor, values, memory)


def _links_of(memory: Memory) -> list[dict[str, str]]:
    """What goes with a memory besides its own fields, for the Revision that keeps it."""
    rows = MemoryLink.objects.filter(Q(source=memory) | Q(target=memory)).order_by("id")
    return [
        {"source": str(row.source_id), "relation": row.relation, "target": str(row.target_id)}
        for row in rows
    ]


def _evidence_of(memory: Memory) -> list[dict[str, Any]]:
    rows = Evidence.objects.filter(memory=memory).order_by("id")
    return [
        {name: value for name, value in funnel.snapshot(row).items() if name != "memory"}
        for row in rows
    ]


def _check_trust(actor: Actor, values: Mapping[str, Any], memory: Memory | None) -> None:
    """Agents may lower trust, never raise it, and never lift a quarantine."""
    if not is_agent(actor):
        return
    order = list(Trust)
    ceiling = Trust(memory.trust) if memory is not None else Trust.AGENT
    asked = values.get("trust")
    if asked in Trust.values and order.index(Trust(asked)) < order.index(ceiling):
        raise Forbidden(
            f"An agent cannot raise trust from {ceiling} to {asked}; a person can, in the admin.",
            code="trust_ceiling",
        )
    quarantined = memory is not None and memory.state == MemoryState.QUARANTINED
    if quarantined and values.get("state", MemoryState.QUARANTINED) != MemoryState.QUARANTINED:
        raise Forbidden(
            "This memory waits for a person's review; an agent cannot release it.",
            code="quarantined",
        )
    if memory is None or memory.state not in (MemoryState.ARCHIVED, MemoryState.SUPERSEDED):
        return
    held_again = memory.expired_at is not None and "expires_at" in values
    if held_again or values.get("state", memory.state) != memory.state:
        check_release(actor, memory)


def _limit_trust(values: dict[str, Any], new: NewMemory) -> None:
    """At most an agent's, and at most that of what it was made of; what is external waits for a
    person. An execution is a record of ours, and active."""
    kind = values.get("kind", Kind.OBSERVATION)
    of_kind = Trust.EXTERNAL if kind in EXTERNAL_KINDS else Trust.AGENT
    asked = values.get("trust", Trust.AGENT)
    if asked not in Trust.values:
        return  # the model's own check says so
    values["trust"] = least([asked, of_kind, of_parents(new.parents, new.evidence)])
    if _waits(values["trust"], kind, values.get("state", MemoryState.ACTIVE)):
        values["state"] = MemoryState.QUARANTINED


def _waits(trust: str, kind: str, state: str) -> bool:
    external = trust == Trust.EXTERNAL and kind != Kind.TASK_EXECUTION
    return external and state == MemoryState.ACTIVE


def _affect_problems(affect: Any) -> list[tuple[str, str]]:
    if not affect:
        return []
    if not isinstance(affect, Mapping):
        return [("affect", "must be an object")]
    problems = []
    for name, value in affect.items():
        if name == "labels":
            if not (isinstance(value, list) and all(isinstance(v, str) for v in value)):
                problems.append(("affect.labels", "must be a list of texts"))
        elif name not in AFFECT_RANGES:
            problems.append((f"affect.{name}", "is not part of affect"))
        else:
            low, high = AFFECT_RANGES[name]
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (number and low <= value <= high):
                problems.append((f"affect.{name}", f"must be a number from {low} to {high}"))
    return problems


def _check_targets(values: Mapping[str, Any]) -> None:
    """Rows named by id are of this workspace, or NotFound."""
    if values.get("session_id"):
        funnel.get_row(Session, values["session_id"])
    if values.get("project_id"):
        funnel.get_row(Project, values["project_id"])


def _check_validity(memory: Memory, changes: Mapping[str, Any] | None = None) -> None:
    changes = changes or {}
    start = changes.get("valid_from", memory.valid_from)
    end = changes.get("valid_to", memory.valid_to)
    if start is not None and end is not None and end < start:
        raise Invalid({"valid_to": "lies before valid_from"})


def _links_part(memory: Memory, new: NewMemory) -> funnel.Part:
    """The links that a memory is made with, for its Revision."""
    wanted = {Relation.PARENT: new.parents, Relation.CAUSE: new.causes}

    def write() -> None:
        for relation, targets in wanted.items():
            _link_all(memory, relation, targets)

    after = [
        {"source": str(memory.pk), "relation": relation.value, "target": str(target)}
        for relation, targets in wanted.items()
        for target in dict.fromkeys(targets)
    ]
    return funnel.Part("links", [], after, write)


def _evidence_part(memory: Memory, evidence: Sequence[NewEvidence]) -> funnel.Part:
    after = [_said(one) for one in evidence]
    return funnel.Part("evidence", [], after, lambda: _add_evidence(memory, evidence))


def _link_all(memory: Memory, relation: Relation, targets: Sequence[uuid.UUID]) -> None:
    """Links of a memory that is just being made: part of its creation, not changes of their own."""
    wanted = list(dict.fromkeys(targets))
    if len(wanted) > MAX_LINKS:
        raise Invalid({f"{relation}s": f"{len(wanted)} links; at most {MAX_LINKS}"})
    if not wanted:
        return
    found = set(Memory.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    missing = next((target for target in wanted if target not in found), None)
    if missing is not None:
        raise NotFound("memory", missing)
    MemoryLink.objects.bulk_create(
        MemoryLink(source=memory, target_id=target, relation=relation) for target in wanted
    )


def _said(evidence: NewEvidence) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(evidence).items() if value}


def _add_evidence(memory: Memory, evidence: Sequence[NewEvidence]) -> None:
    rows = []
    for index, one in enumerate(evidence):
        named = {
            model: row_id
            for model, row_id in (
                (Message, one.message_id),
                (SessionEvent, one.event_id),
                (Task, one.task_id),
                (Mission, one.mission_id),
            )
            if row_id is not None
        }
        if len(named) + bool(one.uri) != 1:
            known = "message_id, event_id, task_id, mission_id and uri"
            raise Invalid({f"evidence[{index}]": f"give one of {known}"})
        for model, row_id in named.items():
            funnel.get_row(model, row_id, what="event" if model is SessionEvent else "")
        rows.append(
            Evidence(
                memory=memory,
                message_id=one.message_id,
                event_id=one.event_id,
                task_id=one.task_id,
                mission_id=one.mission_id,
                uri=one.uri,
                quote=one.quote,
                quote_hash=content_hash(one.quote) if one.quote else "",
            )
        )
        funnel.check(rows[-1], prefix=f"evidence[{index}].")
    Evidence.objects.bulk_create(rows)
