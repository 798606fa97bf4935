"""Jobs of the sessions app. Each enters its own workspace_scope; `manage.py runjobs` runs them."""

import structlog
from procrastinate.contrib.django import app

from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from sessions.services import orphans, worker_runs

log = structlog.get_logger()

QUEUE = "sessions"


@app.periodic(cron="*/5 * * * *")
@app.task(name="sessions.end_orphans", queue=QUEUE, queueing_lock="end_orphans")
def end_orphans(timestamp: int) -> None:
    """End the sessions of every workspace that fell silent, a batch to a transaction.

    Two of these at once share the work: each skips what the other has locked.
    """
    actor = Actor("job", "sessions.end_orphans", "orphans", "job")
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        total, ended = 0, orphans.BATCH
        while ended == orphans.BATCH:
            with workspace_scope(workspace_id):
                ended = orphans.end_orphans(actor=actor)
            total += ended
        if total:
            log.info("sessions_orphaned", workspace=str(workspace_id), count=total)


@app.periodic(cron="* * * * *")
@app.task(name="sessions.tend_workers", queue=QUEUE, queueing_lock="tend_workers")
def tend_workers(timestamp: int) -> None:
    """Put back workers whose lease ran out, and wake the snoozed ones whose time has come, a
    batch to a transaction. A claim does so too; this is for when nobody claims.

    Two of these at once share the work: each skips what the other has locked.
    """
    actor = Actor("job", "sessions.tend_workers", "leases", "job")
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        for tend in (worker_runs.release_lost_leases, worker_runs.wake_snoozed):
            total, done = 0, worker_runs.BATCH
            while done == worker_runs.BATCH:
                with workspace_scope(workspace_id):
                    done = tend(actor=actor, limit=worker_runs.BATCH)
                total += done
            if total:
                log.info(tend.__name__, workspace=str(workspace_id), count=total)
