"""Jobs of the sessions app. Each enters its own workspace_scope; `manage.py runjobs` runs them."""

import structlog
from procrastinate.contrib.django import app

from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from sessions.services import orphans

log = structlog.get_logger()

QUEUE = "sessions"


@app.periodic(cron="*/5 * * * *")
@app.task(name="sessions.end_orphans", queue=QUEUE, queueing_lock="end_orphans")
def end_orphans(timestamp: int) -> None:
    """End the sessions of every workspace that fell silent, a batch to a transaction.

    Two of these at once share the work: each skips what the other has locked.
    """
    actor = Actor("job", "sessions.end_orphans", "orphans", "job")
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        total, ended = 0, orphans.BATCH
        while ended == orphans.BATCH:
            with workspace_scope(workspace_id):
                ended = orphans.end_orphans(actor=actor)
            total += ended
        if total:
            log.info("sessions_orphaned", workspace=str(workspace_id), count=total)
