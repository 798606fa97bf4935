"""Passage, the search index: derived from other rows and rebuildable from them at any time."""

from dataclasses import dataclass

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


class Slot(models.IntegerChoices):
    """Where a space's vectors lie in their passages: two models' vectors fit beside each other."""

    FIRST = 1
    SECOND = 2


@dataclass(frozen=True, slots=True)
class Columns:
    """A slot's columns in memory_passage: the vector, and whose it is. `pending` is the condition
    under which a row waits for its vector, as the partial index says it; it begins with a blank
    for a table's alias."""

    vector: str
    space: str
    pending: str


# How wide an index of vectors searches for the neighbours of a new one (migration 0012).
EF_CONSTRUCTION = 128

# A row written while the second slot is in use names that space before it has its vector, so that
# the index of what waits holds nothing in the workspaces (most) that use the first slot alone.
COLUMNS = {
    Slot.FIRST: Columns("embedding", "space_id", "{0}embedding IS NULL"),
    Slot.SECOND: Columns(
        "second_embedding",
        "second_space_id",
        "{0}second_space_id IS NOT NULL AND {0}second_embedding IS NULL",
    ),
}
PENDING = {
    Slot.FIRST: models.Q(embedding=None),
    Slot.SECOND: models.Q(second_space__isnull=False, second_embedding=None),
}


class EmbeddingSpace(WorkspaceRow):
    """One model's vectors, in one slot for as long as the row lives. Vectors of different spaces
    are never compared.

    Search reads the active space. One that is building gets its vectors beside it; a retired one
    keeps those it had, for a way back. `switched_at` is when search began or ceased to read it.
    """

    provider = models.CharField(max_length=20)
    model = models.CharField(max_length=200)
    dimensions = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=SpaceState, default=SpaceState.ACTIVE)
    slot = models.PositiveSmallIntegerField(choices=Slot, default=Slot.FIRST)
    switched_at = models.DateTimeField(null=True)

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
            models.UniqueConstraint(fields=["workspace", "slot"], name="embeddingspace_slot"),
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


# What a memory's passages have as `state` where it was archived for being past `expires_at`.
EXPIRED = "expired"


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
    `state` is a memory's, or EXPIRED. `occurred_at` is when it happened, for a memory when it was
    recorded; `recorded_at` is when we were told, null where that is the same. `metadata` is what
    searches compare of the row's own (memory/search/metadata.py). `lexical` is the text as the text
    index reads it (camelCase, snake_case and paths split), `token_count` its words. `asks` says
    whether the text ends with a question mark: ranking asks it of a hit's neighbours, whose texts
    it does not read. `embedding` is null until the job has been here; `space` names whose vector it
    is. The second pair of columns is for a second space, while one model takes another's place
    (COLUMNS).
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
    recorded_at = models.DateTimeField(null=True)
    metadata = models.JSONField(default=dict)
    trust = models.CharField(max_length=20, default="agent")
    state = models.CharField(max_length=20, default="active")
    valid_from = models.DateTimeField(null=True)
    valid_to = models.DateTimeField(null=True)
    superseded_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    text = models.TextField()
    lexical = models.TextField()
    token_count = models.PositiveIntegerField(default=0)
    asks = models.BooleanField(default=False, db_default=False)
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
    second_space = ScopedForeignKey(EmbeddingSpace, null=True, related_name="second_passages")
    second_embedding = HalfVectorField(null=True)
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
            models.Index(
                fields=["workspace", "lane", "-id"],
                condition=models.Q(second_space__isnull=False, second_embedding=None),
                name="passage_second_pending",
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
