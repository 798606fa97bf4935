"""Jobs about searches: what is past its time goes, golden queries are asked after a change."""

import uuid

from procrastinate.contrib.django import app

from config.lib.jobs import Job
from contacts.models import Workspace
from memory.services import receipts
from memory.services.golden import CHECK_TASK, QUEUE, check_golden, check_job, forget_runs


@app.periodic(cron="23 3 * * *")
@app.task(
    name="memory.forget_receipts", queue=QUEUE, queueing_lock="forget_receipts",
    lock="forget_receipts",
)  # fmt: skip
def forget_receipts(timestamp: int) -> None:
    """Delete the searches and the golden runs that are past their time. Index receipt_list."""
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        receipts.forget_receipts(workspace_id)
        forget_runs(workspace_id)


@app.task(name=CHECK_TASK, queue=QUEUE)
def ask_golden_queries(workspace_id: str, reason: str) -> None:
    """Ask a workspace's golden queries and keep what came back."""
    check_golden(uuid.UUID(workspace_id), reason=reason)


def check_soon(workspace_id: uuid.UUID, reason: str) -> None:
    """Have the golden queries asked by the job worker, behind what waits. Never raises."""
    job: Job = check_job(workspace_id, reason)
    job.defer()
