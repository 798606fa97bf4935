"""Jobs that deliver pings: one for each delivery, and the sweep that finds what was missed."""

import uuid

from procrastinate.contrib.django import app

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from sessions.channels.failure import SendFailed
from sessions.channels.send import send
from sessions.services import ping_deliveries as deliveries


@app.task(name=deliveries.DELIVER_TASK, queue=deliveries.QUEUE)
def deliver_ping(workspace_id: str, delivery_id: str) -> None:
    """One attempt at one delivery: claim, send outside any transaction, record.

    Two of these at once send once. A failed attempt puts the next one off; after the last the
    delivery is failed, and says why.
    """
    workspace, delivery = uuid.UUID(workspace_id), uuid.UUID(delivery_id)
    with workspace_scope(workspace):
        letter = deliveries.claim(delivery)
    if letter is None:
        return
    try:
        send(letter)
    except SendFailed as failure:
        with workspace_scope(workspace):
            pause = deliveries.record_failed(delivery, attempt=letter.attempt, failure=failure)
        if pause is not None:
            deliveries.defer(workspace, delivery, pause=pause)
        return
    with workspace_scope(workspace):
        deliveries.record_sent(delivery)


@app.periodic(cron="* * * * *")
@app.task(name="sessions.sweep_pings", queue=deliveries.QUEUE, queueing_lock="sweep_pings")
def sweep_pings(timestamp: int) -> None:
    """Find deliveries whose time has come though no job is about them: after a crash, mostly."""
    for workspace_id in Workspace.objects.order_by("id").values_list("id", flat=True):
        with workspace_scope(workspace_id):
            found = deliveries.due()
        for delivery_id in found:
            deliveries.defer(workspace_id, delivery_id)
