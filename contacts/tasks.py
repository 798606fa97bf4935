"""Jobs of the contacts app: sealing the record of changes, storage, bulk runs, old sign-ins.

Each enters its own workspace_scope. `manage.py runjobs` runs them.
"""

import time
import uuid

import structlog
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.utils import timezone
from procrastinate.contrib.django import app

from config.lib.errors import NoRoom
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from contacts.services import bulk, usage
from contacts.services.seals import seal_settled

log = structlog.get_logger()

QUEUE = "upkeep"
# Then the next job has its turn.
BULK_SECONDS = 5


@app.periodic(cron="*/5 * * * *")
@app.task(
    name="contacts.seal_revisions",
    queue=QUEUE,
    queueing_lock="seal_revisions",
    lock="seal_revisions",
)
def seal_revisions(timestamp: int) -> None:
    """Chain what was written since the last time. What a stopped job left is there the next time.

    One workspace's trouble (a lock, a lost connection) must not keep the others' from being
    sealed.
    """
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        try:
            sealed = seal_settled(workspace_id)
        except Exception:
            log.exception("revisions_not_sealed", workspace=str(workspace_id))
            continue
        if sealed:
            log.info("revisions_sealed", workspace=str(workspace_id), count=sealed)


@app.periodic(cron="41 3 * * *")
@app.task(
    name="contacts.clear_sign_ins",
    queue=QUEUE,
    queueing_lock="clear_sign_ins",
    lock="clear_sign_ins",
)
def clear_sign_ins(timestamp: int) -> None:
    """Sign-ins that ended by themselves, and where they had been."""
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()


@app.periodic(cron="11 * * * *")
@app.task(
    name="contacts.measure_storage",
    queue=QUEUE,
    queueing_lock="measure_storage",
    lock="measure_storage",
)
def measure_storage(timestamp: int) -> None:
    """What the rows of each workspace take, for its budget and for people."""
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        try:
            usage.measure_storage(workspace_id)
        except DatabaseError:
            log.exception("storage_not_measured", workspace=str(workspace_id))


@app.task(name=bulk.TASK, queue=bulk.QUEUE)
def work_bulk_run(workspace_id: str, run_id: str) -> None:
    """Go on with a bulk run for a slice of time, each slice of rows in a transaction."""
    # Late: the actions are those of the admin's lists, which nothing else of a job needs.
    from contacts.admin.bulk import work_slice

    workspace, run = uuid.UUID(workspace_id), uuid.UUID(run_id)
    end, more = time.monotonic() + BULK_SECONDS, True
    while more and time.monotonic() < end:
        try:
            with workspace_scope(workspace):
                more = work_slice(run)
        except NoRoom:
            # The sweep finds it again. Not asked before: deleting goes on, and makes room.
            return
    if more:
        with workspace_scope(workspace):
            bulk.job_of(run).defer_on_commit()


@app.periodic(cron="* * * * *")
@app.task(name="contacts.sweep_bulk_runs", queue=QUEUE, queueing_lock="sweep_bulk_runs")
def sweep_bulk_runs(timestamp: int) -> None:
    """Find runs whose job died."""
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        with workspace_scope(workspace_id):
            for run_id in bulk.lost_runs():
                bulk.job_of(run_id).defer_on_commit()
