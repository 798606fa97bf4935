"""How memories hang together, and what they rest on."""

from django.db import models
from django.db.models.lookups import Exact

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
            # what contradicts what, the latest first, for review
            models.Index(
                fields=["workspace", "-id"],
                condition=models.Q(relation=Relation.CONTRADICTS),
                name="memorylink_contradicts",
            ),
        ]

    def __str__(self) -> str:
        return self.relation


def _about(target: str) -> models.UniqueConstraint:
    return models.UniqueConstraint(
        fields=["workspace", "memory", target],
        condition=models.Q(**{f"{target}__isnull": False}),
        name=f"memoryabout_{target}_unique",
    )


def _known_of(target: str) -> models.Index:
    return models.Index(
        fields=["workspace", target, "-id"],
        condition=models.Q(**{f"{target}__isnull": False}),
        name=f"memoryabout_{target}",
    )


class MemoryAbout(WorkspaceRow):
    """What a memory is about: exactly one of a contact, a project or a task."""

    memory = ScopedForeignKey(Memory, cascade=True, related_name="about")
    contact = ScopedForeignKey(
        "contacts.Contact", cascade=True, null=True, blank=True, related_name="known"
    )
    project = ScopedForeignKey(
        "agent_sessions.Project", cascade=True, null=True, blank=True, related_name="known"
    )
    task = ScopedForeignKey(
        "agent_sessions.Task", cascade=True, null=True, blank=True, related_name="known"
    )

    class Meta(WorkspaceRow.Meta):
        verbose_name_plural = "memories about"
        constraints = [
            models.CheckConstraint(
                name="memoryabout_one_target",
                condition=Exact(
                    models.Func(
                        "contact",
                        "project",
                        "task",
                        function="num_nonnulls",
                        output_field=models.IntegerField(),
                    ),
                    1,
                ),
            ),
            # what a memory is about, each once
            _about("contact"),
            _about("project"),
            _about("task"),
        ]
        indexes = [
            # the cascade from the memory
            models.Index(fields=["workspace", "memory"], name="memoryabout_memory"),
            # what is known of each, newest first, and the cascades from them
            _known_of("contact"),
            _known_of("project"),
            _known_of("task"),
        ]

    def __str__(self) -> str:
        return str(self.contact or self.project or self.task)


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
    task = ScopedForeignKey(
        "agent_sessions.Task", null=True, blank=True, related_name="evidence_of"
    )
    mission = ScopedForeignKey(
        "agent_sessions.Mission", null=True, blank=True, related_name="evidence_of"
    )
    uri = models.CharField(max_length=2000, blank=True)
    quote = models.TextField(blank=True, max_length=20_000)
    quote_hash = models.CharField(max_length=64, blank=True)

    class Meta(WorkspaceRow.Meta):
        verbose_name_plural = "evidence"
        indexes = [
            # a memory's evidence, and the cascade from it
            models.Index(fields=["workspace", "memory", "id"], name="evidence_memory"),
            # which memories rest on a message, event, task or mission, and nulling when it goes
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
            models.Index(
                fields=["workspace", "task"],
                condition=models.Q(task__isnull=False),
                name="evidence_task",
            ),
            models.Index(
                fields=["workspace", "mission"],
                condition=models.Q(mission__isnull=False),
                name="evidence_mission",
            ),
        ]

    def __str__(self) -> str:
        return self.quote[:80] or self.uri[:80]
