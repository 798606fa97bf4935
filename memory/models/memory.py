"""Memory: one thing an agent or a person knows, with where it came from and how far to trust it."""

from collections.abc import Mapping
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from config.lib import clock
from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import SourcedRow, unique_external_id


class Kind(models.TextChoices):
    OCCURRENCE = "occurrence"
    OBSERVATION = "observation"
    INFERENCE = "inference"
    RECONCILIATION = "reconciliation"
    SELF_DEFINITION = "self_definition"
    WEB_OBSERVATION = "web_observation"
    DISSONANCE_EVENT = "dissonance_event"
    LEARNING_PATTERN = "learning_pattern"
    TASK_EXECUTION = "task_execution"
    FACT = "fact"
    PREFERENCE = "preference"
    PROCEDURE = "procedure"
    DECISION = "decision"


# Those that hold whatever is asked: how people want things done.
STANDING = (Kind.PREFERENCE, Kind.PROCEDURE, Kind.DECISION)


class Trust(models.TextChoices):
    """From most to least; agents cannot raise it."""

    OPERATOR = "operator"
    VERIFIED = "verified"
    AGENT = "agent"
    EXTERNAL = "external"


class MemoryState(models.TextChoices):
    ACTIVE = "active"
    QUARANTINED = "quarantined"
    SUPERSEDED = "superseded"
    ARCHIVED = "archived"
    ERASED = "erased"


UNIT = [MinValueValidator(0.0), MaxValueValidator(1.0)]

# What happened or was seen, which may be told together later. What came from outside never is.
EPISODES = (
    Kind.OCCURRENCE,
    Kind.OBSERVATION,
    Kind.INFERENCE,
    Kind.DISSONANCE_EVENT,
    Kind.LEARNING_PATTERN,
    Kind.TASK_EXECUTION,
    Kind.DECISION,
)
# How the `method` of a narrative of them is called.
CONSOLIDATED_METHOD = "consolidated"

# Whom a person has not spoken for yet, and below which confidence somebody should look at it.
UNVOUCHED = (Trust.AGENT, Trust.EXTERNAL)
UNSURE_BELOW = 0.3

# How the `method` of what a language model proposed begins; its name follows.
MODEL_METHOD = "proposed by "

# Written by reading, not by deciding; neither `version` nor a Revision follows from them.
TELEMETRY = frozenset({"access_count", "last_accessed_at", "repeat_count", "last_repeated_at"})


class Memory(SourcedRow):
    """`valid_from` and `valid_to` say when it holds in the world; `recorded_at` when we learned it.

    `superseded_at` is when another took its place; null where nobody said, and then it is when
    that other was recorded. `expired_at` is its `expires_at` where a job archived it for being past
    that, null for whatever else is archived: until then it was in use.
    `affect` is {valence -1..1, arousal 0..1, dominance -1..1, labels [text], intensity 0..1}.
    `data` is a JSON object whose shape the kind defines. `content_hash` is the SHA-256 of the
    text with white space folded, hex. `repeat_count` says how often the same was saved again;
    `repeat_key` keeps two who save it at once from both making a row, and is empty for a memory
    that changed since it was made. `compared_at` is when the job last looked for near duplicates.
    """

    kept_with: ClassVar[Mapping[str, str]] = {
        "links": "memory.MemoryLink",
        "evidence": "memory.Evidence",
    }

    kind = models.CharField(max_length=30, choices=Kind, default=Kind.OBSERVATION)
    text = models.TextField(max_length=1_000_000)
    data = models.JSONField(default=dict, blank=True)
    tags = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    agent = ScopedForeignKey("contacts.Agent", null=True, blank=True, related_name="memories")
    session = ScopedForeignKey(
        "agent_sessions.Session", null=True, blank=True, related_name="memories"
    )
    project = ScopedForeignKey(
        "agent_sessions.Project", null=True, blank=True, related_name="memories"
    )
    actor = models.CharField(max_length=60, blank=True)
    method = models.CharField(max_length=60, blank=True)
    confidence = models.FloatField(default=0.5, validators=UNIT)
    confidence_method = models.CharField(max_length=60, blank=True, default="default")
    affect = models.JSONField(default=dict, blank=True)
    ownership = models.CharField(max_length=60, blank=True, default="user")
    signature = models.TextField(blank=True, max_length=2000)
    salience = models.FloatField(default=0.5, validators=UNIT)
    pinned = models.BooleanField(default=False)
    consolidated = models.BooleanField(default=False)
    trust = models.CharField(max_length=20, choices=Trust, default=Trust.AGENT)
    state = models.CharField(max_length=20, choices=MemoryState, default=MemoryState.ACTIVE)
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField(null=True, blank=True)
    recorded_at = models.DateTimeField(default=clock.now)
    superseded_by = ScopedForeignKey("self", null=True, blank=True, related_name="supersedes")
    superseded_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    expired_at = models.DateTimeField(null=True, blank=True, editable=False)
    access_count = models.PositiveIntegerField(default=0, editable=False)
    last_accessed_at = models.DateTimeField(null=True, blank=True, editable=False)
    content_hash = models.CharField(max_length=64, editable=False)
    repeat_count = models.PositiveIntegerField(default=0, editable=False)
    last_repeated_at = models.DateTimeField(null=True, blank=True, editable=False)
    repeat_key = models.CharField(max_length=64, blank=True, default="", editable=False)
    compared_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(SourcedRow.Meta):
        verbose_name_plural = "memories"
        constraints = [
            unique_external_id("memory_external_id_unique"),
            models.CheckConstraint(
                condition=models.Q(confidence__gte=0, confidence__lte=1),
                name="memory_confidence_unit",
            ),
            models.UniqueConstraint(
                fields=["workspace", "repeat_key"],
                condition=~models.Q(repeat_key=""),
                name="memory_repeat_unique",
            ),
        ]
        indexes = [
            # the list, newest first, and under each of its filters
            models.Index(fields=["workspace", "-recorded_at", "-id"], name="memory_list"),
            models.Index(fields=["workspace", "kind", "-recorded_at", "-id"], name="memory_kind"),
            models.Index(fields=["workspace", "state", "-recorded_at", "-id"], name="memory_state"),
            models.Index(fields=["workspace", "agent", "-recorded_at", "-id"], name="memory_agent"),
            models.Index(
                fields=["workspace", "session", "-recorded_at", "-id"], name="memory_session"
            ),
            models.Index(
                fields=["workspace", "project", "-recorded_at", "-id"], name="memory_project"
            ),
            # of a project, or of none, what holds whatever is asked: the best first
            models.Index(
                fields=["workspace", "project", "-pinned", "-salience", "-recorded_at", "-id"],
                condition=models.Q(
                    models.Q(pinned=True) | models.Q(kind__in=STANDING), state=MemoryState.ACTIVE
                ),
                name="memory_standing",
            ),
            # executions that failed, newest first. A condition, not a column: under row-level
            # security an index on an expression over jsonb is not used, its condition is.
            models.Index(
                fields=["workspace", "-recorded_at", "-id"],
                condition=models.Q(kind=Kind.TASK_EXECUTION, data__status="failed"),
                name="memory_execution_failed",
            ),
            # the same text again
            models.Index(fields=["workspace", "content_hash"], name="memory_content_hash"),
            # what was not yet compared with what is near it, newest first
            models.Index(
                fields=["workspace", "-id"],
                condition=models.Q(compared_at=None, state=MemoryState.ACTIVE),
                name="memory_uncompared",
            ),
            # what waits for review, longest waiting first: what a model proposed, and the rest
            models.Index(
                fields=["workspace", "recorded_at", "id"],
                condition=models.Q(state=MemoryState.QUARANTINED, method__startswith=MODEL_METHOD),
                name="memory_proposed",
            ),
            models.Index(
                fields=["workspace", "recorded_at", "id"],
                condition=models.Q(
                    ~models.Q(method__startswith=MODEL_METHOD), state=MemoryState.QUARANTINED
                ),
                name="memory_quarantined",
            ),
            # what is in use, hardly believed and vouched for by nobody: it waits for review
            models.Index(
                fields=["workspace", "recorded_at", "id"],
                condition=models.Q(
                    state=MemoryState.ACTIVE, trust__in=UNVOUCHED, confidence__lt=UNSURE_BELOW
                ),
                name="memory_unsure",
            ),
            # episodes that no narrative tells yet, of each session
            models.Index(
                fields=["workspace", "session", "project"],
                condition=models.Q(
                    ~models.Q(trust=Trust.EXTERNAL),
                    ~models.Q(method=CONSOLIDATED_METHOD),
                    state=MemoryState.ACTIVE,
                    consolidated=False,
                    kind__in=EPISODES,
                ),
                name="memory_unconsolidated",
            ),
            # what is in use until a moment, the next first: what the job archives
            models.Index(
                fields=["workspace", "expires_at", "id"],
                condition=models.Q(state=MemoryState.ACTIVE, expires_at__isnull=False),
                name="memory_expiring",
            ),
            # what a memory replaced, and nulling it when the memory goes
            models.Index(
                fields=["workspace", "superseded_by"],
                condition=models.Q(superseded_by__isnull=False),
                name="memory_superseded_by",
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]
