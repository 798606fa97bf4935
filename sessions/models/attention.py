"""What agents want from people, and what they tell one another: pings, notifications, staged
content, handoffs."""

from datetime import UTC, datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Coalesce

from config.lib import clock
from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import SourcedRow, VersionedRow, WorkspaceRow, unique_external_id


class Severity(models.TextChoices):
    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class PingState(models.TextChoices):
    """What follows from a ping's times; no column holds it."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    EXPIRED = "expired"


# When a ping expires that does not; `UNTIL` is the same for all of them, so that an index has it.
FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
UNTIL = Coalesce("expires_at", models.Value(FOREVER, models.DateTimeField()))


class Ping(SourcedRow):
    """An agent asks a person to look, or to answer.

    `options` are answers to choose from; any other text is an answer too. Each time is set once:
    delivered (a channel took it), seen (somebody opened it), acknowledged, resolved (answered, or
    settled without), expired ones are those past `expires_at`.
    """

    agent = ScopedForeignKey("contacts.Agent", null=True, blank=True, related_name="pings")
    session = ScopedForeignKey(
        "agent_sessions.Session", null=True, blank=True, related_name="pings"
    )
    conversation_id = models.CharField(max_length=120, blank=True)
    message = models.TextField(max_length=20_000)
    severity = models.CharField(max_length=20, choices=Severity, default=Severity.NORMAL)
    options = ArrayField(models.CharField(max_length=500), default=list, blank=True)
    answer = models.TextField(blank=True, max_length=20_000)
    answered_by = models.CharField(max_length=200, blank=True, editable=False)
    delivered_at = models.DateTimeField(null=True, blank=True, editable=False)
    seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    acknowledged_at = models.DateTimeField(null=True, blank=True, editable=False)
    resolved_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta(SourcedRow.Meta):
        constraints = [unique_external_id("ping_external_id_unique")]
        indexes = [
            # the list, newest first, and under each of its filters
            models.Index(fields=["workspace", "-created_at", "-id"], name="ping_list"),
            models.Index(
                fields=["workspace", "severity", "-created_at", "-id"], name="ping_severity"
            ),
            models.Index(
                fields=["workspace", "conversation_id", "-created_at", "-id"],
                name="ping_conversation",
            ),
            # those that nobody resolved; the open ones among many that expired; and those
            models.Index(
                fields=["workspace", "-created_at", "-id"],
                condition=models.Q(resolved_at=None),
                name="ping_open",
            ),
            models.Index(
                models.F("workspace"),
                UNTIL,
                condition=models.Q(resolved_at=None),
                name="ping_until",
            ),
            models.Index(
                fields=["workspace", "-created_at", "-id"],
                condition=models.Q(resolved_at=None, expires_at__isnull=False),
                name="ping_expiring",
            ),
            # a session's pings, and nulling it when the session goes
            models.Index(
                fields=["workspace", "session", "-created_at", "-id"],
                condition=models.Q(session__isnull=False),
                name="ping_session",
            ),
            # an agent's pings
            models.Index(
                fields=["workspace", "agent", "-created_at", "-id"],
                condition=models.Q(agent__isnull=False),
                name="ping_agent",
            ),
        ]

    def __str__(self) -> str:
        return self.message[:80]

    @property
    def state(self) -> PingState:
        return state_of(self.resolved_at, self.acknowledged_at, self.expires_at)


def state_of(
    resolved_at: datetime | None, acknowledged_at: datetime | None, expires_at: datetime | None
) -> PingState:
    """Resolved for good; else expired once its time is over; else acknowledged or open."""
    if resolved_at is not None:
        return PingState.RESOLVED
    if expires_at is not None and expires_at <= clock.now():
        return PingState.EXPIRED
    return PingState.OPEN if acknowledged_at is None else PingState.ACKNOWLEDGED


class ChannelKind(models.TextChoices):
    EMAIL = "email"
    WEBHOOK = "webhook"
    NTFY = "ntfy"
    SLACK = "slack"
    BROWSER = "browser"


class PingChannel(VersionedRow):
    """Where pings of at least `min_severity` go besides the page.

    `target` is an address or a URL; for `browser` it is empty: open pages ask for what is new.
    `secret` signs a webhook's body; it is written and never shown again.
    """

    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=20, choices=ChannelKind)
    target = models.CharField(max_length=2000, blank=True)
    secret = models.CharField(max_length=200, blank=True)
    min_severity = models.CharField(max_length=20, choices=Severity, default=Severity.HIGH)
    enabled = models.BooleanField(default=True)

    class Meta(VersionedRow.Meta):
        constraints = [
            # also the list, by name
            models.UniqueConstraint(fields=["workspace", "name"], name="pingchannel_name_unique"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def has_secret(self) -> bool:
        return bool(self.secret)


class DeliveryStatus(models.TextChoices):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


class PingDelivery(WorkspaceRow):
    """The delivery log: one ping on one channel. `attempts`, times and `error` are telemetry."""

    ping = ScopedForeignKey(Ping, cascade=True, related_name="deliveries")
    channel = ScopedForeignKey(PingChannel, cascade=True, related_name="deliveries")
    status = models.CharField(max_length=20, choices=DeliveryStatus, default=DeliveryStatus.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=1000, blank=True)

    class Meta(WorkspaceRow.Meta):
        verbose_name_plural = "ping deliveries"
        constraints = [
            # a ping's deliveries, each channel once, and the cascade from it
            models.UniqueConstraint(
                fields=["workspace", "ping", "channel"], name="pingdelivery_unique"
            ),
        ]
        indexes = [
            # what is to be tried (again)
            models.Index(
                fields=["workspace", "next_attempt_at"],
                condition=models.Q(status="pending"),
                name="pingdelivery_due",
            ),
            # a channel's log, newest first, and the cascade from it
            models.Index(
                fields=["workspace", "channel", "-created_at", "-id"], name="pingdelivery_channel"
            ),
        ]

    def __str__(self) -> str:
        return self.status


class Notification(WorkspaceRow):
    """Something a conversation is told once: of this type, about this entity.

    It is addressed to the conversation, so that whichever session goes on with it hears of it;
    `session` is the one that did. `notified_at` and `acked_at` are telemetry.
    """

    conversation_id = models.CharField(max_length=120)
    notification_type = models.CharField(max_length=60)
    entity_id = models.CharField(max_length=200)
    payload = models.JSONField(default=dict, blank=True)
    session = ScopedForeignKey(
        "agent_sessions.Session", null=True, blank=True, related_name="notifications"
    )
    notified_at = models.DateTimeField(null=True, blank=True)
    acked_at = models.DateTimeField(null=True, blank=True)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "conversation_id", "notification_type", "entity_id"],
                name="notification_unique",
            ),
        ]
        indexes = [
            # what a conversation has not acknowledged, oldest first
            models.Index(
                fields=["workspace", "conversation_id", "id"],
                condition=models.Q(acked_at=None),
                name="notification_pending",
            ),
            # the list, newest first, of all, one conversation or one type
            models.Index(fields=["workspace", "-created_at", "-id"], name="notification_list"),
            models.Index(
                fields=["workspace", "conversation_id", "-created_at", "-id"],
                name="notification_conversation",
            ),
            models.Index(
                fields=["workspace", "notification_type", "-created_at", "-id"],
                name="notification_type",
            ),
            # nulling it when the session goes
            models.Index(
                fields=["workspace", "session"],
                condition=models.Q(session__isnull=False),
                name="notification_session",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.notification_type} {self.entity_id}"


class StagedContent(SourcedRow):
    """Something an agent puts before a person: a draft, a plan, a finding.

    On the board the pinned ones come first, then by `position`, highest first, so that what is
    new is on top.
    """

    content_type = models.CharField(max_length=60)
    title = models.CharField(max_length=300, blank=True)
    body = models.TextField(blank=True, max_length=1_000_000)
    payload = models.JSONField(default=dict, blank=True)
    session = ScopedForeignKey(
        "agent_sessions.Session", null=True, blank=True, related_name="staged_content"
    )
    conversation_id = models.CharField(max_length=120, blank=True)
    position = models.PositiveIntegerField(default=0)
    pinned = models.BooleanField(default=False)
    dismissed_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta(SourcedRow.Meta):
        verbose_name_plural = "staged content"
        constraints = [unique_external_id("stagedcontent_external_id_unique")]
        indexes = [
            # the board, and under each of its filters
            models.Index(
                fields=["workspace", "-pinned", "-position", "-id"],
                condition=models.Q(dismissed_at=None),
                name="stagedcontent_board",
            ),
            models.Index(
                fields=["workspace", "conversation_id", "-pinned", "-position", "-id"],
                condition=models.Q(dismissed_at=None),
                name="stagedcontent_conversation",
            ),
            models.Index(
                fields=["workspace", "content_type", "-pinned", "-position", "-id"],
                condition=models.Q(dismissed_at=None),
                name="stagedcontent_type",
            ),
            # everything that ever was, newest first
            models.Index(fields=["workspace", "-created_at", "-id"], name="stagedcontent_list"),
            # what a session staged, and nulling it when the session goes
            models.Index(
                fields=["workspace", "session", "-created_at", "-id"],
                condition=models.Q(session__isnull=False),
                name="stagedcontent_session",
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.body[:80] or self.content_type


class HandoffStatus(models.TextChoices):
    PENDING = "pending"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    REJECTED = "rejected"
    FAILED = "failed"


class Handoff(SourcedRow):
    """One session leaves its work to another: the next of its conversation, or another agent.

    `content` is what the next one must know, in Markdown. `to_session` is set when it accepts.
    """

    from_session = ScopedForeignKey(
        "agent_sessions.Session", null=True, blank=True, related_name="handoffs_out"
    )
    to_session = ScopedForeignKey(
        "agent_sessions.Session", null=True, blank=True, related_name="handoffs_in"
    )
    to_agent = ScopedForeignKey("contacts.Agent", null=True, blank=True, related_name="handoffs")
    conversation_id = models.CharField(max_length=120, blank=True)
    role = models.CharField(max_length=60, blank=True)
    mode = models.CharField(max_length=20, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    content = models.TextField(max_length=1_000_000)
    status = models.CharField(max_length=20, choices=HandoffStatus, default=HandoffStatus.PENDING)
    error = models.TextField(blank=True, max_length=20_000)
    settled_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(SourcedRow.Meta):
        constraints = [unique_external_id("handoff_external_id_unique")]
        indexes = [
            # the list, newest first, and under each of its filters
            models.Index(fields=["workspace", "-created_at", "-id"], name="handoff_list"),
            models.Index(
                fields=["workspace", "status", "-created_at", "-id"], name="handoff_status"
            ),
            models.Index(
                fields=["workspace", "conversation_id", "-created_at", "-id"],
                name="handoff_conversation",
            ),
            # by its sessions and the agent it is for, and nulling them when these go
            models.Index(
                fields=["workspace", "from_session", "-created_at", "-id"],
                condition=models.Q(from_session__isnull=False),
                name="handoff_from",
            ),
            models.Index(
                fields=["workspace", "to_session", "-created_at", "-id"],
                condition=models.Q(to_session__isnull=False),
                name="handoff_to",
            ),
            models.Index(
                fields=["workspace", "to_agent", "-created_at", "-id"],
                condition=models.Q(to_agent__isnull=False),
                name="handoff_agent",
            ),
        ]

    def __str__(self) -> str:
        return self.reason or self.content[:80]
