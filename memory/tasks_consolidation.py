"""Jobs that tell episodes as narratives, once a day, where the workspace wants it."""

import uuid

import structlog
from procrastinate.contrib.django import app

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from contacts.preferences import preferences
from memory.models import ConsolidationRun
from memory.models.consolidation import ConsolidationState
from memory.services import consolidation, queue

log = structlog.get_logger()
JOB = Actor("system", "consolidation", "consolidation", "job")


@app.task(name=consolidation.TASK, queue=queue.QUEUE)
def consolidate(workspace_id: str) -> None:
    """Do the run that was begun in a workspace, from where it stopped."""
    consolidation.work(uuid.UUID(workspace_id))


@app.periodic(cron="52 3 * * *")
@app.task(
    name="memory.begin_consolidations", queue=queue.QUEUE, queueing_lock="begin_consolidations"
)
def begin_consolidations(timestamp: int) -> None:
    """Begin a run in each workspace that has it switched on."""
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        with workspace_scope(workspace_id):
            if not preferences().consolidation.enabled:
                continue
            try:
                consolidation.begin(actor=JOB, again=False)
            except Conflict:
                continue


@app.periodic(cron="*/5 * * * *")
@app.task(
    name="memory.sweep_consolidations", queue=queue.QUEUE, queueing_lock="sweep_consolidations"
)
def sweep_consolidations(timestamp: int) -> None:
    """Find runs whose job died. Index consolidationrun_open."""
    before = clock.now() - consolidation.LOST
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        with workspace_scope(workspace_id):
            lost = ConsolidationRun.objects.filter(
                state=ConsolidationState.RUNNING, beat_at__lt=before
            ).exists()
        if lost:
            consolidation.consolidate_job(workspace_id).defer()
