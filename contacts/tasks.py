"""Jobs of the contacts app: sealing the record of changes.

Each enters its own workspace_scope. `manage.py runjobs` runs them.
"""

import structlog
from procrastinate.contrib.django import app

from contacts.models import Workspace
from contacts.services.seals import seal_settled

log = structlog.get_logger()

QUEUE = "upkeep"


@app.periodic(cron="*/5 * * * *")
@app.task(
    name="contacts.seal_revisions",
    queue=QUEUE,
    queueing_lock="seal_revisions",
    lock="seal_revisions",
)
def seal_revisions(timestamp: int) -> None:
    """Chain what was written since the last time. What a stopped job left is there the next time.

    One workspace's trouble (a lock, a lost connection) must not keep the others' from being
    sealed.
    """
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        try:
            sealed = seal_settled(workspace_id)
        except Exception:
            log.exception("revisions_not_sealed", workspace=str(workspace_id))
            continue
        if sealed:
            log.info("revisions_sealed", workspace=str(workspace_id), count=sealed)
