"""Jobs of the sessions app. Each enters its own workspace_scope; `manage.py runjobs` runs them."""

import structlog
from procrastinate.contrib.django import app

from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from sessions.services import priorities

log = structlog.get_logger()

QUEUE = "sessions"


# Time zones differ by quarters of an hour, so every midnight is one of these; and a night of
# downtime is made good by the first of them afterwards.
@app.periodic(cron="*/15 * * * *")
@app.task(name="sessions.carry_over", queue=QUEUE, queueing_lock="carry_over")
def carry_over(timestamp: int) -> None:
    """Put the open priorities of earlier days on today's lists, in every workspace, a batch to a
    transaction. Two of these at once do it once."""
    actor = Actor("job", "sessions.carry_over", "carry-over", "job")
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        total, done = 0, priorities.MAX_CARRIED
        while done == priorities.MAX_CARRIED:
            with workspace_scope(workspace_id):
                done = len(priorities.carry_over(actor=actor)) if priorities.has_overdue() else 0
            total += done
        if total:
            log.info("priorities_carried_over", workspace=str(workspace_id), count=total)
