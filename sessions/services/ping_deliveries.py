"""Deliveries: which channels a ping goes to, who sends it, and what came of it.

A delivery is claimed before it is sent: a claim counts an attempt and puts `next_attempt_at`
behind the longest time that sending can take, so that of two job workers one has it, and one that
died loses it again. Sending itself (sessions/channels) happens between two transactions, never in
one: a receiver that took the ping just before the power went may get it twice, never not at all.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task

from config.lib import clock
from config.lib.actor import Actor
from config.lib.admin.show import change_url
from config.lib.errors import NotFound
from config.lib.scope import current_workspace_id
from contacts.models import Workspace
from contacts.services import funnel
from sessions.channels.failure import SendFailed
from sessions.channels.shapes import Letter
from sessions.models import Ping, PingChannel, PingDelivery
from sessions.models.attention import ChannelKind, DeliveryStatus, PingState, Severity

log = structlog.get_logger()

DELIVER_TASK = "sessions.deliver_ping"
QUEUE = "pings"
# A person waits for these; vectors do not mind.
PRIORITY = 10
MAX_ATTEMPTS = 6
# 30 s, 2 min, 8 min, 32 min, then an hour, unless the receiver asks for longer.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
# Longer than sending takes at the very most, a mail server's ten-second steps included.
CLAIM = timedelta(minutes=5)
SWEEP_LIMIT = 500
_ORDER = list(Severity)


def plan(ping: Ping, *, actor: Actor) -> list[PingDelivery]:
    """A delivery for each enabled channel of the ping's severity, sent after the commit."""
    up_to = _ORDER[_ORDER.index(Severity(ping.severity)) :]
    channels = PingChannel.objects.filter(enabled=True, min_severity__in=up_to)
    return plan_on(ping, list(channels.order_by("name")), actor=actor)


def plan_on(ping: Ping, channels: list[PingChannel], *, actor: Actor) -> list[PingDelivery]:
    """A delivery for each of `channels`. A browser's waits for an open page to ask for it."""
    rows = [
        PingDelivery(
            ping=ping,
            channel=channel,
            next_attempt_at=None if channel.kind == ChannelKind.BROWSER else ping.created_at,
        )
        for channel in channels
    ]
    funnel.append(rows, actor=actor)
    for row in rows:
        if row.next_attempt_at is not None:
            transaction.on_commit(_Defer(current_workspace_id(), row.id))
    return rows


@dataclass(frozen=True, slots=True)
class _Defer:
    """The callback of a commit."""

    workspace_id: uuid.UUID
    delivery_id: uuid.UUID

    def __call__(self) -> None:
        defer(self.workspace_id, self.delivery_id)


def defer(
    workspace_id: uuid.UUID, delivery_id: uuid.UUID, *, pause: timedelta | None = None
) -> None:
    """Hand a delivery to the job worker; once, however often it is called. Outside a scope.

    Failing is logged, never raised: the delivery is committed, and the sweep will find it.
    """
    lock = f"ping:{delivery_id}"
    deferrer = configure_task(
        name=DELIVER_TASK,
        # Through Django's connection in every process: the worker's own one is asynchronous.
        job_manager=JobManager(DjangoConnector()),
        queue=QUEUE,
        queueing_lock=lock,
        priority=PRIORITY,
        schedule_in={"seconds": round(pause.total_seconds())} if pause else None,
    )
    try:
        # The unique index would tell too, but with an error in the server's log each time.
        if ProcrastinateJob.objects.filter(queueing_lock=lock, status="todo").exists():
            return
        with transaction.atomic():
            deferrer.defer(workspace_id=str(workspace_id), delivery_id=str(delivery_id))
    except AlreadyEnqueued:
        return  # somebody did so a moment ago
    except (DatabaseError, ConnectorException) as error:
        log.warning("delivery_not_deferred", delivery=str(delivery_id), error=repr(error))


def due(*, limit: int = SWEEP_LIMIT) -> list[uuid.UUID]:
    """Deliveries of this workspace whose time has come, longest first. Index pingdelivery_due."""
    rows = PingDelivery.objects.filter(
        status=DeliveryStatus.PENDING, next_attempt_at__lte=clock.now()
    )
    return list(rows.order_by("next_attempt_at").values_list("id", flat=True)[:limit])


def claim(delivery_id: uuid.UUID) -> Letter | None:
    """Take a delivery for one attempt: what to send, or None where it is not to be sent now.

    None where somebody else has it, it is done, it was deleted, or there is no more point in it
    (then it fails here, and says why).
    """
    try:
        row = funnel.get_row(PingDelivery, delivery_id, lock=True)
    except NotFound:
        return None
    now = clock.now()
    if row.status != DeliveryStatus.PENDING or row.next_attempt_at is None:
        return None
    if row.next_attempt_at > now:
        return None
    refusal = _pointless(row)
    if refusal:
        funnel.touch(row, status=DeliveryStatus.FAILED, error=refusal, next_attempt_at=None)
        return None
    funnel.touch(row, attempts=row.attempts + 1, next_attempt_at=now + CLAIM)
    return _letter(row)


def _pointless(row: PingDelivery) -> str:
    if not row.channel.enabled:
        return "Not sent: the channel is switched off."
    state = row.ping.state
    if state in (PingState.RESOLVED, PingState.EXPIRED):
        return f"Not sent: the ping is {state.value} already."
    if row.attempts >= MAX_ATTEMPTS:
        return "Given up: whoever was to send it stopped in the middle, again and again."
    return ""


def _letter(row: PingDelivery) -> Letter:
    ping, channel = row.ping, row.channel
    return Letter(
        delivery_id=row.id,
        attempt=row.attempts,
        kind=channel.kind,
        target=channel.target,
        secret=channel.secret,
        workspace=Workspace.objects.get(pk=current_workspace_id()).name,
        agent=ping.agent.name if ping.agent is not None else "",
        ping_id=ping.id,
        message=ping.message,
        severity=ping.severity,
        options=ping.options,
        session_id=ping.session_id,
        conversation_id=ping.conversation_id,
        created_at=ping.created_at,
        expires_at=ping.expires_at,
        link=settings.PUBLIC_URL + (change_url(ping._meta.label_lower, ping.pk) or "/admin/"),
    )


def record_sent(delivery_id: uuid.UUID) -> None:
    """A receiver took it, whichever attempt that was; the ping is delivered from then on."""
    rows = _locked(delivery_id)
    if rows is None:
        return
    ping, row = rows
    if row.status == DeliveryStatus.PENDING:
        now = clock.now()
        funnel.touch(row, status=DeliveryStatus.SENT, sent_at=now, next_attempt_at=None, error="")
        if ping.delivered_at is None:
            funnel.touch(ping, delivered_at=now)


def record_failed(delivery_id: uuid.UUID, *, attempt: int, failure: SendFailed) -> timedelta | None:
    """One attempt failed; how long until the next, or None where there is none."""
    rows = _locked(delivery_id)
    if rows is None:
        return None
    _, row = rows
    if row.status != DeliveryStatus.PENDING or row.attempts != attempt:
        return None  # the claim had run out, and another attempt has it
    if failure.final or attempt >= MAX_ATTEMPTS:
        funnel.touch(row, status=DeliveryStatus.FAILED, error=failure.detail, next_attempt_at=None)
        return None
    pause = pause_after(attempt, failure.retry_after)
    funnel.touch(row, error=failure.detail, next_attempt_at=clock.now() + pause)
    return pause


def _locked(delivery_id: uuid.UUID) -> tuple[Ping, PingDelivery] | None:
    """The ping before its delivery, as deleting a ping locks them: two orders would deadlock."""
    found = PingDelivery.objects.filter(pk=delivery_id).values_list("ping_id", flat=True).first()
    if found is None:
        return None
    try:
        return (
            funnel.get_row(Ping, found, lock=True),
            funnel.get_row(PingDelivery, delivery_id, lock=True),
        )
    except NotFound:
        return None


def pause_after(attempt: int, retry_after: float | None) -> timedelta:
    """Before the next attempt: four times as long each time, or as long as the receiver asks."""
    pause = FIRST_PAUSE * 4 ** (attempt - 1)
    if retry_after is not None:
        pause = max(pause, timedelta(seconds=min(retry_after, LONGEST_PAUSE.total_seconds())))
    return min(pause, LONGEST_PAUSE)


def take_for_browser(*, after: datetime, limit: int) -> list[PingDelivery]:
    """What an open page of this workspace shows: pings of browser channels made after `after`,
    newest first, with ping and agent. The first page that asks makes them delivered.

    Index pingdelivery_channel, after the workspace's few channels.
    """
    channels = list(
        PingChannel.objects.filter(kind=ChannelKind.BROWSER, enabled=True).values_list(
            "id", flat=True
        )
    )
    if not channels:
        return []
    rows = PingDelivery.objects.filter(
        channel_id__in=channels, created_at__gt=after, ping__resolved_at=None
    )
    found = list(rows.select_related("ping", "ping__agent").order_by("-created_at", "-id")[:limit])
    for row in found:
        if row.status == DeliveryStatus.PENDING:
            record_sent(row.id)
    return [row for row in found if row.ping.state is not PingState.EXPIRED]
