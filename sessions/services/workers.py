"""Workers as those who give work see them: spawned, changed, answered, snoozed, cancelled, retried.

Not for those who do the work: claiming, leases and reports are in worker_runs.py.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from config.lib.actor import Actor
from config.lib.db.now import database_now
from config.lib.errors import Conflict, Invalid
from config.lib.ids import new_id
from config.lib.scope import current_workspace_id
from contacts.models import Workspace
from contacts.services import funnel
from sessions.models import Session, Task, Worker, WorkerDependency
from sessions.models.worker import WorkerStatus
from sessions.services.notifications import notify

MAX_DEPENDENCIES = 1000
# What may be set on creation beside the parameters that have a name.
ON_CREATION = frozenset({"metadata", "source", "external_id"})
# What a claim reads; afterwards it would change nothing.
WORK = frozenset(
    {
        "primitive", "instructions", "params", "priority", "run_after", "workspace_path",
        "timeout_seconds", "depends_on", "task_id",
    }
)  # fmt: skip
EDITABLE = WORK | {"name", "max_attempts", "metadata"}
WAITING = frozenset(
    {WorkerStatus.PENDING, WorkerStatus.SNOOZED, WorkerStatus.AWAITING_CLARIFICATION}
)
ENDED = frozenset({WorkerStatus.COMPLETE, WorkerStatus.FAILED, WorkerStatus.CANCELLED})
# What its conversation is told of.
NOTIFICATIONS = {
    WorkerStatus.COMPLETE: "worker_complete",
    WorkerStatus.FAILED: "worker_failed",
    WorkerStatus.CANCELLED: "worker_cancelled",
    WorkerStatus.AWAITING_CLARIFICATION: "worker_clarification",
}


def spawn_worker(
    *,
    actor: Actor,
    primitive: str,
    instructions: str = "",
    params: Mapping[str, Any] | None = None,
    session_id: uuid.UUID | None = None,
    conversation_id: str = "",
    task_id: uuid.UUID | None = None,
    name: str = "",
    workspace_path: str = "",
    priority: int = 0,
    depends_on: Sequence[uuid.UUID] = (),
    run_after: datetime | None = None,
    timeout_seconds: int | None = None,
    max_attempts: int = 3,
    dedupe_key: str = "",
    trace_id: str = "",
    **fields: Any,
) -> tuple[Worker, bool]:
    """Put a piece of work into the queue; (worker, whether it is new).

    The same `dedupe_key`, or the same `source` and `external_id`, returns the worker that is
    there, also of two spawned at once. The conversation is the session's unless given. Invalid
    names depends_on where an id is not a worker's. A new worker cannot close a cycle.
    """
    unknown = fields.keys() - ON_CREATION
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be set on a worker"))
    if fields.get("external_id"):
        fields["source"] = fields.get("source") or "api"
    found = _spawned_before(dedupe_key, fields)
    if found is not None:
        return found, False
    if session_id is not None:
        session = funnel.get_row(Session, session_id)
        conversation_id = conversation_id or session.conversation_id
    if task_id is not None:
        funnel.get_row(Task, task_id)
    needs = _needed(depends_on)
    worker = Worker(
        primitive=primitive,
        instructions=instructions,
        params=dict(params or {}),
        session_id=session_id,
        conversation_id=conversation_id,
        task_id=task_id,
        name=name,
        workspace_path=workspace_path,
        priority=priority,
        run_after=run_after,
        timeout_seconds=timeout_seconds,
        max_attempts=_at_least_one(max_attempts),
        dedupe_key=dedupe_key,
        trace_id=trace_id or new_id().hex,
        **fields,
    )
    if not dedupe_key and not fields.get("external_id"):
        funnel.create(worker, actor=actor)
    elif funnel.append_once(worker, actor=actor):
        funnel.record(worker, "create", actor=actor, before={}, after=funnel.snapshot(worker))
    else:
        # Somebody else was a moment faster.
        found = _spawned_before(dedupe_key, fields)
        if found is None:
            raise Conflict("This worker was spawned and deleted meanwhile.", code="spawned_twice")
        return found, False
    _add_dependencies(worker, needs, actor)
    return worker, True


def _spawned_before(dedupe_key: str, fields: Mapping[str, Any]) -> Worker | None:
    """Indexes worker_dedupe_unique and worker_external_id_unique."""
    found = Worker.objects.filter(dedupe_key=dedupe_key).first() if dedupe_key else None
    if found is None and fields.get("external_id"):
        found = Worker.objects.filter(
            source=fields["source"], external_id=fields["external_id"]
        ).first()
    return found


def _at_least_one(max_attempts: int) -> int:
    if max_attempts < 1:
        raise Invalid({"max_attempts": "must be at least 1"})
    return max_attempts


def _needed(depends_on: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    """The ids, each once, all of workers of this workspace. Or Invalid."""
    wanted = list(dict.fromkeys(depends_on))
    if len(wanted) > MAX_DEPENDENCIES:
        raise Invalid({"depends_on": f"{len(wanted):,} workers; at most {MAX_DEPENDENCIES:,}"})
    known = set(Worker.objects.filter(pk__any_of=wanted).values_list("pk", flat=True))
    missing = [str(one) for one in wanted if one not in known]
    if missing:
        raise Invalid({"depends_on": f"no worker {', '.join(missing[:5])} in this workspace"})
    return wanted


def _add_dependencies(worker: Worker, needs: Iterable[uuid.UUID], actor: Actor) -> None:
    rows = [WorkerDependency(worker_id=worker.pk, needs_id=needed) for needed in needs]
    funnel.append(rows, actor=actor)


def update_worker(
    *,
    actor: Actor,
    worker_id: uuid.UUID,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str = "",
) -> Worker:
    """Change a worker. What a claim reads may change only while it waits (Conflict afterwards).

    `depends_on` replaces the whole list; Invalid where it would close a cycle.
    """
    unknown = changes.keys() - EDITABLE
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be changed on a worker"))
    changes = dict(changes)
    if "depends_on" in changes:
        # One at a time: two new edges, each harmless, could close a cycle together.
        Workspace.objects.select_for_update(no_key=True).get(pk=current_workspace_id())
    worker = funnel.get_row(Worker, worker_id, lock=True)
    late = sorted(changes.keys() & WORK)
    if late and worker.status not in WAITING:
        raise Conflict(
            f"This worker is {worker.status}; {', '.join(late)} can be changed only while it "
            "waits.",
            code="not_waiting",
        )
    if worker.status == WorkerStatus.SNOOZED and changes.get("run_after", ...) is None:
        changes["status"] = WorkerStatus.PENDING
    if "max_attempts" in changes:
        _at_least_one(changes["max_attempts"])
    if changes.get("task_id"):
        funnel.get_row(Task, changes["task_id"])
    depends_on = changes.pop("depends_on", None)
    worker = funnel.update(
        worker, changes, actor=actor, expected_version=expected_version, reason=reason
    )
    if depends_on is not None:
        _replace_dependencies(worker, depends_on, actor, reason)
    return worker


def _replace_dependencies(
    worker: Worker, depends_on: Iterable[uuid.UUID], actor: Actor, reason: str
) -> None:
    wanted = _needed(depends_on)
    before = list(worker.dependencies.order_by("id").values_list("needs_id", flat=True))
    if set(wanted) == set(before):
        return
    _refuse_cycle(worker.pk, wanted)
    worker.dependencies.filter(needs_id__in=set(before) - set(wanted)).delete()
    _add_dependencies(worker, [needed for needed in wanted if needed not in before], actor)
    funnel.record(
        worker,
        "update",
        actor=actor,
        before={"depends_on": [str(one) for one in before]},
        after={"depends_on": [str(one) for one in wanted]},
        reason=reason,
    )


def _refuse_cycle(worker_id: uuid.UUID, wanted: Iterable[uuid.UUID]) -> None:
    """Invalid where what is wanted needs, over however many others, the worker itself."""
    frontier, seen = set(wanted), set[uuid.UUID]()
    while frontier:
        if worker_id in frontier:
            raise Invalid({"depends_on": "would make this worker wait for itself"})
        seen |= frontier
        edges = WorkerDependency.objects.filter(worker_id__in=frontier)
        frontier = set(edges.values_list("needs_id", flat=True)) - seen


def delete_worker(
    *, actor: Actor, worker_id: uuid.UUID, expected_version: int | None = None, reason: str = ""
) -> None:
    """Remove a worker with its output. Conflict while it runs, or while others wait for it."""
    # The strongest lock, which the foreign key of a new dependency waits for too: one that came
    # between the look below and the end would be removed with the worker.
    Worker.objects.filter(pk=worker_id).select_for_update().first()
    worker = funnel.get_row(Worker, worker_id, lock=True)
    if worker.status == WorkerStatus.RUNNING:
        raise Conflict("This worker is running; cancel it first.", code="running")
    # With the dependency gone, they would start as if it were complete.
    if worker.status != WorkerStatus.COMPLETE:
        waiting = worker.dependents.exclude(worker__status=WorkerStatus.COMPLETE)
        if waiting.exists():
            raise Conflict(
                "Other workers wait for this one; delete them first, or change what they need.",
                code="needed",
            )
    funnel.delete(worker, actor=actor, expected_version=expected_version, reason=reason)


def cancel(*, actor: Actor, worker_id: uuid.UUID, reason: str = "") -> Worker:
    """Call a worker off: at once where it waits; where it runs, who runs it is told by its beat.

    Cancelling twice changes nothing. Conflict when it is complete or failed.
    """
    worker = funnel.get_row(Worker, worker_id, lock=True)
    if worker.status == WorkerStatus.CANCELLED:
        return worker
    if worker.status in ENDED:
        raise Conflict(f"This worker is {worker.status} already.", code="already_ended")
    now = database_now()
    if worker.status != WorkerStatus.RUNNING:
        changes = {"cancel_requested_at": worker.cancel_requested_at or now, "ended_at": now}
        return settle(
            worker, WorkerStatus.CANCELLED, changes, actor=actor, action="cancel", reason=reason
        )
    if worker.cancel_requested_at is not None:
        return worker
    changes = {"cancel_requested_at": now}
    return funnel.update(worker, changes, actor=actor, action="request_cancel", reason=reason)


def retry(*, actor: Actor, worker_id: uuid.UUID, reason: str = "") -> Worker:
    """Put a failed or cancelled worker back into the queue, with one more attempt at least."""
    worker = funnel.get_row(Worker, worker_id, lock=True)
    if worker.status not in (WorkerStatus.FAILED, WorkerStatus.CANCELLED):
        raise Conflict(
            f"This worker is {worker.status}; only a failed or cancelled one is retried.",
            code="not_failed",
        )
    changes = {
        "max_attempts": max(worker.max_attempts, worker.attempts + 1),
        "run_after": None,
        "cancel_requested_at": None,
        "ended_at": None,
        "claimed_by": None,
    }
    return settle(worker, WorkerStatus.PENDING, changes, actor=actor, action="retry", reason=reason)


def answer(*, actor: Actor, worker_id: uuid.UUID, text: str, reason: str = "") -> Worker:
    """Answer what a worker asked; it waits to be claimed again, and the next one reads the answer.

    The attempt that asked goes on: it is not counted twice. Conflict where nothing was asked.
    """
    worker = funnel.get_row(Worker, worker_id, lock=True)
    if worker.status != WorkerStatus.AWAITING_CLARIFICATION:
        raise Conflict(
            f"This worker is {worker.status} and asks nothing.", code="not_awaiting_clarification"
        )
    changes = {
        "clarification_answer": text,
        "clarification_answered_at": database_now(),
        "attempts": max(worker.attempts - 1, 0),
        "claimed_by": None,
    }
    return settle(
        worker, WorkerStatus.PENDING, changes, actor=actor, action="answer", reason=reason
    )


def settle(
    worker: Worker,
    status: WorkerStatus,
    changes: Mapping[str, Any],
    *,
    actor: Actor,
    action: str,
    reason: str = "",
) -> Worker:
    """Bring a locked worker into a state without a lease, and tell its conversation where due.

    A worker completes once, so that its id is what the notification is about; it may fail, ask or
    be cancelled again after a retry, so there the id has the version behind it: `{id}:{version}`.
    """
    if worker.lease_id is not None:
        funnel.touch(worker, lease_id=None, lease_until=None)
    changes = {"status": status, **changes}
    funnel.update(worker, changes, actor=actor, action=action, reason=reason)
    kind = NOTIFICATIONS.get(status)
    if kind is not None:
        once = status == WorkerStatus.COMPLETE
        notify(
            actor=actor,
            conversation_id=worker.conversation_id,
            notification_type=kind,
            entity_id=worker.pk if once else f"{worker.pk}:{worker.version}",
            payload=_payload(worker, status),
        )
    return worker


def _payload(worker: Worker, status: WorkerStatus) -> dict[str, Any]:
    """What the conversation reads without asking further."""
    said: dict[str, Any] = {
        "worker_id": str(worker.pk),
        "primitive": worker.primitive,
        "name": worker.name,
        "attempt": worker.attempts,
        "trace_id": worker.trace_id,
    }
    if status == WorkerStatus.COMPLETE:
        said["report_summary"] = worker.report_summary
    elif status == WorkerStatus.AWAITING_CLARIFICATION:
        said["question"] = worker.clarification_question
        said["options"] = list(worker.clarification_options)
    elif status == WorkerStatus.FAILED:
        said["error"] = worker.error[:1000]
    return said
