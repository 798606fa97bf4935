"""Jobs of the Import page: what a run was begun for, runs whose job died, uploads of yesterday."""

import uuid

from procrastinate import JobContext
from procrastinate.contrib.django import app

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.importers import asked, job


@app.task(name=asked.TASK, queue=asked.QUEUE, pass_context=True)
def work_import(context: JobContext, workspace_id: str, run_id: str) -> None:
    """Do the next step of an import, all of it; it stops where the server does."""
    job.work(uuid.UUID(workspace_id), uuid.UUID(run_id), context.should_abort)


@app.periodic(cron="* * * * *")
@app.task(name="memory.sweep_imports", queue=asked.QUEUE, queueing_lock="sweep_imports")
def sweep_imports(timestamp: int) -> None:
    """Find imports whose job died."""
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        with workspace_scope(workspace_id):
            for run_id in asked.lost_runs():
                asked.job_of(run_id).defer_on_commit()


@app.periodic(cron="23 * * * *")
@app.task(name="memory.forget_uploads", queue=asked.QUEUE, queueing_lock="forget_uploads")
def forget_uploads(timestamp: int) -> None:
    """Delete what was uploaded and not imported within a day."""
    asked.forget_uploads()
