"""Telling the job worker that passages wait for their vectors.

A job carries a workspace's id and a lane, nothing else; the passages themselves are the queue.
At most one job per workspace and lane waits, so a thousand writes cost one. What is missed here
(a crash between commit and this) is found by the sweep in memory/tasks.py.
"""

import uuid
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task

from config.lib.scope import set_local
from memory.models.passage import Lane

log = structlog.get_logger()

EMBED_TASK = "memory.embed_passages"
QUEUE = "index"
# Bulk work runs when nothing else does.
PRIORITIES = {Lane.INTERACTIVE: 0, Lane.BULK: -10}


@dataclass(frozen=True, slots=True)
class _Defer:
    """The callback of a commit: equal ones are registered once in a transaction."""

    workspace_id: uuid.UUID
    lane: Lane

    def __call__(self) -> None:
        defer_now(self.workspace_id, self.lane)


def defer_embedding(workspace_id: uuid.UUID, lane: Lane) -> None:
    """Once this transaction has committed. An import calls it for each of its appends."""
    if settings.EMBEDDING_PROVIDER == "none":
        return
    wanted = _Defer(workspace_id, lane)
    if all(entry[1] != wanted for entry in connection.run_on_commit):
        transaction.on_commit(wanted)


def defer_now(workspace_id: uuid.UUID, lane: Lane, *, in_seconds: float = 0) -> None:
    """In a transaction of its own, not waited for on disk. Failing is logged, never raised: what
    the job is about is committed."""
    queueing_lock = f"embed:{workspace_id}:{lane.value}"
    deferrer = configure_task(
        name=EMBED_TASK,
        # Through Django's connection in every process: the worker's own one is asynchronous.
        job_manager=JobManager(DjangoConnector()),
        queue=QUEUE,
        queueing_lock=queueing_lock,
        priority=PRIORITIES[lane],
        schedule_in={"milliseconds": round(in_seconds * 1000)} if in_seconds else None,
    )
    try:
        # The unique index would tell too, but with an error in the server's log each time.
        if ProcrastinateJob.objects.filter(queueing_lock=queueing_lock, status="todo").exists():
            return
        with transaction.atomic():
            set_local("synchronous_commit", "off")
            deferrer.defer(workspace_id=str(workspace_id), lane=lane.value)
    except AlreadyEnqueued:
        return  # somebody did so a moment ago
    except (DatabaseError, ConnectorException) as error:
        log.warning("embedding_not_deferred", workspace=str(workspace_id), error=repr(error))
