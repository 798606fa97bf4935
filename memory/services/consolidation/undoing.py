"""A run taken back, and what an erasure asks of runs: that they keep no word of what goes."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from config.lib.actor import Actor
from config.lib.errors import Conflict
from config.lib.wording import ERASED
from contacts.models import Revision
from contacts.services import funnel
from memory.models import ConsolidationRun, Memory
from memory.models.consolidation import ConsolidationState
from memory.models.memory import MemoryState
from memory.services.consolidation.runs import locked

_LISTS = ("sources", "told")
_OF_DRAFT = ("draft", "read", "memory")


def revert(*, actor: Actor, run_id: uuid.UUID, reason: str = "") -> ConsolidationRun:
    """Take a run back, all of it in one transaction: its narratives go, its sources are as they
    were. What somebody changed since stays, and the report says so. Conflict (`not_done`)."""
    run = locked(run_id)
    if run.state != ConsolidationState.DONE:
        raise Conflict(f"This consolidation is {run.state}.", code="not_done")
    reason = reason or f"{run} was taken back"
    report: dict[str, Any] = {"removed": 0, "reverted": 0, "kept": []}
    written = [group for group in run.groups if "memory" in group]
    ids = [uuid.UUID(pk) for group in written for pk in [group["memory"], *group["told"]]]
    touched = _touched(run, ids)
    for group in written:
        _remove(group["memory"], touched, report, actor, reason)
        told = [uuid.UUID(pk) for pk in group["told"]]
        report["reverted"] += _untell(run, told, touched, actor)
    funnel.touch(run, reverted=report)
    return funnel.update(run, {"state": ConsolidationState.REVERTED}, actor=actor, reason=reason)


def _remove(
    memory_id: str, touched: set[uuid.UUID], report: dict[str, Any], actor: Actor, reason: str
) -> None:
    memory = Memory.objects.filter(pk=memory_id).select_for_update(no_key=True).first()
    if memory is None:
        return
    if memory.pk in touched:
        report["kept"].append({"id": memory_id, "why": "it was changed since"})
        return
    funnel.delete(memory, actor=actor, reason=reason)
    report["removed"] += 1


def _untell(
    run: ConsolidationRun, told: Sequence[uuid.UUID], touched: set[uuid.UUID], actor: Actor
) -> int:
    """How many of the sources of one narrative are as they were."""
    rows = Memory.objects.filter(pk__in=told).select_for_update(no_key=True).order_by("id")
    back: dict[uuid.UUID, dict[str, Any]] = {}
    for row in rows:
        back[row.pk] = {"consolidated": False}
        if run.hides and row.state == MemoryState.ARCHIVED and row.pk not in touched:
            back[row.pk]["state"] = MemoryState.ACTIVE
    funnel.update_many(list(rows), back, actor=actor, action="unconsolidate")
    return len(back)


def _touched(run: ConsolidationRun, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those that somebody else changed since. Index revision_object."""
    others = Revision.objects.filter(object_id__any_of=list(ids), created_at__gt=run.started_at)
    return set(others.exclude(actor_id=str(run.pk)).values_list("object_id", flat=True))


def hold() -> None:
    """Until this transaction is over no run writes what it has drafted."""
    running = ConsolidationRun.objects.filter(state=ConsolidationState.RUNNING)
    list(running.select_for_update(no_key=True).values_list("pk"))


def forget(gone: set[str], *, actor: Actor) -> set[uuid.UUID]:
    """Of rows with these ids runs keep no word, and what a narrative that goes told beside them is
    as it was. The runs of which that is so: the caller empties their history. For the owner's
    login, as an erasure has it."""
    forgetting = set()
    for run in ConsolidationRun.objects.select_for_update(no_key=True).order_by("id"):
        groups = [_without(group, gone) for group in run.groups]
        if groups == run.groups:
            continue
        for group in run.groups if run.state == ConsolidationState.DONE else ():
            if group.get("memory") in gone:
                told = [uuid.UUID(pk) for pk in group["told"] if pk not in gone]
                _untell(run, told, _touched(run, told), actor)
        forgetting.add(run.pk)
        funnel.strike([run], {"groups": groups}, actor=actor)
    return forgetting


def _without(group: Mapping[str, Any], gone: set[str]) -> dict[str, Any]:
    """A group of a run without these rows, what was drafted of them, and the name of their
    session."""
    lists = {key: [pk for pk in group[key] if pk not in gone] for key in _LISTS if key in group}
    named = [key for key in ("session", "memory") if group.get(key) in gone]
    if not named and all(group[key] == left for key, left in lists.items()):
        return dict(group)
    kept = {key: value for key, value in group.items() if key not in _OF_DRAFT} | lists
    if "memory" in group and "memory" not in named:
        kept["memory"] = group["memory"]
    return kept | ({"session": "", "title": ERASED} if "session" in named else {})
