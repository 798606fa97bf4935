"""Jobs of the memory app: vectors, the sweep that finds what was missed, kept counts, and old rows.

Each enters its own workspace_scope; procrastinate closes the connection of a job's thread after
it. `manage.py runjobs` runs them.
"""

import time
import uuid
from datetime import timedelta

import structlog
from procrastinate import JobContext
from procrastinate.contrib.django import app
from procrastinate.jobs import Status

from config.lib import clock
from config.lib.db.again import again
from config.lib.room import needs_room
from config.lib.scope import workspace_scope
from contacts.models import IdempotencyKey, Workspace
from memory import (
    tasks_backup,
    tasks_consolidation,
    tasks_erasures,
    tasks_hooks,
    tasks_imports,
    tasks_learning,
    tasks_recall,
    tasks_retention,
)
from memory.embedding import EmbeddingError, get_embedder
from memory.embedding.backoff import Backoff
from memory.models.passage import Lane
from memory.services import duplicates, embedding, queue
from memory.services.counts import refresh_counts

__all__ = [
    "tasks_backup",
    "tasks_consolidation",
    "tasks_erasures",
    "tasks_hooks",
    "tasks_imports",
    "tasks_learning",
    "tasks_recall",
    "tasks_retention",
]

log = structlog.get_logger()

# Answers are promised for a day; one hour more for clocks that differ.
IDEMPOTENCY_LIFETIME = timedelta(hours=25)
# Failed jobs are kept as long for a person to see.
FINISHED_JOB_HOURS = 24
# Single writes come in streams; a tenth of a second makes one batch of a dozen, and leaves the
# processor to those who write.
COLLECT_SECONDS = 0.1
# Then the next job has its turn.
COMPARING_SECONDS = 0.75


backoff = Backoff()


@app.task(name=queue.EMBED_TASK, queue=queue.QUEUE)
@needs_room
def embed_passages(workspace_id: str, lane: int) -> None:
    """Embed what waits in a workspace for a slice of time, then let others have their turn."""
    workspace, asked = uuid.UUID(workspace_id), Lane(lane)
    provider = embedding.provider_of(workspace)
    wait = backoff.left(provider)
    if wait:
        queue.defer_now(workspace, asked, in_seconds=wait)
        return
    if asked is Lane.INTERACTIVE:
        time.sleep(COLLECT_SECONDS)
    try:
        report = embedding.embed_pending(workspace, seconds=embedding.SLICE_SECONDS[asked])
    except EmbeddingError as error:
        wait = backoff.failed(provider, error.retry_after)
        log.warning("embedding_failed", workspace=workspace_id, error=str(error), again_in=wait)
        queue.defer_now(workspace, asked, in_seconds=wait)
        return
    backoff.passed(provider)
    if report.embedded:
        queue.defer_comparing(workspace)
    if report.waiting is not None:
        queue.defer_now(workspace, report.waiting)
    elif asked is Lane.BULK and report.embedded:
        # An import or a rebuilt index is through: does search still find what it must?
        tasks_recall.check_soon(workspace, "reindex")


@app.periodic(cron="* * * * *")
@app.task(name="memory.sweep_passages", queue=queue.QUEUE, queueing_lock="sweep_passages")
def sweep_passages(timestamp: int) -> None:
    """Find workspaces where something waits though no job does: after a crash, mostly."""
    embeds = get_embedder() is not None
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        with workspace_scope(workspace_id):
            lanes = [lane for lane in queue.PRIORITIES if embeds and embedding.has_pending(lane)]
            uncompared = duplicates.has_uncompared()
        for lane in lanes:
            queue.defer_now(workspace_id, lane)
        if uncompared:
            queue.defer_comparing(workspace_id)


@app.task(name=queue.COMPARE_TASK, queue=queue.QUEUE)
@needs_room
def propose_duplicates(workspace_id: str) -> None:
    """Compare new memories with what is near them and what shares their words, for a slice of
    time."""
    workspace, end = uuid.UUID(workspace_id), time.monotonic() + COMPARING_SECONDS
    more = True
    while more and time.monotonic() < end:
        # One of two that are alike may go before the pair is written.
        _, more = again(lambda: duplicates.propose(workspace))
    if more:
        # Nobody waits for this; searches and embedding have the processor in between.
        queue.defer_comparing(workspace, in_seconds=COMPARING_SECONDS)


@app.periodic(cron="*/2 * * * *")
@app.task(
    name="memory.count_rows", queue=queue.QUEUE, queueing_lock="count_rows", lock="count_rows"
)
def count_rows(timestamp: int) -> None:
    """Keep the counts of large tables up to date, for the stats."""
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        refresh_counts(workspace_id)


@app.periodic(cron="17 * * * *")
@app.task(name="memory.forget_answers", queue=queue.QUEUE, queueing_lock="forget_answers")
def forget_answers(timestamp: int) -> None:
    """Delete the answers kept for repeated requests after their day. Index idempotencykey_age."""
    before = clock.now() - IDEMPOTENCY_LIFETIME
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        with workspace_scope(workspace_id):
            IdempotencyKey.objects.filter(created_at__lt=before).delete()


@app.periodic(cron="7-59/10 * * * *")
@app.task(
    name="memory.forget_jobs", queue=queue.QUEUE, queueing_lock="forget_jobs", pass_context=True
)
async def forget_jobs(context: JobContext, timestamp: int) -> None:
    """Delete finished jobs of every queue after a day."""
    await context.app.job_manager.delete_old_jobs(
        nb_hours=FINISHED_JOB_HOURS,
        include_failed=True,
        include_cancelled=True,
        include_aborted=True,
    )


# Soon: a job that died holds its lock, and no other of that lock runs until it is gone.
@app.periodic(cron="* * * * *")
@app.task(
    name="memory.forget_dead_jobs",
    queue=queue.QUEUE,
    queueing_lock="forget_dead_jobs",
    pass_context=True,
)
async def forget_dead_jobs(context: JobContext, timestamp: int) -> None:
    """Delete jobs of every queue that died with their worker: what they were about is found by
    their sweeps."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs():
        await manager.finish_job(job, status=Status.ABORTED, delete_job=True)
