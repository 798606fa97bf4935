"""Erasure: something removed for good with every trace, and the tombstones that keep it away."""

from django.db import models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import VersionedRow, WorkspaceRow


class ErasureKind(models.TextChoices):
    MEMORY = "memory"
    SESSION = "session"
    CONTACT = "contact"
    TERM = "term"


class ErasureState(models.TextChoices):
    LOOKING = "looking"
    PROPOSED = "proposed"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DROPPED = "dropped"


# While a job works on it.
ACTIVE = (ErasureState.LOOKING, ErasureState.RUNNING)


class Erasure(VersionedRow):
    """A memory, session or contact (`target_id`), or everything about a term (`wanted`).

    `preview` says what would go, `report` what went and what remains: {removed, struck: {table:
    rows}, revisions, losing, tombstones: numbers, remains: sentences}. Neither has a word of what
    was erased. `wanted` is the term until it is carried out or dropped, then empty; it is in no
    Revision. `actor_id` is who asked last, and in whose name it is done. `kept_away` counts what
    jobs left out because of it. The others are telemetry of the job.
    """

    kind = models.CharField(max_length=20, choices=ErasureKind)
    target_id = models.UUIDField(null=True, blank=True, editable=False)
    wanted = models.CharField(max_length=500, blank=True, editable=False)
    reason = models.CharField(max_length=500, blank=True)
    state = models.CharField(
        max_length=20, choices=ErasureState, default=ErasureState.LOOKING, editable=False
    )
    actor_kind = models.CharField(max_length=10, editable=False)
    actor_id = models.CharField(max_length=64, editable=False)
    actor_label = models.CharField(max_length=200, editable=False)
    preview = models.JSONField(default=dict, blank=True, editable=False)
    report = models.JSONField(default=dict, blank=True, editable=False)
    progress = models.CharField(max_length=200, blank=True, editable=False)
    error = models.CharField(max_length=1000, blank=True, editable=False)
    kept_away = models.PositiveIntegerField(default=0, editable=False)
    lifted_at = models.DateTimeField(null=True, blank=True, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    beat_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(VersionedRow.Meta):
        indexes = [
            # the list, newest first
            models.Index(fields=["workspace", "-created_at", "-id"], name="erasure_list"),
            # those that a job should be working on
            models.Index(
                fields=["workspace", "beat_at"],
                condition=models.Q(state__in=ACTIVE),
                name="erasure_active",
            ),
        ]

    def __str__(self) -> str:
        return f"Erasure of a {self.get_kind_display().lower()}"


class Tombstone(WorkspaceRow):
    """What may not come back, as a keyed hash that says nothing of it without the installation's
    key (contacts/services/tombstones.py). `words` is how many words a term's digest is of; 0 for
    what is compared whole (an id, an external id, a content hash)."""

    erasure = ScopedForeignKey(Erasure, cascade=True, related_name="tombstones")
    digest = models.BinaryField(max_length=32)
    words = models.PositiveSmallIntegerField(default=0)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # whether something was erased; by two erasures, each has one of its own, and what
            # becomes of the one takes nothing from the other
            models.UniqueConstraint(
                fields=["workspace", "digest", "erasure"], name="tombstone_digest_unique"
            ),
        ]
        indexes = [
            # an erasure's, and the cascade from it
            models.Index(fields=["workspace", "erasure"], name="tombstone_erasure"),
            # those of terms, which are looked for in texts
            models.Index(
                fields=["workspace", "words"],
                condition=models.Q(words__gt=0),
                name="tombstone_terms",
            ),
        ]

    def __str__(self) -> str:
        return bytes(self.digest).hex()[:12]
