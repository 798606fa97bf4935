"""Jobs about hooks: payloads are mapped right after they came."""

import time
import uuid

from procrastinate.contrib.django import app

from config.lib.room import needs_room
from contacts.models import Workspace
from memory.services import hooks

# Agents send in bursts; a moment makes one batch of them, and nobody sees the difference.
COLLECT_SECONDS = 0.1
# Then the next job has its turn.
MAPPING_SECONDS = 1.0
SWEEPING_SECONDS = 20.0


@app.task(name=hooks.MAP_TASK, queue=hooks.QUEUE)
@needs_room
def map_hooks(workspace_id: str) -> None:
    """Map what waits in a workspace, for a slice of time."""
    workspace = uuid.UUID(workspace_id)
    time.sleep(COLLECT_SECONDS)
    if hooks.map_waiting(workspace, seconds=MAPPING_SECONDS):
        hooks.map_job(workspace).defer()


@app.periodic(cron="* * * * *")
@app.task(name="memory.sweep_hooks", queue=hooks.QUEUE, queueing_lock="sweep_hooks")
@needs_room
def sweep_hooks(timestamp: int) -> None:
    """Map what waits though no job maps it, or one that died holds the others up. Index
    hookpayload_waiting."""
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        hooks.map_waiting(workspace_id, seconds=SWEEPING_SECONDS)
