"""Jobs about searches: golden queries are asked after a change."""

import uuid

from procrastinate.contrib.django import app

from config.lib.jobs import Job
from memory.services.golden import CHECK_TASK, QUEUE, check_golden, check_job


@app.task(name=CHECK_TASK, queue=QUEUE)
def ask_golden_queries(workspace_id: str, reason: str) -> None:
    """Ask a workspace's golden queries and keep what came back."""
    check_golden(uuid.UUID(workspace_id), reason=reason)


def check_soon(workspace_id: uuid.UUID, reason: str) -> None:
    """Have the golden queries asked by the job worker, behind what waits. Never raises."""
    job: Job = check_job(workspace_id, reason)
    job.defer()
