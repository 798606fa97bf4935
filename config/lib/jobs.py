"""Putting a job into the queue: on commit, through Django's own connection, at most one of a kind.

Not for what jobs do (each app's tasks.py). What is missed here (a crash between commit and
deferring) is found by the periodic sweep that every queue has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from django.db import DatabaseError, connection, transaction
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task

from config.lib.scope import set_local

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """`lock` names it: while one of the name waits, no other is put beside it. `arguments` are ids
    and numbers, never contents. `at` is when it may run at the earliest. `alone` says that no two
    of the name run at once: one that died with its worker holds the others up until it is found."""

    task: str
    queue: str
    lock: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0
    at: datetime | None = None
    alone: bool = False

    def defer_on_commit(self) -> None:
        """Once this transaction has committed; said twice in it, done once."""
        if all(getattr(entry[1], "__self__", None) != self for entry in connection.run_on_commit):
            transaction.on_commit(self.defer)

    def defer(self) -> None:
        """In a transaction of its own, not waited for on disk. Failing is logged, never raised:
        what the job is about is committed."""
        deferrer = configure_task(
            name=self.task,
            # Through Django's connection in every process: the worker's own one is asynchronous.
            job_manager=JobManager(DjangoConnector()),
            queue=self.queue,
            queueing_lock=self.lock,
            lock=self.lock if self.alone else None,
            priority=self.priority,
            schedule_at=self.at,
        )
        try:
            # The unique index would tell too, but with an error in the server's log each time.
            if ProcrastinateJob.objects.filter(queueing_lock=self.lock, status="todo").exists():
                return
            with transaction.atomic():
                set_local("synchronous_commit", "off")
                deferrer.defer(**self.arguments)
        except AlreadyEnqueued:
            return  # somebody did so a moment ago
        except (DatabaseError, ConnectorException) as error:
            log.warning("job_not_deferred", task=self.task, lock=self.lock, error=repr(error))
