"""Session: one run of an agent, from its first word to its end."""

from django.db import models

from config.lib import clock
from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import SourcedRow, unique_external_id


class Mode(models.TextChoices):
    INTERACTIVE = "interactive"
    BACKGROUND = "background"
    AUTONOMOUS = "autonomous"


class State(models.TextChoices):
    ACTIVE = "active"
    TOOL_ACTIVE = "tool_active"
    IDLE = "idle"
    ENDED = "ended"


class Outcome(models.TextChoices):
    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


# Written on every beat, call or append; they raise neither `version` nor a Revision.
TELEMETRY = frozenset(
    {
        "current_state", "status_text", "last_seen_at", "context_used_percent",
        "context_warning_level", "event_count", "message_count", "tool_count", "error_count",
        "input_tokens", "output_tokens", "cache_creation_tokens", "cache_read_tokens", "cost_usd",
        "model", "branch", "cwd",
    }
)  # fmt: skip


class Session(SourcedRow):
    """`conversation_id` outlives context resets: several sessions, one conversation.

    Counters and token totals are telemetry, kept by the services that append. `cost_usd` is
    null where nobody knows, never 0. `summary_data` is {asked, key_events, decisions,
    outcomes, files, commands, errors, last_words, next_steps}, each a list of strings.
    """

    agent = ScopedForeignKey("contacts.Agent", related_name="sessions")
    project = ScopedForeignKey(
        "agent_sessions.Project", null=True, blank=True, related_name="sessions"
    )
    parent = ScopedForeignKey("self", null=True, blank=True, related_name="children")
    name = models.CharField(max_length=300, blank=True)
    role = models.CharField(max_length=60, blank=True)
    mode = models.CharField(max_length=20, choices=Mode, default=Mode.INTERACTIVE)
    current_state = models.CharField(max_length=20, choices=State, default=State.ACTIVE)
    status_text = models.CharField(max_length=500, blank=True)
    conversation_id = models.CharField(max_length=120)
    claude_session_id = models.CharField(max_length=120, blank=True)
    legacy_thread_id = models.CharField(max_length=120, blank=True)
    cwd = models.CharField(max_length=1000, blank=True)
    repo_root = models.CharField(max_length=1000, blank=True)
    branch = models.CharField(max_length=300, blank=True)
    host = models.CharField(max_length=300, blank=True)
    tmux_window = models.CharField(max_length=120, blank=True)
    tmux_pane = models.CharField(max_length=120, blank=True)
    model = models.CharField(max_length=120, blank=True)
    prompt = models.TextField(blank=True, max_length=1_000_000)
    context = models.JSONField(default=dict, blank=True)
    context_used_percent = models.FloatField(null=True, blank=True)
    context_warning_level = models.PositiveSmallIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cache_creation_tokens = models.BigIntegerField(default=0)
    cache_read_tokens = models.BigIntegerField(default=0)
    cost_usd = models.DecimalField(max_digits=14, decimal_places=6, null=True, blank=True)
    event_count = models.PositiveIntegerField(default=0)
    message_count = models.PositiveIntegerField(default=0)
    tool_count = models.PositiveIntegerField(default=0)
    error_count = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(default=clock.now)
    last_seen_at = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=60, blank=True)
    outcome = models.CharField(max_length=20, choices=Outcome, default=Outcome.UNKNOWN)
    summary = models.TextField(blank=True, max_length=1_000_000)
    summary_data = models.JSONField(default=dict, blank=True)

    class Meta(SourcedRow.Meta):
        constraints = [unique_external_id("session_external_id_unique")]
        indexes = [
            # the list, newest first; each of the next four is the list under one filter
            models.Index(fields=["workspace", "-started_at", "-id"], name="session_list"),
            models.Index(fields=["workspace", "agent", "-started_at", "-id"], name="session_agent"),
            models.Index(
                fields=["workspace", "project", "-started_at", "-id"], name="session_project"
            ),
            models.Index(
                fields=["workspace", "conversation_id", "-started_at", "-id"],
                name="session_conversation",
            ),
            models.Index(
                fields=["workspace", "current_state", "-started_at", "-id"], name="session_state"
            ),
            # active sessions by last sign of life, and the job that finds orphans
            models.Index(
                fields=["workspace", "-last_seen_at", "-id"],
                condition=models.Q(ended_at=None),
                name="session_active",
            ),
            # a hook that knows only the agent's own id
            models.Index(
                fields=["workspace", "claude_session_id"],
                condition=~models.Q(claude_session_id=""),
                name="session_claude_id",
            ),
            # those that fell silent and were ended for it, the latest first
            models.Index(
                fields=["workspace", "-ended_at", "-id"],
                condition=models.Q(end_reason="orphaned"),
                name="session_orphaned",
            ),
            # children of a session, and nulling them when it goes
            models.Index(
                fields=["workspace", "parent"],
                condition=models.Q(parent__isnull=False),
                name="session_parent",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.prompt[:80] or self.short_id
