"""Reads of workers and their output. Lists are values() rows; each says which index serves it."""

import uuid
from typing import Any, TypedDict

from django.db.models import Prefetch, QuerySet, prefetch_related_objects

from config.lib.db.lookup import find_row
from sessions.models import Worker, WorkerDependency, WorkerOutput
from sessions.models.worker import WorkerStatus
from sessions.schemas_workers import OutputOut, WorkerRow
from sessions.selectors import columns

Rows = QuerySet[Any, dict[str, Any]]
# A count over a big queue reads no further.
COUNTED_TO = 1000
# What somebody who watches is shown: the last pieces, the last characters of them.
WATCHED_PIECES, WATCHED = 100, 50_000


class WorkerFilter(TypedDict, total=False):
    """What a list of workers can be narrowed by; None and absent ask for nothing."""

    status: str | None
    primitive: str | None
    session_id: uuid.UUID | None
    conversation_id: str | None
    task_id: uuid.UUID | None
    trace_id: str | None
    claimed_by_id: uuid.UUID | None


def list_workers(wanted: WorkerFilter) -> Rows:
    """In the order ["-created_at", "-id"]. Index worker_list, or worker_status, worker_primitive,
    worker_session, worker_conversation, worker_task, worker_trace, worker_claimed_by under that
    filter; several filters check what one of these gives."""
    conditions = {name: value for name, value in wanted.items() if value is not None}
    return Worker.objects.filter(**conditions).values(*columns(Worker, WorkerRow))


def get_worker(text: str) -> Worker:
    """By a full or shortened id, with what it needs. Or NotFound."""
    return with_needs(find_row(Worker.objects.all(), text))


def with_needs(worker: Worker) -> Worker:
    """The same with what it needs read: one query, of index workerdependency_unique."""
    needs = WorkerDependency.objects.select_related("needs").order_by("id")
    needs = needs.only("worker_id", "needs_id", "needs__status")
    prefetch_related_objects([worker], Prefetch("dependencies", queryset=needs))
    return worker


def list_output(worker_id: uuid.UUID, *, after: int = 0) -> Rows:
    """In the order ["seq"], behind `after`. Index workeroutput_seq_unique."""
    rows = WorkerOutput.objects.filter(worker_id=worker_id, seq__gt=after)
    return rows.values(*columns(WorkerOutput, OutputOut))


def last_output(worker_id: uuid.UUID) -> str:
    """The end of what it printed, for people who watch. Index workeroutput_seq_unique."""
    rows = WorkerOutput.objects.filter(worker_id=worker_id).order_by("-seq")
    texts = list(rows.values_list("text", flat=True)[:WATCHED_PIECES])
    return "".join(reversed(texts))[-WATCHED:]


def count_queue(claimable: QuerySet[Worker]) -> dict[str, Any]:
    """Workers by status, and `claimable` ones, each counted up to COUNTED_TO. Indexes
    worker_status and worker_queue."""
    counts = {
        status: Worker.objects.filter(status=status).order_by()[:COUNTED_TO].count()
        for status in WorkerStatus
    }
    ready = claimable.order_by()[:COUNTED_TO].count()
    return {"counts": counts, "claimable": ready, "counted_to": COUNTED_TO}
