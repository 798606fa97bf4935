"""Jobs that learn from sessions: by rules as they go and end, and where one is configured by a
language model."""

import uuid

from django.conf import settings
from procrastinate.contrib.django import app

from contacts.models import Workspace
from memory.services import learning, queue
from memory.services.learning_marks import LEARN_TASK, learn_job

# Then the next job has its turn.
LEARNING_SECONDS = 1.0


@app.task(name=LEARN_TASK, queue=queue.QUEUE)
def learn(workspace_id: str) -> None:
    """Look at what is due in a workspace, for a slice of time."""
    workspace = uuid.UUID(workspace_id)
    if learning.learn_due(workspace, seconds=LEARNING_SECONDS):
        learn_job(workspace).defer()


@app.periodic(cron="* * * * *")
@app.task(name="memory.sweep_learning", queue=queue.QUEUE, queueing_lock="sweep_learning")
def sweep_learning(timestamp: int) -> None:
    """Look at what became due by being quiet, and at what no job looks at. Index learning_due."""
    if not settings.EXTRACT:
        return
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        if learning.learn_due(workspace_id, seconds=LEARNING_SECONDS):
            learn_job(workspace_id).defer()
