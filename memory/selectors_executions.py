"""Reads of executions: memories of kind task_execution, see services/executions.py."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypedDict

from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform

from memory.models import Memory, MemoryLink
from memory.models.links import Relation
from memory.models.memory import Kind
from memory.services.executions import FAILED, SOURCE, execution_key, trace_prefix
from sessions.models import Worker

Rows = QuerySet[Any, dict[str, Any]]
COLUMNS = ("id", "text", "data", "agent_id", "session_id", "project_id", "recorded_at")
# As many failures are read to be grouped, the newest first.
GROUPED = 5000
_LAST = "f" * 32 + "9" * 8


class ExecutionFilter(TypedDict, total=False):
    """What a list of executions can be narrowed by; None and absent ask for nothing."""

    trace_id: str | None
    worker: Worker | None
    task_id: uuid.UUID | None
    mission_id: uuid.UUID | None
    scheduled_mission_id: uuid.UUID | None
    status: str | None
    since: datetime | None
    until: datetime | None


_LOOKUPS = {
    "task_id": "about__task_id",
    "mission_id": "evidence__mission_id",
    "scheduled_mission_id": "evidence__mission__scheduled_mission_id",
    "status": "data__status",
    "since": "recorded_at__gte",
    "until": "recorded_at__lt",
}


def list_executions(wanted: ExecutionFilter) -> Rows:
    """In the order ["-recorded_at", "-id"]. Index memory_kind; by trace or worker
    memory_external_id_unique, by task memoryabout_task, by mission evidence_mission (and
    mission_history), failed ones memory_execution_failed; the others are checked on the rows that
    these give."""
    conditions = {_LOOKUPS[k]: v for k, v in wanted.items() if v is not None and k in _LOOKUPS}
    rows = Memory.objects.filter(kind=Kind.TASK_EXECUTION, **conditions)
    worker, trace = wanted.get("worker"), wanted.get("trace_id")
    if trace is not None:
        start = trace_prefix(trace)
        rows = rows.filter(
            source=SOURCE, external_id__gte=start + "0" * 40, external_id__lte=start + _LAST
        )
    if worker is not None:
        first = execution_key(worker.trace_id, worker.pk, 0)
        last = execution_key(worker.trace_id, worker.pk, 99_999_999)
        rows = rows.filter(source=SOURCE, external_id__gte=first, external_id__lte=last)
    return rows.values(*COLUMNS)


def causes_of(memories: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[uuid.UUID]]:
    """The causes of each. Index memorylink_unique."""
    found: dict[uuid.UUID, list[uuid.UUID]] = {}
    rows = MemoryLink.objects.filter(source_id__in=list(memories), relation=Relation.CAUSE)
    for source, target in rows.order_by("id").values_list("source_id", "target_id"):
        found.setdefault(source, []).append(target)
    return found


def group_failures(since: datetime, limit: int) -> dict[str, Any]:
    """Failures since then by their stack_hash, what failed last first:
    {groups [{stack_hash, error_type, error, count, workers, first_at, last_at, last_id}],
    considered, complete}. Of at most GROUPED failures. Index memory_execution_failed."""
    rows = list_executions({"status": FAILED, "since": since}).order_by("-recorded_at", "-id")
    texts = {
        name: KeyTextTransform(name, "data")
        for name in ("stack_hash", "error_type", "error", "worker")
    }
    found = list(rows.values("id", "recorded_at", **texts)[: GROUPED + 1])
    groups: dict[str, dict[str, Any]] = {}
    for row in found[:GROUPED]:
        group = groups.setdefault(
            row["stack_hash"] or "",
            {
                "stack_hash": row["stack_hash"] or "",
                "error_type": row["error_type"] or "",
                "error": row["error"] or "",
                "count": 0,
                "seen": set(),
                "last_at": row["recorded_at"],
                "last_id": row["id"],
            },
        )
        group["count"] += 1
        group["first_at"] = row["recorded_at"]
        group["seen"].add(row["worker"])
    for group in groups.values():
        group["workers"] = len(group.pop("seen"))
    return {
        "groups": list(groups.values())[:limit],
        "considered": min(len(found), GROUPED),
        "complete": len(found) <= GROUPED and len(groups) <= limit,
    }
