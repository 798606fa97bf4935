"""Runs as such: begun, held for a person, let go on or dismissed. Not for what one does
(working.py, writing.py) or for taking it back (undoing.py)."""

import uuid
from dataclasses import asdict
from datetime import timedelta

from config.lib.actor import Actor
from config.lib.errors import Conflict
from config.lib.jobs import Job
from config.lib.scope import current_workspace_id
from contacts.preferences import preferences
from contacts.services import funnel
from memory.models import ConsolidationRun
from memory.models.consolidation import ConsolidationState
from memory.services import queue
from memory.services.consolidation.planning import plan

TASK = "memory.consolidate"
PRIORITY = -40
LOST = timedelta(minutes=5)


def consolidate_job(workspace_id: uuid.UUID) -> Job:
    return Job(
        task=TASK,
        queue=queue.QUEUE,
        lock=f"consolidate:{workspace_id}",
        arguments={"workspace_id": str(workspace_id)},
        priority=PRIORITY,
        alone=True,
    )


def begin(
    *, actor: Actor, hides: bool | None = None, again: bool = True
) -> ConsolidationRun | None:
    """A planned run, for the job to do; None where there is nothing to tell, without `again`
    nothing but what a person did not want told. Held where it would archive more than the
    workspace lets it. Conflict (`running`) beside another one. In a scope."""
    if ConsolidationRun.objects.filter(
        state__in=(ConsolidationState.RUNNING, ConsolidationState.HELD)
    ).exists():
        raise Conflict("A consolidation runs or waits for a person already.", code="running")
    wanted = preferences().consolidation
    hides = wanted.hide if hides is None else hides
    planned = plan(hides=hides, again=again)
    if not planned.groups:
        return None
    held = ""
    if planned.would_hide > wanted.most_share * planned.of:
        held = (
            f"It would archive {planned.would_hide:,} of {planned.of:,} memories in use, more than "
            f"the {wanted.most_share:.0%} that it may by itself."
        )
    run = ConsolidationRun(
        actor_id=actor.id,
        actor_label=actor.label,
        hides=hides,
        state=ConsolidationState.HELD if held else ConsolidationState.RUNNING,
        held=held,
        groups=[asdict(group) for group in planned.groups],
        read=planned.read,
        would_hide=planned.would_hide,
        of=planned.of,
    )
    if not held:
        consolidate_job(current_workspace_id()).defer_on_commit()
    return funnel.create(run, actor=actor)


def release(*, actor: Actor, run_id: uuid.UUID, reason: str = "") -> ConsolidationRun:
    """A person lets a held run go on. Conflict (`not_held`)."""
    run = _decide(actor, run_id, ConsolidationState.RUNNING, reason)
    consolidate_job(current_workspace_id()).defer_on_commit()
    return run


def dismiss(*, actor: Actor, run_id: uuid.UUID, reason: str = "") -> ConsolidationRun:
    """A person wants none of a held run. Conflict (`not_held`)."""
    return _decide(actor, run_id, ConsolidationState.DISMISSED, reason)


def _decide(
    actor: Actor, run_id: uuid.UUID, state: ConsolidationState, reason: str
) -> ConsolidationRun:
    run = locked(run_id)
    if run.state != ConsolidationState.HELD:
        raise Conflict(f"This consolidation is {run.state}.", code="not_held")
    return funnel.update(run, {"state": state}, actor=actor, reason=reason)


def locked(run_id: uuid.UUID) -> ConsolidationRun:
    return funnel.get_row(ConsolidationRun, run_id, lock=True, what="consolidation")
