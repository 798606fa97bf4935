"""Jobs about hooks: payloads are mapped right after they came, and forgotten after their time."""

import uuid

from procrastinate.contrib.django import app

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.models import HookPayload
from memory.models.hooks import PayloadState
from memory.services import hooks

# Then the next job has its turn.
MAPPING_SECONDS = 1.0


@app.task(name=hooks.MAP_TASK, queue=hooks.QUEUE)
def map_hooks(workspace_id: str) -> None:
    """Map what waits in a workspace, for a slice of time."""
    workspace = uuid.UUID(workspace_id)
    if hooks.map_waiting(workspace, seconds=MAPPING_SECONDS):
        hooks.map_job(workspace).defer()


@app.periodic(cron="* * * * *")
@app.task(name="memory.sweep_hooks", queue=hooks.QUEUE, queueing_lock="sweep_hooks")
def sweep_hooks(timestamp: int) -> None:
    """Find workspaces where payloads wait though no job does. Index hookpayload_waiting."""
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        with workspace_scope(workspace_id):
            waits = HookPayload.objects.filter(state=PayloadState.WAITING).exists()
        if waits:
            hooks.map_job(workspace_id).defer()


@app.periodic(cron="43 3 * * *")
@app.task(
    name="memory.forget_hooks", queue=hooks.QUEUE, queueing_lock="forget_hooks",
    lock="forget_hooks",
)  # fmt: skip
def forget_hooks(timestamp: int) -> None:
    """Delete the payloads that are past their time."""
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        hooks.forget_payloads(workspace_id)
