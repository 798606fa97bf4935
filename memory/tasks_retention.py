"""Jobs about time that has passed: by night what is past its time goes, and all day memories past
`expires_at` are archived."""

import structlog
from django.db import DatabaseError
from procrastinate.contrib.django import app

from config.lib.errors import DomainError
from config.lib.room import needs_room
from contacts.models import Workspace
from memory.services import expiry
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


@app.periodic(cron="*/5 * * * *")
@app.task(
    name="memory.expire", queue=QUEUE, queueing_lock="memory.expire", lock="memory.expire"
)  # fmt: skip
@needs_room
def expire_memories(timestamp: int) -> None:
    """Archive what is past `expires_at`; nobody is shown it since that moment."""
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        try:
            count = expiry.expire_due(workspace_id)
        except (DomainError, DatabaseError) as error:
            log.warning("not_expired", workspace=str(workspace_id), error=type(error).__name__)
            continue
        if count:
            log.info("expired", workspace=str(workspace_id), memories=count)
