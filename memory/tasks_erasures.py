"""Jobs of erasures: what each waits for, and those whose job died."""

import uuid

from procrastinate.contrib.django import app

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.services import erasures


@app.task(name=erasures.TASK, queue=erasures.QUEUE)
def work_erasure(workspace_id: str, erasure_id: str) -> None:
    """Look at what an erasure would do, or do it, as it was asked for."""
    erasures.work_erasure(uuid.UUID(workspace_id), uuid.UUID(erasure_id))


@app.periodic(cron="* * * * *")
@app.task(name="memory.sweep_erasures", queue=erasures.QUEUE, queueing_lock="sweep_erasures")
def sweep_erasures(timestamp: int) -> None:
    """Find erasures whose job died."""
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        with workspace_scope(workspace_id):
            for erasure_id in erasures.lost_erasures():
                erasures.job_of(erasure_id).defer_on_commit()
