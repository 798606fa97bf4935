"""Telling the job worker that passages wait for their vectors.

A job carries a workspace's id and a lane, nothing else; the passages themselves are the queue.
At most one job per workspace and lane waits, so a thousand writes cost one. What is missed here
(a crash between commit and this) is found by the sweep in memory/tasks.py.
"""

import uuid
from datetime import timedelta

from django.conf import settings

from config.lib import clock
from config.lib.jobs import Job
from memory.models.passage import Lane

EMBED_TASK = "memory.embed_passages"
COMPARE_TASK = "memory.propose_duplicates"
QUEUE = "index"
# Bulk work runs when nothing else does.
PRIORITIES = {Lane.INTERACTIVE: 0, Lane.BULK: -10}
COMPARING_PRIORITY = -20


def defer_embedding(workspace_id: uuid.UUID, lane: Lane) -> None:
    """Once this transaction has committed. An import calls it for each of its appends."""
    if settings.EMBEDDING_PROVIDER != "none":
        _job(workspace_id, lane).defer_on_commit()


def defer_now(workspace_id: uuid.UUID, lane: Lane, *, in_seconds: float = 0) -> None:
    """In a transaction of its own, not waited for on disk; never raises."""
    _job(workspace_id, lane, in_seconds).defer()


def defer_comparing(workspace_id: uuid.UUID, *, in_seconds: float = 0) -> None:
    """New memories have their vectors: near duplicates can be looked for, after all else."""
    Job(
        task=COMPARE_TASK,
        queue=QUEUE,
        lock=f"duplicates:{workspace_id}",
        arguments={"workspace_id": str(workspace_id)},
        priority=COMPARING_PRIORITY,
        at=clock.now() + timedelta(seconds=in_seconds) if in_seconds else None,
    ).defer()


def _job(workspace_id: uuid.UUID, lane: Lane, in_seconds: float = 0) -> Job:
    return Job(
        task=EMBED_TASK,
        queue=QUEUE,
        lock=f"embed:{workspace_id}:{lane.value}",
        arguments={"workspace_id": str(workspace_id), "lane": lane.value},
        priority=PRIORITIES[lane],
        at=clock.now() + timedelta(seconds=in_seconds) if in_seconds else None,
    )
