"""What was run and how it went: a memory of kind task_execution for each attempt of a worker.

Written in the transaction that ends the attempt, once for each (`idempotency_key`). `data` is
{trace_id, span_id, attempt, max_attempts, final, idempotency_key, worker, primitive, mission,
scheduled_mission, task, status complete | failed | cancelled, error, error_type, stack_hash,
scheduled_at, started_at, ended_at, duration_seconds, exit_code}: ids and times as text, null where
there is none.

What brought it about is linked as its causes: memories that `params.causes` names, the attempt
before, executions of the workers it needed, and of the worker in whose session it was spawned.
Events that `params.causes` names, and its mission, are its evidence.
"""

import hashlib
import re
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from config.lib.actor import Actor
from config.lib.errors import Erased
from config.lib.ids import read_id
from contacts.services import funnel
from contacts.services.erasing import count_kept_away
from memory.models import Memory, MemoryAbout
from memory.models.links import Relation
from memory.models.memory import Kind
from memory.services.memories import MAX_LINKS, NewEvidence, NewMemory, create_memory, link_memories
from sessions.models import Mission, SessionEvent, Worker
from sessions.models.mission import Trigger
from sessions.models.worker import WorkerStatus

SOURCE = "execution"
COMPLETE, FAILED, CANCELLED = "complete", "failed", "cancelled"
# A worker that waits after its attempt was counted has failed at it.
_STATUS = {
    WorkerStatus.COMPLETE: COMPLETE,
    WorkerStatus.FAILED: FAILED,
    WorkerStatus.CANCELLED: CANCELLED,
    WorkerStatus.PENDING: FAILED,
    WorkerStatus.SNOOZED: FAILED,
}
_ENDED = (WorkerStatus.COMPLETE, WorkerStatus.FAILED, WorkerStatus.CANCELLED)
# Of instructions, reports and errors the memory keeps the start; the worker has them whole.
ASKED_LENGTH, SAID_LENGTH = 500, 4000
_EXCEPTION = re.compile(r"([A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Timeout))\b")
_TIMED_OUT = re.compile(r"timed? ?out\b", re.IGNORECASE)
# What differs between two failures of one kind: ids, addresses, numbers.
_VARIES = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}(?:-[0-9a-f]{4,})*\b|\d+", re.IGNORECASE)
STACK_LINES = 50


# --- Identity -------------------------------------------------------------------------------------


def execution_key(trace_id: str, worker_id: uuid.UUID, attempt: int) -> str:
    """An execution's external_id: a trace's, and in it a worker's, share their start. Lower-case
    hex digits alone, which every collation sorts alike, so that a range finds them."""
    return f"{trace_prefix(trace_id)}{worker_id.hex}{attempt:08d}"


def trace_prefix(trace_id: str) -> str:
    return hashlib.sha256(trace_id.encode()).hexdigest()[:32]


def idempotency_key(task: uuid.UUID, scheduled_at: datetime, attempt: int) -> str:
    """SHA-256, hex, of `task:scheduled_at:attempt`: what is run, its scheduled mission or else the
    worker, and when it was to be."""
    return hashlib.sha256(f"{task}:{scheduled_at.isoformat()}:{attempt}".encode()).hexdigest()


def error_type(error: str, exit_code: int | None) -> str:
    """A name for the kind of failure: timeout, an exception's, `exit code 2`, or error."""
    lines = error.strip().splitlines()
    if lines and _TIMED_OUT.match(lines[0]):
        return "timeout"
    # A traceback ends with its exception.
    for line in reversed(lines[-STACK_LINES:]):
        found = _EXCEPTION.match(line.strip())
        if found:
            return found[1].rpartition(".")[2]
    return f"exit code {exit_code}" if exit_code else "error"


def stack_hash(error: str) -> str:
    """The same for failures that differ in numbers, ids and addresses only: 16 hex digits."""
    lines = error.strip().splitlines()[-STACK_LINES:]
    folded = "\n".join(" ".join(_VARIES.sub("#", line).split()) for line in lines)
    return hashlib.sha256(folded.encode("utf-8", "surrogatepass")).hexdigest()[:16]


# --- Remembering ----------------------------------------------------------------------------------


def remember_executions(rows: Sequence[Worker], actor: Actor) -> None:
    """For each worker whose attempt has ended. An import brings its own history."""
    if actor.channel == "import":
        return
    for worker in rows:
        if worker.attempts and worker.status in _STATUS:
            try:
                with transaction.atomic():
                    _remember(worker, actor)
            except Erased as refusal:
                # The worker's end is another matter.
                count_kept_away(refusal)


def _remember(worker: Worker, actor: Actor) -> None:
    key = execution_key(worker.trace_id, worker.pk, worker.attempts)
    # Index memory_external_id_unique. The worker's row is locked by whoever changes it.
    if Memory.objects.filter(source=SOURCE, external_id=key).exists():
        return
    mission = Mission.objects.select_related("scheduled_mission").filter(worker=worker).first()
    data = _data(worker, mission)
    wanted = _ids(worker.params.get("causes"))
    evidence = [
        NewEvidence(event_id=row_id)
        for row_id in SessionEvent.objects.filter(pk__in=wanted).values_list("pk", flat=True)
    ]
    if mission is not None:
        evidence.append(NewEvidence(mission_id=mission.pk))
    memory, _ = create_memory(
        actor=actor,
        new=NewMemory(
            text=_text(worker, mission, data),
            fields={
                "kind": Kind.TASK_EXECUTION,
                "source": SOURCE,
                "external_id": key,
                "data": data,
                "method": _method(mission),
                "session_id": worker.run_session_id or worker.session_id,
                "project_id": _project_id(worker, mission),
                "confidence": 1.0,
                "confidence_method": "recorded",
            },
            causes=_causes(worker, wanted),
            evidence=evidence,
        ),
    )
    if worker.task_id is not None:
        funnel.append([MemoryAbout(memory=memory, task_id=worker.task_id)], actor=actor)
    _cause_children(worker, memory, actor)


def _data(worker: Worker, mission: Mission | None) -> dict[str, Any]:
    status = _STATUS[WorkerStatus(worker.status)]
    failed = status == FAILED
    scheduled_at = worker.created_at if mission is None else mission.scheduled_for
    what = worker.pk if mission is None else mission.scheduled_mission_id
    ended_at = worker.ended_at or worker.updated_at
    span = hashlib.sha256(f"{worker.pk}:{worker.attempts}".encode()).hexdigest()[:16]
    begun = worker.started_at
    return {
        "trace_id": worker.trace_id,
        "span_id": span,
        "attempt": worker.attempts,
        "max_attempts": worker.max_attempts,
        "final": worker.status in _ENDED,
        "idempotency_key": idempotency_key(what, scheduled_at, worker.attempts),
        "worker": str(worker.pk),
        "primitive": worker.primitive,
        "mission": None if mission is None else str(mission.pk),
        "scheduled_mission": None if mission is None else str(mission.scheduled_mission_id),
        "task": None if worker.task_id is None else str(worker.task_id),
        "status": status,
        "error": worker.error[:SAID_LENGTH] if failed else "",
        "error_type": error_type(worker.error, worker.exit_code) if failed else "",
        "stack_hash": stack_hash(worker.error) if failed else "",
        "scheduled_at": scheduled_at.isoformat(),
        "started_at": None if begun is None else begun.isoformat(),
        "ended_at": ended_at.isoformat(),
        "duration_seconds": None if begun is None else (ended_at - begun).total_seconds(),
        "exit_code": worker.exit_code,
    }


def _text(worker: Worker, mission: Mission | None, data: dict[str, Any]) -> str:
    """Words to be found by, and to be read."""
    name = worker.name or worker.primitive
    what = f"Worker {name}"
    if mission is not None:
        what = f"Mission {name} of {mission.scheduled_for:%Y-%m-%d %H:%M} UTC"
    tries = (
        "" if worker.max_attempts == 1 else f", attempt {worker.attempts} of {worker.max_attempts}"
    )
    took = data["duration_seconds"]
    lasted = "" if took is None else f" after {max(took, 0):.0f} s"
    parts = [f"{what}{tries}: {data['status']}{lasted}."]
    if worker.instructions:
        parts.append(f"Asked: {worker.instructions[:ASKED_LENGTH]}")
    if data["status"] == COMPLETE and worker.report_summary:
        parts.append(f"Outcome: {worker.report_summary[:SAID_LENGTH]}")
    if data["error"]:
        parts.append(f"Error: {data['error']}")
    return "\n".join(parts)


def _method(mission: Mission | None) -> str:
    by_hand = mission is None or mission.trigger == Trigger.MANUAL
    return "manual_task" if by_hand else "scheduled_task"


def _project_id(worker: Worker, mission: Mission | None) -> uuid.UUID | None:
    if mission is not None and mission.scheduled_mission.project_id is not None:
        found: uuid.UUID | None = mission.scheduled_mission.project_id
    else:
        found = None if worker.task is None else worker.task.project_id
    return found


# --- Causes ---------------------------------------------------------------------------------------


def _ids(named: Any) -> list[uuid.UUID]:
    """The full ids among what a caller named; the rest names nothing here."""
    texts = named if isinstance(named, list) else []
    found = (read_id(text) for text in texts[:MAX_LINKS] if isinstance(text, str))
    return [one for one in found if isinstance(one, uuid.UUID)]


def _causes(worker: Worker, named: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    """Memories of this workspace, what the caller named first."""
    causes = list(Memory.objects.filter(pk__in=list(named)).values_list("pk", flat=True))
    causes += _executions_of([worker])
    causes += _executions_of(Worker.objects.filter(dependents__worker=worker)[:MAX_LINKS])
    if worker.session_id is not None:
        causes += _executions_of(_parents(worker))
    return list(dict.fromkeys(causes))[:MAX_LINKS]


def _executions_of(rows: Iterable[Worker]) -> list[uuid.UUID]:
    """The last execution there is of each worker. Index memory_external_id_unique."""
    keys = {
        execution_key(row.trace_id, row.pk, attempt): row.pk
        for row in rows
        for attempt in range(1, row.attempts + 1)
    }
    found = Memory.objects.filter(source=SOURCE, external_id__any_of=list(keys))
    last: dict[uuid.UUID, uuid.UUID] = {}
    for memory_id, key in sorted(found.values_list("pk", "external_id"), key=lambda row: row[1]):
        last[keys[key]] = memory_id
    return list(last.values())


def _parents(worker: Worker) -> list[Worker]:
    """What ran in the session that spawned it, at that time. Index worker_run_session."""
    rows = Worker.objects.filter(
        run_session_id=worker.session_id, started_at__lte=worker.created_at
    )
    return list(rows.exclude(pk=worker.pk).order_by("-started_at")[:1])


def _cause_children(worker: Worker, memory: Memory, actor: Actor) -> None:
    """What it spawned has mostly ended before it does. Index worker_session."""
    if worker.run_session_id is None or worker.started_at is None:
        return
    children = Worker.objects.filter(
        session_id=worker.run_session_id, created_at__gte=worker.started_at, attempts__gt=0
    ).exclude(pk=worker.pk)
    for child in _executions_of(children.order_by("-created_at")[:MAX_LINKS]):
        link_memories(actor=actor, source_id=child, target_id=memory.pk, relation=Relation.CAUSE)
