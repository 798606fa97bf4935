"""What a run writes of its worker: each call a short transaction on a connection of its own, so
that nothing is held while the command runs.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection

from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from sessions.models import Worker
from sessions.services import worker_runs


@contextmanager
def short_scope(workspace_id: uuid.UUID) -> Iterator[None]:
    """A scope whose connection is given back after it, also a broken one."""
    try:
        with workspace_scope(workspace_id):
            yield
    finally:
        connection.close()


class Record:
    """One claimed worker. Everything raises Conflict once the lease is somebody else's."""

    def __init__(self, workspace_id: uuid.UUID, actor: Actor, worker: Worker) -> None:
        assert worker.lease_id is not None
        self.workspace_id, self.actor = workspace_id, actor
        self._held: dict[str, Any] = {"worker_id": worker.pk, "lease_id": worker.lease_id}

    def beat(self, lease_seconds: int) -> Worker:
        return self._do(worker_runs.beat, lease_seconds=lease_seconds)

    def print(self, pieces: Sequence[tuple[str, str]]) -> None:
        self._do(worker_runs.append_output, actor=self.actor, pieces=pieces)

    def complete(self, report: str) -> None:
        self._do(worker_runs.complete, actor=self.actor, report=report, exit_code=0)

    def fail(self, error: str, **more: Any) -> None:
        self._do(worker_runs.fail, actor=self.actor, error=error[:20_000], **more)

    def release(self, reason: str) -> None:
        self._do(worker_runs.release, actor=self.actor, reason=reason)

    def _do(self, service: Callable[..., Any], **arguments: Any) -> Any:
        with short_scope(self.workspace_id):
            return service(**self._held, **arguments)
