"""Priority: a line on a day's list of what matters."""

from django.db import models

from config.lib.db.models import SourcedRow, unique_external_id


class Level(models.TextChoices):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Priority(SourcedRow):
    """On the list of `date`, in `pool`, at `position` from the top.

    One that is still open is carried over to the next day's list: `date` moves, and
    `carried_from` stays the first day it was on.
    """

    content = models.TextField(max_length=2_000)
    level = models.CharField(max_length=20, choices=Level, default=Level.MEDIUM)
    pool = models.CharField(max_length=60, default="main")
    date = models.DateField()
    carried_from = models.DateField(null=True, blank=True, editable=False)
    position = models.PositiveIntegerField(default=0)
    completed_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(SourcedRow.Meta):
        verbose_name_plural = "priorities"
        constraints = [unique_external_id("priority_external_id_unique")]
        indexes = [
            # a day's list, in order, of all pools or of one
            models.Index(fields=["workspace", "date", "position", "id"], name="priority_day"),
            models.Index(
                fields=["workspace", "pool", "date", "position", "id"], name="priority_pool"
            ),
            # all of them, newest day first
            models.Index(fields=["workspace", "-date", "-id"], name="priority_list"),
            # what is still open from earlier days
            models.Index(
                fields=["workspace", "date"],
                condition=models.Q(completed_at=None),
                name="priority_open",
            ),
        ]

    def __str__(self) -> str:
        return self.content[:80]
