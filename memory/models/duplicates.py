"""Two memories that say nearly the same: proposed for merging, decided by somebody."""

from django.db import models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import VersionedRow
from memory.models.memory import Memory


class DuplicateState(models.TextChoices):
    OPEN = "open"
    MERGED = "merged"
    DISMISSED = "dismissed"


class Kept(models.TextChoices):
    OLDER = "older"
    NEWER = "newer"


class MemoryDuplicate(VersionedRow):
    """A proposal: `older` and `newer`, by when they were made. `similarity` is the cosine of their
    vectors, `overlap` the share of their words that both have (0 to 1). `kept` says which of them
    stayed in use, once merged (see Kept).
    """

    older = ScopedForeignKey(Memory, cascade=True, related_name="duplicates_newer")
    newer = ScopedForeignKey(Memory, cascade=True, related_name="duplicates_older")
    similarity = models.FloatField()
    overlap = models.FloatField()
    state = models.CharField(
        max_length=20, choices=DuplicateState, default=DuplicateState.OPEN, editable=False
    )
    kept = models.CharField(max_length=10, blank=True, default="", editable=False)
    decided_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(VersionedRow.Meta):
        verbose_name = "near duplicate"
        constraints = [
            # a pair once, whatever was decided; also serves the cascade from the older one
            models.UniqueConstraint(
                fields=["workspace", "older", "newer"], name="memoryduplicate_unique"
            ),
        ]
        indexes = [
            # the list, newest first, under each state; all states by the primary key
            models.Index(fields=["workspace", "state", "-id"], name="memoryduplicate_state"),
            # the cascade from the newer one
            models.Index(fields=["workspace", "newer"], name="memoryduplicate_newer"),
        ]

    def __str__(self) -> str:
        return f"{self.similarity:.2f}"
