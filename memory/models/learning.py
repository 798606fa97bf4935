"""How far each session was learned from, what came of it, and what a model was asked for it."""

from django.db import models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import WorkspaceRow


class Learning(WorkspaceRow):
    """One session's place. Telemetry: it can be deleted, and everything is looked at once more.

    `due_at` is when something waits to be looked at, null where nothing does; `marks` counts how
    often that was said, so that what comes while a job looks is not passed over. `threads` is
    {thread id: idx of the next message to read}, `seq` the last event read. `summary_digest` is
    the SHA-256 of the summary written here last: one that differs is somebody else's, and stays.
    The `model_` fields say the same of what a language model was asked, and how often in a row it
    failed.
    """

    session = ScopedForeignKey("agent_sessions.Session", cascade=True, related_name="learning")
    due_at = models.DateTimeField(null=True)
    marks = models.PositiveIntegerField(default=0)
    threads = models.JSONField(default=dict)
    seq = models.PositiveIntegerField(default=0)
    summarised_at = models.DateTimeField(null=True)
    summary_digest = models.CharField(max_length=64, blank=True)
    model_due_at = models.DateTimeField(null=True)
    model_threads = models.JSONField(default=dict)
    model_failures = models.PositiveIntegerField(default=0)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # a session's place, and the cascade from it
            models.UniqueConstraint(fields=["workspace", "session"], name="learning_session_unique")
        ]
        indexes = [
            # what waits, longest first; nearly always next to nothing
            models.Index(
                fields=["workspace", "due_at"],
                condition=models.Q(due_at__isnull=False),
                name="learning_due",
            ),
            models.Index(
                fields=["workspace", "model_due_at"],
                condition=models.Q(model_due_at__isnull=False),
                name="learning_model_due",
            ),
        ]

    def __str__(self) -> str:
        return str(self.session_id)


class Lesson(WorkspaceRow):
    """Something that was found to be worth keeping, once, and what came of it. Append-only.

    `key` names the words of a message, or the rule and the event, that it was found in. `digest`
    is the SHA-256 of the project and the text: what was found again elsewhere. `memory` is the one
    made or counted; null where it was rejected before, or has been deleted since.
    """

    key = models.CharField(max_length=200)
    rule = models.CharField(max_length=60)
    digest = models.CharField(max_length=64)
    session = ScopedForeignKey(
        "agent_sessions.Session", null=True, blank=True, related_name="lessons"
    )
    memory = ScopedForeignKey("memory.Memory", null=True, blank=True, related_name="lessons")

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # each finding once
            models.UniqueConstraint(fields=["workspace", "key"], name="lesson_key_unique"),
        ]
        indexes = [
            # what was found before with the same words
            models.Index(fields=["workspace", "digest"], name="lesson_digest"),
            # a session's, and nulling when it goes
            models.Index(
                fields=["workspace", "session", "rule"],
                condition=models.Q(session__isnull=False),
                name="lesson_session",
            ),
            # a memory's, and nulling when it goes
            models.Index(
                fields=["workspace", "memory"],
                condition=models.Q(memory__isnull=False),
                name="lesson_memory",
            ),
        ]

    def __str__(self) -> str:
        return self.key


class ModelUse(WorkspaceRow):
    """What a workspace has asked of the model that proposes memories, by day (UTC); how often that
    came to nothing, and why the last time."""

    day = models.DateField()
    calls = models.PositiveIntegerField(default=0)
    tokens = models.PositiveBigIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    problem = models.CharField(max_length=300, blank=True)

    class Meta(WorkspaceRow.Meta):
        verbose_name_plural = "model use"
        constraints = [
            # also the list, newest first
            models.UniqueConstraint(fields=["workspace", "day"], name="modeluse_day_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.tokens}"
