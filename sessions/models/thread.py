"""Threads and their messages: what was said, in order."""

from django.db import models

from config.lib import clock
from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import SourcedRow, WorkspaceRow, unique_external_id

# How much of its first user message a thread is known by.
OPENING = 200


class ThreadStatus(models.TextChoices):
    OPEN = "open"
    CLOSED = "closed"


class Thread(SourcedRow):
    """A conversation inside a session: the main one, or one per subagent under it.

    `message_count` is telemetry and the next message's idx. `opening` is the start of its first
    user message: what a person knows the thread by.
    """

    session = ScopedForeignKey("agent_sessions.Session", cascade=True, related_name="threads")
    parent = ScopedForeignKey("self", null=True, blank=True, related_name="children")
    name = models.CharField(max_length=300, blank=True)
    status = models.CharField(max_length=20, choices=ThreadStatus, default=ThreadStatus.OPEN)
    message_count = models.PositiveIntegerField(default=0, editable=False)
    last_message_at = models.DateTimeField(null=True, blank=True, editable=False)
    opening = models.CharField(max_length=OPENING, blank=True, editable=False)

    class Meta(SourcedRow.Meta):
        constraints = [unique_external_id("thread_external_id_unique")]
        indexes = [
            # a session's threads, oldest first, and the cascade from it
            models.Index(
                fields=["workspace", "session", "created_at", "id"], name="thread_session"
            ),
            # all threads, newest first
            models.Index(fields=["workspace", "-created_at", "-id"], name="thread_list"),
            # the thread that began with these words
            models.Index(
                fields=["workspace", "opening", "-created_at", "-id"],
                condition=~models.Q(opening=""),
                name="thread_opening",
            ),
            # subagents' threads, and nulling them when the parent goes
            models.Index(
                fields=["workspace", "parent"],
                condition=models.Q(parent__isnull=False),
                name="thread_parent",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.short_id


class MessageRole(models.TextChoices):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL = "tool"


class Message(WorkspaceRow):
    """Append-only. `idx` counts from 0 without gaps in its thread.

    `content` is the text a person reads; `blocks` is the list of content blocks as the agent
    wrote them ({"type": "text" | "thinking" | "tool_use" | "tool_result" | ..., ...}). `usage` is
    {input_tokens, output_tokens, cache_creation_input_tokens, cache_read_input_tokens}.
    """

    session = ScopedForeignKey("agent_sessions.Session", cascade=True, related_name="messages")
    thread = ScopedForeignKey(Thread, cascade=True, related_name="messages")
    idx = models.PositiveIntegerField()
    role = models.CharField(max_length=20, choices=MessageRole)
    content = models.TextField(blank=True, max_length=8_000_000)
    blocks = models.JSONField(default=list, blank=True)
    native_uuid = models.CharField(max_length=120, blank=True)
    native_parent_uuid = models.CharField(max_length=120, blank=True)
    model = models.CharField(max_length=120, blank=True)
    usage = models.JSONField(default=dict, blank=True)
    occurred_at = models.DateTimeField(default=clock.now)
    metadata = models.JSONField(default=dict, blank=True)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # a thread's messages in order, forwards and backwards, and the cascade from it
            models.UniqueConstraint(
                fields=["workspace", "thread", "idx"], name="message_idx_unique"
            ),
            # the same line of a transcript is stored once per session
            models.UniqueConstraint(
                fields=["workspace", "session", "native_uuid"],
                condition=~models.Q(native_uuid=""),
                name="message_native_uuid_unique",
            ),
        ]
        indexes = [
            # the cascade from the session, and its transcript in time
            models.Index(fields=["workspace", "session", "occurred_at"], name="message_session"),
            # all messages of an hour or a day, newest first, and how many they are
            models.Index(fields=["workspace", "-occurred_at", "-id"], name="message_time"),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.idx}"
