"""Counts that a job keeps, so that nobody counts a million rows to show a number.

Derived, like the search index: nothing is lost when they are gone.
"""

from django.db import models

from config.lib.db.models import WorkspaceRow


class RowCount(WorkspaceRow):
    """How many rows of one table a workspace has, up to the id `counted_to`.

    `what` is a name of memory/services/counts.py. `counts` is a JSON object: "state" or
    "state/kind" to the number of rows. Ids grow with time, so what came since `counted_to` is a
    short range of the primary key, which readers count themselves. `counted_at` is when the states
    were read, `recounted_at` when all rows were last gone through, `seconds` how long that took.
    """

    what = models.CharField(max_length=30)
    counts = models.JSONField(default=dict)
    counted_to = models.UUIDField()
    counted_at = models.DateTimeField()
    recounted_at = models.DateTimeField()
    seconds = models.FloatField(default=0)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            models.UniqueConstraint(fields=["workspace", "what"], name="rowcount_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.what} at {self.counted_at:%Y-%m-%d %H:%M}"


class DayCount(WorkspaceRow):
    """How many of the rows in a RowCount belong to one day, UTC, by the time they tell of."""

    what = models.CharField(max_length=30)
    day = models.DateField()
    count = models.PositiveBigIntegerField()

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # also the last days of one table
            models.UniqueConstraint(fields=["workspace", "what", "day"], name="daycount_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.what} {self.day}: {self.count:,}"
