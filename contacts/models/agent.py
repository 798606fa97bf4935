"""Agents and the keys they call with."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import VersionedRow

# Requests a second; more is no limit.
MOST_RATE = 100_000.0


class AgentKind(models.TextChoices):
    CLAUDE_CODE = "claude-code"
    CODEX = "codex"
    AMP = "amp"
    GEMINI = "gemini"
    CUSTOM = "custom"


class AgentStatus(models.TextChoices):
    ACTIVE = "active"
    IDLE = "idle"
    OFFLINE = "offline"


class Agent(VersionedRow):
    """A program that works for people. `status` and `last_seen_at` are telemetry."""

    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=20, choices=AgentKind, default=AgentKind.CUSTOM)
    capabilities = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    status = models.CharField(max_length=20, choices=AgentStatus, default=AgentStatus.OFFLINE)
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(VersionedRow.Meta):
        constraints = [
            # also serves the list by name and the look-up of createkey --agent
            models.UniqueConstraint(fields=["workspace", "name"], name="agent_name_unique"),
        ]

    def __str__(self) -> str:
        return self.name


class ApiKey(VersionedRow):
    """A bearer token's record. The token is shown once; only the SHA-256 of its secret stays.

    The four limits are this key's own where they are not null, 0 for none (the settings say what
    counts else): requests a second, how many at once, rows and bytes a day. The three columns of
    the bucket are telemetry: `bucket_tokens` were there at `bucket_at` (seconds since 1970, so that
    the statement that takes from it computes with numbers alone), `bucket_granted` were taken last.
    """

    agent = ScopedForeignKey(Agent, cascade=True, related_name="keys")
    name = models.CharField(max_length=120, blank=True)
    digest = models.BinaryField(max_length=32, editable=False)
    scopes = ArrayField(models.CharField(max_length=40), default=list)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    rate_limit = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(MOST_RATE)]
    )
    burst_limit = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    daily_rows = models.PositiveBigIntegerField(null=True, blank=True)
    daily_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    bucket_tokens = models.FloatField(default=0, db_default=0, editable=False)
    bucket_at = models.FloatField(default=0, db_default=0, editable=False)
    bucket_granted = models.IntegerField(default=0, db_default=0, editable=False)

    class Meta(VersionedRow.Meta):
        verbose_name = "API key"
        indexes = [
            # an agent's keys, and the cascade from it
            models.Index(fields=["workspace", "agent", "-created_at"], name="apikey_agent"),
        ]

    def __str__(self) -> str:
        return self.name or self.short_id
