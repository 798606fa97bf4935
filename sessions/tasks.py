"""Jobs of the sessions app, those of pings in a module of their own. Each enters its own
workspace_scope; `manage.py runjobs` runs them."""

import uuid

import structlog
from procrastinate.contrib.django import app

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import DomainError
from config.lib.room import needs_room
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from sessions import tasks_pings
from sessions.services import (
    mission_runs,
    mission_starts,
    missions,
    orphans,
    priorities,
    worker_runs,
)

# Procrastinate looks for jobs in this module only.
__all__ = ["tasks_pings"]

log = structlog.get_logger()

QUEUE = missions.QUEUE
MISSIONS = Actor("job", missions.RUN_TASK, "missions", "job")
# Missions of one workspace that one tick looks at; the rest have their turn a minute later.
MISSIONS_BATCH = 500


@app.periodic(cron="*/5 * * * *")
@app.task(name="sessions.end_orphans", queue=QUEUE, queueing_lock="end_orphans")
@needs_room
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
@needs_room
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


@app.periodic(cron="* * * * *")
@app.task(name="sessions.run_missions", queue=QUEUE, queueing_lock="run_missions")
@needs_room
def run_missions(timestamp: int) -> None:
    """Begin what is due, in every workspace. What is due within the minute gets its own job."""
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        run_due_missions(workspace_id)


@app.task(name=missions.RUN_TASK, queue=QUEUE)
@needs_room
def run_workspace_missions(workspace_id: str) -> None:
    """The same for one workspace, at the second at which something is due there."""
    run_due_missions(uuid.UUID(workspace_id))


def run_due_missions(workspace_id: uuid.UUID) -> None:
    """A transaction for each mission: one that cannot be run keeps none of the others waiting.

    Two of these at once share the work: each skips what the other has locked, and finds nothing
    due where the other was before it.
    """
    now = clock.now()
    with workspace_scope(workspace_id):
        due = mission_starts.due_missions(now, MISSIONS_BATCH)
        waiting = mission_runs.missions_with_waiting(MISSIONS_BATCH)
    for run, ids in ((mission_starts.run_due, due), (mission_runs.start_next, waiting)):
        for scheduled_id in ids:
            try:
                with workspace_scope(workspace_id):
                    run(actor=MISSIONS, scheduled_id=scheduled_id)
            except DomainError as error:
                log.warning("mission_not_run", mission=str(scheduled_id), error=error.detail)
    with workspace_scope(workspace_id):
        coming = mission_starts.next_due()
    # What is due already could not be run: the next tick tries again.
    if coming is not None and now < coming < missions.next_tick(now):
        missions.wake_up(workspace_id, coming).defer()


# Time zones differ by quarters of an hour, so every midnight is one of these; and a night of
# downtime is made good by the first of them afterwards.
@app.periodic(cron="*/15 * * * *")
@app.task(name="sessions.carry_over", queue=QUEUE, queueing_lock="carry_over")
@needs_room
def carry_over(timestamp: int) -> None:
    """Put the open priorities of earlier days on today's lists, in every workspace, a batch to a
    transaction. Two of these at once do it once."""
    actor = Actor("job", "sessions.carry_over", "carry-over", "job")
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        total, done = 0, priorities.MAX_CARRIED
        while done == priorities.MAX_CARRIED:
            with workspace_scope(workspace_id):
                done = len(priorities.carry_over(actor=actor)) if priorities.has_overdue() else 0
            total += done
        if total:
            log.info("priorities_carried_over", workspace=str(workspace_id), count=total)
