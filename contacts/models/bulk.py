"""BulkRun: one action over many rows, done by a job in slices."""

from django.db import models

from config.lib.db.models import VersionedRow


class BulkState(models.TextChoices):
    PROPOSED = "proposed"
    TRYING = "trying"
    TRIED = "tried"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    UNDOING = "undoing"
    UNDONE = "undone"


# While a job works on it.
ACTIVE = (BulkState.TRYING, BulkState.RUNNING, BulkState.UNDOING)


class BulkRun(VersionedRow):
    """`action` of a list of `model`, over `ids` or, where there are none, over what the list's
    filters in `query` match and what was there when it was proposed.

    Rows are taken in the order of their ids; `cursor` is the last one looked at. It, the counts,
    `problems` (the first ones, {id, kind: failed or skipped, why}) and `beat_at` are telemetry of
    the present state. What the dry run and the run came to stays in `tried` and `ran`, as {done,
    skipped, failed, problems}. Each Revision that the run makes has the run's id as request_id,
    and `ran_by` as its actor; `actor_id` is who tried, ran or undid it last, and may do so.
    """

    model = models.CharField(max_length=60)
    action = models.CharField(max_length=60)
    title = models.CharField(max_length=200)
    query = models.TextField(blank=True, max_length=20_000)
    ids = models.JSONField(default=list, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=200)
    ran_by = models.CharField(max_length=64, blank=True, editable=False)
    state = models.CharField(max_length=20, choices=BulkState, default=BulkState.PROPOSED)
    total = models.PositiveIntegerField()
    at_least = models.BooleanField(default=False)
    cursor = models.UUIDField(null=True, blank=True, editable=False)
    done = models.PositiveIntegerField(default=0, editable=False)
    skipped = models.PositiveIntegerField(default=0, editable=False)
    failed = models.PositiveIntegerField(default=0, editable=False)
    problems = models.JSONField(default=list, blank=True, editable=False)
    tried = models.JSONField(default=dict, blank=True, editable=False)
    ran = models.JSONField(default=dict, blank=True, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    beat_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(VersionedRow.Meta):
        indexes = [
            # the list, newest first
            models.Index(fields=["workspace", "-created_at", "-id"], name="bulkrun_list"),
            # those that a job should be working on
            models.Index(
                fields=["workspace", "beat_at"],
                condition=models.Q(state__in=ACTIVE),
                name="bulkrun_active",
            ),
        ]

    def __str__(self) -> str:
        return self.title
