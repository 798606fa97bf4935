"""The job about retention: what is past its time goes, by night."""

import structlog
from procrastinate.contrib.django import app

from contacts.models import Workspace
from memory.services.retention import retain

log = structlog.get_logger()

QUEUE = "upkeep"


@app.periodic(cron="23 3 * * *")
@app.task(
    name="memory.retain", queue=QUEUE, queueing_lock="memory.retain", lock="memory.retain"
)  # fmt: skip
def retain_all(timestamp: int) -> None:
    """Each workspace by its own settings; one's trouble keeps none of the others from its turn."""
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        try:
            report = retain(workspace_id)
        except Exception:
            log.exception("not_retained", workspace=str(workspace_id))
            continue
        for one in report:
            if one.skipped:
                log.warning(
                    "not_retained", workspace=str(workspace_id), kind=one.kind, reason=one.skipped
                )
