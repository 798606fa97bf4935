"""How memories hang together, and what they rest on."""

from django.db import models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import WorkspaceRow
from memory.models.memory import Memory


class Relation(models.TextChoices):
    PARENT = "parent"
    CAUSE = "cause"
    SUPPORTS = "supports"
    CONTRADICTS = "contradicts"
    SUPERSEDES = "supersedes"
    DERIVED_FROM = "derived_from"
    RELATED = "related"


class MemoryLink(WorkspaceRow):
    """Reads from left to right: `source` has `target` as its parent, cause, support, ..."""

    source = ScopedForeignKey(Memory, cascade=True, related_name="links_out")
    target = ScopedForeignKey(Memory, cascade=True, related_name="links_in")
    relation = models.CharField(max_length=20, choices=Relation)
    metadata = models.JSONField(default=dict, blank=True)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # also serves a memory's links, and the cascade from the source
            models.UniqueConstraint(
                fields=["workspace", "source", "relation", "target"], name="memorylink_unique"
            ),
        ]
        indexes = [
            # what points at a memory, and the cascade from the target
            models.Index(fields=["workspace", "target", "relation"], name="memorylink_target"),
        ]

    def __str__(self) -> str:
        return self.relation


class Evidence(WorkspaceRow):
    """What a memory rests on: a row of ours, or a URI that is never fetched.

    `quote` is the passage relied on, `quote_hash` its SHA-256 in hex, so that a later edit of the
    source can be told.
    """

    memory = ScopedForeignKey(Memory, cascade=True, related_name="evidence")
    message = ScopedForeignKey(
        "agent_sessions.Message", null=True, blank=True, related_name="evidence_of"
    )
    event = ScopedForeignKey(
        "agent_sessions.SessionEvent", null=True, blank=True, related_name="evidence_of"
    )
    uri = models.CharField(max_length=2000, blank=True)
    quote = models.TextField(blank=True, max_length=20_000)
    quote_hash = models.CharField(max_length=64, blank=True)

    class Meta(WorkspaceRow.Meta):
        verbose_name_plural = "evidence"
        indexes = [
            # a memory's evidence, and the cascade from it
            models.Index(fields=["workspace", "memory", "id"], name="evidence_memory"),
            # which memories rest on a message or event, and nulling when it goes
            models.Index(
                fields=["workspace", "message"],
                condition=models.Q(message__isnull=False),
                name="evidence_message",
            ),
            models.Index(
                fields=["workspace", "event"],
                condition=models.Q(event__isnull=False),
                name="evidence_event",
            ),
        ]

    def __str__(self) -> str:
        return self.quote[:80] or self.uri[:80]
