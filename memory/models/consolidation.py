"""ConsolidationRun: episodes told as narratives, done and taken back as one."""

from django.db import models

from config.lib import clock
from config.lib.db.models import VersionedRow


class ConsolidationState(models.TextChoices):
    RUNNING = "running"
    HELD = "held"
    DONE = "done"
    DISMISSED = "dismissed"
    REVERTED = "reverted"


class ConsolidationRun(VersionedRow):
    """`groups` are what it tells of, each {session, day, project, sources, title, draft, memory}:
    ids, the draft once it is made, the memory once it is written. `read`, `made` and `changed`
    count memories: sources that were read, narratives, sources that were marked. `hides` says that
    sources are archived as well; `would_hide` and `of` are how many of how many in use that were,
    and `held` why a person is asked. `reverted` is {removed, reverted, kept: [{id, why}]}.

    `groups`, the counts and `beat_at`, the last sign of life, are telemetry while it runs. Each
    Revision of the run has its id as actor_id.
    """

    actor_id = models.CharField(max_length=64, blank=True)
    actor_label = models.CharField(max_length=200, blank=True)
    state = models.CharField(
        max_length=20, choices=ConsolidationState, default=ConsolidationState.RUNNING
    )
    hides = models.BooleanField(default=False)
    method = models.CharField(max_length=60, blank=True, editable=False)
    groups = models.JSONField(default=list, blank=True, editable=False)
    read = models.PositiveIntegerField(default=0, editable=False)
    made = models.PositiveIntegerField(default=0, editable=False)
    changed = models.PositiveIntegerField(default=0, editable=False)
    would_hide = models.PositiveIntegerField(default=0, editable=False)
    of = models.PositiveIntegerField(default=0, editable=False)
    held = models.CharField(max_length=500, blank=True, editable=False)
    reverted = models.JSONField(default=dict, blank=True, editable=False)
    started_at = models.DateTimeField(default=clock.now, editable=False)
    beat_at = models.DateTimeField(default=clock.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(VersionedRow.Meta):
        verbose_name = "consolidation"
        indexes = [
            # the list, newest first
            models.Index(fields=["workspace", "-created_at", "-id"], name="consolidationrun_list"),
            # what goes on, and what waits for a person
            models.Index(
                fields=["workspace", "state", "created_at"],
                condition=models.Q(state__in=(ConsolidationState.RUNNING, ConsolidationState.HELD)),
                name="consolidationrun_open",
            ),
        ]

    def __str__(self) -> str:
        return f"consolidation {self.started_at:%Y-%m-%d %H:%M}"
