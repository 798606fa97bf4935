"""Passage, the search index: derived from other rows and rebuildable from them at any time."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models.lookups import Exact
from pgvector.django import HalfVectorField

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import WorkspaceRow


class SpaceState(models.TextChoices):
    BUILDING = "building"
    ACTIVE = "active"
    RETIRED = "retired"


class EmbeddingSpace(WorkspaceRow):
    """One model's vectors. Vectors of different spaces are never compared."""

    provider = models.CharField(max_length=20)
    model = models.CharField(max_length=200)
    dimensions = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=SpaceState, default=SpaceState.ACTIVE)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "provider", "model", "dimensions"],
                name="embeddingspace_unique",
            ),
            # at most one that search reads
            models.UniqueConstraint(
                fields=["workspace"],
                condition=models.Q(state="active"),
                name="embeddingspace_one_active",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.model} ({self.dimensions})"


class Lane(models.IntegerChoices):
    """Order of embedding: what somebody waits for, before what an import brought.

    A text that the provider refuses, while it takes others, leaves the queue for REFUSED; it is
    found by its words, and tried again when the index is rebuilt.
    """

    INTERACTIVE = 0
    BULK = 1
    REFUSED = 2


class PassageKind(models.TextChoices):
    MEMORY = "memory"
    SUMMARY = "summary"
    EVENT = "event"
    MESSAGE = "message"
    PROJECT = "project"
    TASK = "task"
    CONTACT = "contact"


def _chunks_of(source: str) -> models.UniqueConstraint:
    return models.UniqueConstraint(
        fields=["workspace", source, "chunk"],
        condition=models.Q(**{f"{source}__isnull": False}),
        name=f"passage_{source}_unique",
    )


class Passage(WorkspaceRow):
    """One chunk of one row's text, findable by its words at once and by its meaning soon after.

    Exactly one of the of_ keys is set; the row goes with its source. The columns below them are
    copies that searches filter by, without keys of their own: the index is rebuilt, not repaired.
    `occurred_at` is when it happened, for a memory when it was recorded. `lexical` is the text as
    the text index reads it (camelCase, snake_case and paths split), `token_count` its words.
    `embedding` is null until the job has been here; `space` names whose vector it is.
    """

    of_memory = ScopedForeignKey("memory.Memory", cascade=True, null=True, related_name="passages")
    of_summary = ScopedForeignKey(
        "agent_sessions.Session", cascade=True, null=True, related_name="passages"
    )
    of_event = ScopedForeignKey(
        "agent_sessions.SessionEvent", cascade=True, null=True, related_name="passages"
    )
    of_message = ScopedForeignKey(
        "agent_sessions.Message", cascade=True, null=True, related_name="passages"
    )
    of_project = ScopedForeignKey(
        "agent_sessions.Project", cascade=True, null=True, related_name="passages"
    )
    of_task = ScopedForeignKey(
        "agent_sessions.Task", cascade=True, null=True, related_name="passages"
    )
    of_contact = ScopedForeignKey(
        "contacts.Contact", cascade=True, null=True, related_name="passages"
    )
    kind = models.CharField(max_length=20, choices=PassageKind)
    chunk = models.PositiveSmallIntegerField(default=0)
    memory_kind = models.CharField(max_length=30, blank=True)
    tags = ArrayField(models.CharField(max_length=100), default=list)
    session_id = models.UUIDField(null=True)
    thread_id = models.UUIDField(null=True)
    idx = models.PositiveIntegerField(null=True)
    agent_id = models.UUIDField(null=True)
    project_id = models.UUIDField(null=True)
    occurred_at = models.DateTimeField()
    trust = models.CharField(max_length=20, default="agent")
    state = models.CharField(max_length=20, default="active")
    valid_from = models.DateTimeField(null=True)
    valid_to = models.DateTimeField(null=True)
    superseded_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    text = models.TextField()
    lexical = models.TextField()
    token_count = models.PositiveIntegerField(default=0)
    # PostgreSQL refuses a tsvector above 1 MB, so a prefix is indexed; chunks are far shorter.
    # The workspace stands in the vector as a word of its own, so that one index serves a thousand
    # tenants without reading each other's entries.
    tsv = models.GeneratedField(
        expression=models.Func(
            models.F("lexical"),
            models.F("workspace_id"),
            template=(
                "(to_tsvector('english'::regconfig, left(lexical, 200000)) || "
                "array_to_tsvector(ARRAY['w' || replace(workspace_id::text, '-', '')]))"
            ),
        ),
        output_field=SearchVectorField(),
        db_persist=True,
    )
    space = ScopedForeignKey(EmbeddingSpace, null=True, related_name="passages")
    embedding = HalfVectorField(null=True)
    lane = models.PositiveSmallIntegerField(choices=Lane, default=Lane.INTERACTIVE)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            models.CheckConstraint(
                name="passage_one_source",
                condition=Exact(
                    models.Func(
                        "of_memory",
                        "of_summary",
                        "of_event",
                        "of_message",
                        "of_project",
                        "of_task",
                        "of_contact",
                        function="num_nonnulls",
                        output_field=models.IntegerField(),
                    ),
                    1,
                ),
            ),
            # a row's chunks, each once; they also serve the cascades from the rows
            _chunks_of("of_memory"),
            _chunks_of("of_summary"),
            _chunks_of("of_event"),
            _chunks_of("of_message"),
            _chunks_of("of_project"),
            _chunks_of("of_task"),
            _chunks_of("of_contact"),
        ]
        indexes = [
            # words; through memory/search's own function, since row-level security hides it
            GinIndex(fields=["tsv"], name="passage_words"),
            # what waits to be embedded: what somebody waits for first, then newest first
            models.Index(
                fields=["workspace", "lane", "-id"],
                condition=models.Q(embedding=None),
                name="passage_pending",
            ),
            # neighbours in the thread
            models.Index(fields=["workspace", "thread_id", "idx"], name="passage_thread"),
            # a search inside one session, and the copies when a session changes project
            models.Index(
                fields=["workspace", "session_id"],
                condition=models.Q(session_id__isnull=False),
                name="passage_session",
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]
