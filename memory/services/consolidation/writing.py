"""A run's narratives with their links, and the marks on what they tell of: one transaction."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet

from config.lib import clock
from config.lib.actor import Actor
from contacts.services import funnel
from memory.models import ConsolidationRun, Memory, MemoryLink
from memory.models.consolidation import ConsolidationState
from memory.models.links import Relation
from memory.models.memory import CONSOLIDATED_METHOD, Kind, MemoryState
from memory.services.authority import least
from memory.services.consolidation.planning import LEAST_SOURCES, may_hide, untold_rows
from memory.services.consolidation.runs import locked
from memory.services.lessons import METHOD
from memory.services.memories import NewMemory, create_memory
from memory.summaries import Draft

FIXED = METHOD + "fixed"


def still_to_tell(run: ConsolidationRun, group: Mapping[str, Any]) -> QuerySet[Memory]:
    """Its sources without what was changed, told or taken away since the run was planned."""
    rows = untold_rows().filter(pk__in=group["sources"], updated_at__lte=run.started_at)
    return rows.order_by("recorded_at", "id")


def write(run_id: uuid.UUID) -> ConsolidationRun:
    """All of it, or nothing. What was changed, told or taken away since is left out, also of what
    is said: where something was since it was drafted, that is to be drafted again, and the run goes
    on."""
    run = locked(run_id)
    if run.state != ConsolidationState.RUNNING:
        return run
    actor = _actor(run)
    found = []
    for group in run.groups:
        rows = list(still_to_tell(run, group).order_by("id").select_for_update(no_key=True))
        if {str(row.pk) for row in rows} != set(group.get("read", ())):
            group.pop("draft", None)
        found.append((group, rows))
    if any("draft" not in group for group in run.groups):
        funnel.touch(run, groups=run.groups)
        return run
    made = changed = 0
    for group, rows in found:
        if len(rows) >= LEAST_SOURCES:
            memory = _narrative(run, group, rows, actor)
            group |= {"memory": str(memory.pk), "told": [str(row.pk) for row in rows]}
            _mark(run, rows, actor)
            made += 1
            changed += len(rows)
        # Its words are the narrative's now, and go with it.
        del group["draft"]
        group.pop("read", None)
    funnel.touch(run, groups=run.groups, made=made, changed=changed, ended_at=clock.now())
    return funnel.update(run, {"state": ConsolidationState.DONE}, actor=actor)


def _actor(run: ConsolidationRun) -> Actor:
    return Actor("system", str(run.pk), "consolidation", "job")


def _narrative(
    run: ConsolidationRun, group: Mapping[str, Any], rows: Sequence[Memory], actor: Actor
) -> Memory:
    draft = Draft(**group["draft"])
    agents = {row.agent_id for row in rows}
    fields: dict[str, Any] = {
        "kind": Kind.OBSERVATION,
        "method": CONSOLIDATED_METHOD,
        "trust": least([row.trust for row in rows]),
        "confidence": min(row.confidence for row in rows),
        "confidence_method": "least of its sources",
        "valid_from": min(row.valid_from or row.recorded_at for row in rows),
        "session_id": uuid.UUID(group["session"]) if group["session"] else None,
        "project_id": uuid.UUID(group["project"]) if group["project"] else None,
        "agent_id": agents.pop() if len(agents) == 1 else None,
        "data": {
            "type": "consolidated_narrative",
            "run": str(run.pk),
            "day": group["day"],
            "summary": {name: value for name, value in asdict(draft).items() if name != "summary"},
        },
    }
    text = narrative_text(group["title"], draft, [row for row in rows if row.method == FIXED])
    memory, _ = create_memory(actor=actor, new=NewMemory(text=text, fields=fields))
    links = [
        MemoryLink(source=memory, target=row, relation=Relation.DERIVED_FROM, metadata={})
        for row in rows
    ]
    funnel.create_many(links, actor=actor)
    return memory


def narrative_text(title: str, draft: Draft, fixed: Sequence[Memory]) -> str:
    """Markdown: the title, the summary, and a list of each kind of what was told."""
    errors = [" ".join(row.text.split())[:500] for row in fixed]
    lists = (
        ("Decided", draft.decisions),
        ("Came of it", [one for one in draft.outcomes if one not in errors]),
        ("Errors fixed", errors),
        ("What happened", draft.key_events),
        ("Open", draft.next_steps),
    )
    parts = [title, draft.summary.strip()]
    parts += [f"{name}:\n" + "\n".join(f"- {one}" for one in said) for name, said in lists if said]
    return "\n\n".join(part for part in parts if part)


def _mark(run: ConsolidationRun, rows: Sequence[Memory], actor: Actor) -> None:
    hidden = set()
    if run.hides:
        ids = [row.pk for row in rows]
        hidden = set(may_hide(Memory.objects.filter(pk__in=ids)).values_list("pk", flat=True))
    changes: dict[uuid.UUID, dict[str, Any]] = {
        row.pk: {"consolidated": True}
        | ({"state": MemoryState.ARCHIVED} if row.pk in hidden else {})
        for row in rows
    }
    funnel.update_many(rows, changes, actor=actor, action="consolidate")
    funnel.touch_all([row for row in rows if row.pk in hidden], repeat_key="")
