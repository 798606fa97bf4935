"""Bulk runs: proposed, tried, run, stopped and undone, in slices that each commit whole.

What is done to one row is the caller's; here is what makes it safe over a hundred thousand: a
slice's rows, counts and cursor are one transaction, so that a job that died goes on where the last
slice ended, and no row is done twice.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.db import DatabaseError, IntegrityError, transaction

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, DomainError, NoRoom
from config.lib.jobs import Job
from config.lib.scope import current_workspace_id
from contacts.models.bulk import ACTIVE, BulkRun, BulkState
from contacts.services import funnel

log = structlog.get_logger()

TASK, QUEUE = "contacts.work_bulk_run", "upkeep"
SLICE = 50
# As many problems as a person reads; the counts go on.
MAX_PROBLEMS = 200
# A run that no job has touched for as long has lost its job.
LOST = timedelta(seconds=20)
# What each state may follow.
_FOLLOWS = {
    BulkState.TRYING: (BulkState.PROPOSED, BulkState.TRIED),
    BulkState.RUNNING: (BulkState.PROPOSED, BulkState.TRIED),
    BulkState.UNDOING: (BulkState.DONE, BulkState.STOPPED),
}
_ENDS = {
    BulkState.TRYING: BulkState.TRIED,
    BulkState.RUNNING: BulkState.DONE,
    BulkState.UNDOING: BulkState.UNDONE,
}


class Stopped(Exception):
    """The run may not go on at all; the text says why."""


@dataclass(frozen=True, slots=True)
class Item:
    """A row to do: `key` is its place in the order, `row_id` what its problem is told of."""

    key: uuid.UUID
    row_id: uuid.UUID


Read = Callable[[BulkRun, int], Sequence[Item]]
# Does one, and says why there was nothing to do, or nothing.
Do = Callable[[BulkRun, Item], str]


def propose(*, actor: Actor, reason: str = "", **fields: Any) -> BulkRun:
    """A run that waits for somebody to try or begin it. `fields` are the model's: model, action,
    title, query or ids, total, at_least."""
    run = BulkRun(actor_id=actor.id, actor_label=actor.label, reason=reason, **fields)
    return funnel.create(run, actor=actor, action="propose", reason=reason)


def may_become(run: BulkRun, state: BulkState) -> bool:
    return run.state in _FOLLOWS[state] and not (
        state is BulkState.UNDOING and not (run.ran.get("done") or run.done)
    )


def begin(*, actor: Actor, run_id: uuid.UUID, state: BulkState, reason: str = "") -> BulkRun:
    """Try, run or undo it from now on, in the name of `actor`. Conflict from another state."""
    run = funnel.get_row(BulkRun, run_id, lock=True)
    if not may_become(run, state):
        raise Conflict(f"This run is {run.get_state_display().lower()}.", code="wrong_state")
    changes = {"state": state, "actor_id": actor.id, "actor_label": actor.label}
    if state is BulkState.RUNNING:
        changes["ran_by"] = actor.id
    if reason:
        changes["reason"] = reason
    funnel.update(run, changes, actor=actor, action=state.value, reason=reason)
    now = clock.now()
    funnel.touch(
        run, cursor=None, done=0, skipped=0, failed=0, problems=[], started_at=now, ended_at=None,
        beat_at=now,
    )  # fmt: skip
    job_of(run.pk).defer_on_commit()
    return run


def stop(*, actor: Actor, run_id: uuid.UUID, reason: str = "") -> BulkRun:
    """Leave the rest as it is. What was done stays done, and can be undone."""
    run = funnel.get_row(BulkRun, run_id, lock=True)
    if run.state not in ACTIVE:
        raise Conflict(f"This run is {run.get_state_display().lower()}.", code="wrong_state")
    return _end(run, actor=actor, reason=reason, stopped=True)


def job_of(run_id: uuid.UUID) -> Job:
    workspace_id = current_workspace_id()
    return Job(
        task=TASK,
        queue=QUEUE,
        lock=f"bulk:{run_id}",
        arguments={"workspace_id": str(workspace_id), "run_id": str(run_id)},
    )


def lost_runs() -> list[uuid.UUID]:
    """Those whose job died. Index bulkrun_active."""
    rows = BulkRun.objects.filter(state__in=ACTIVE, beat_at__lt=clock.now() - LOST)
    return list(rows.values_list("pk", flat=True)[:100])


def actor_of_run(run: BulkRun) -> Actor:
    """Whose name its Revisions bear, and by which request_id they are found."""
    undoing = run.state == BulkState.UNDOING
    request_id = f"undo-{run.pk}" if undoing else str(run.pk)
    return Actor("user", run.actor_id, run.actor_label, "job", request_id)


def work_slice(run_id: uuid.UUID, read: Read, do: Do) -> bool:
    """The next rows of a run, in the current scope; whether there is more to do.

    Of two at once the second finds the run locked, and leaves it to the first.
    """
    found = BulkRun.objects.filter(pk=run_id, state__in=ACTIVE)
    run = found.select_for_update(skip_locked=True, no_key=True).first()
    if run is None:
        return False
    counts = {"done": run.done, "skipped": run.skipped, "failed": run.failed}
    problems = list(run.problems)
    try:
        items = read(run, SLICE)
        for item in items:
            kind, why = _attempt(run, item, do)
            counts[kind] += 1
            if why and len(problems) < MAX_PROBLEMS:
                problems.append({"id": str(item.row_id), "kind": kind, "why": why[:500]})
    except Stopped as refusal:
        _end(run, actor=actor_of_run(run), reason=str(refusal), stopped=True)
        return False
    cursor = items[-1].key if items else run.cursor
    funnel.touch(run, **counts, problems=problems, cursor=cursor, beat_at=clock.now())
    if len(items) == SLICE:
        return True
    _end(run, actor=actor_of_run(run))
    return False


def _attempt(run: BulkRun, item: Item, do: Do) -> tuple[str, str]:
    """(done, skipped or failed; why). A dry run does the thing, and takes it back."""
    try:
        with transaction.atomic():
            why = do(run, item)
            if run.state == BulkState.TRYING:
                transaction.set_rollback(True)
    except NoRoom:
        # Nor this row's: the run goes on when there is room.
        raise
    except DomainError as error:
        return "failed", error.detail
    except IntegrityError:
        return "failed", "Other rows still need this one, or a name is taken already."
    except (DatabaseError, Stopped):
        # Of the whole slice, not of this row.
        raise
    except Exception:
        log.exception("bulk_row_failed", run=str(run.pk), row=str(item.row_id))
        return "failed", "An unexpected error; it is in the server's log."
    return ("skipped", why) if why else ("done", "")


def _end(run: BulkRun, *, actor: Actor, reason: str = "", stopped: bool = False) -> BulkRun:
    state = BulkState(run.state)
    result = {
        "done": run.done, "skipped": run.skipped, "failed": run.failed, "problems": run.problems,
    }  # fmt: skip
    if state is BulkState.TRYING:
        funnel.touch(run, tried=result)
    elif state is BulkState.RUNNING:
        funnel.touch(run, ran=result)
    now = clock.now()
    funnel.touch(run, ended_at=now, beat_at=now)
    ends = BulkState.STOPPED if stopped and state is not BulkState.TRYING else _ENDS[state]
    action = "stop" if stopped else "end"
    return funnel.update(run, {"state": ends}, actor=actor, action=action, reason=reason[:500])
