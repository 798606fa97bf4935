"""Jobs that learn from sessions: by rules as they go and end, and where one is configured by a
language model."""

import uuid

from django.conf import settings
from procrastinate.contrib.django import app

from config.lib import clock
from config.lib.room import needs_room
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.models import Judgement, Learning
from memory.services import judgements, learning, proposals, queue
from memory.services.learning_marks import LEARN_TASK, learn_job

# Then the next job has its turn.
LEARNING_SECONDS = 1.0
PROPOSING_SECONDS = 20.0


@app.task(name=LEARN_TASK, queue=queue.QUEUE)
@needs_room
def learn(workspace_id: str) -> None:
    """Look at what is due in a workspace, for a slice of time."""
    workspace = uuid.UUID(workspace_id)
    if learning.learn_due(workspace, seconds=LEARNING_SECONDS):
        learn_job(workspace).defer()


@app.periodic(cron="* * * * *")
@app.task(name="memory.sweep_learning", queue=queue.QUEUE, queueing_lock="sweep_learning")
@needs_room
def sweep_learning(timestamp: int) -> None:
    """Look at what became due by being quiet, and at what no job looks at. Index learning_due."""
    if not settings.EXTRACT:
        return
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        if learning.learn_due(workspace_id, seconds=LEARNING_SECONDS):
            learn_job(workspace_id).defer()


@app.task(name=proposals.PROPOSE_TASK, queue=queue.QUEUE)
@needs_room
def propose(workspace_id: str) -> None:
    """Ask the configured model about sessions of a workspace, for a slice of time."""
    workspace = uuid.UUID(workspace_id)
    if proposals.propose_due(workspace, seconds=PROPOSING_SECONDS):
        proposals.propose_job(workspace).defer()


@app.task(name=judgements.TASK, queue=queue.QUEUE)
@needs_room
def judge_pairs(workspace_id: str) -> None:
    """Ask the configured model about pairs of memories, for a slice of time."""
    workspace = uuid.UUID(workspace_id)
    if judgements.judge_due(workspace, seconds=PROPOSING_SECONDS):
        judgements.judge_job(workspace).defer()


@app.periodic(cron="*/5 * * * *")
@app.task(name="memory.sweep_proposals", queue=queue.QUEUE, queueing_lock="sweep_proposals")
def sweep_proposals(timestamp: int) -> None:
    """Have a job ask for what was put off, or lost its job. Indexes learning_model_due,
    judgement_due."""
    if settings.EXTRACT_PROVIDER == "none":
        return
    now = clock.now()
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        with workspace_scope(workspace_id):
            due = Learning.objects.filter(model_due_at__lte=now).exists()
            pairs = judgements.is_on() and Judgement.objects.filter(due_at__lte=now).exists()
        if due:
            proposals.propose_job(workspace_id).defer()
        if pairs:
            judgements.judge_job(workspace_id).defer()
