"""Missions: work that comes round by a schedule, and each time it did."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import SourcedRow, VersionedRow, unique_external_id


class ScheduleKind(models.TextChoices):
    ONCE = "once"
    INTERVAL = "interval"
    CRON = "cron"


class OverlapPolicy(models.TextChoices):
    SKIP = "skip"
    QUEUE_ONE = "queue_one"
    ALLOW = "allow"
    CANCEL_PREVIOUS = "cancel_previous"


class Trigger(models.TextChoices):
    SCHEDULE = "schedule"
    MANUAL = "manual"
    BACKFILL = "backfill"


class MissionStatus(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class ScheduledMission(SourcedRow):
    """`schedule` by `schedule_kind`: an RFC 3339 time (once), seconds (interval), or five cron
    fields or an @alias (cron), read in `timezone` (IANA).

    `next_run_at` is null where nothing is due any more or the mission is not enabled.
    `consecutive_failures`, `last_run_at` (when a run last became a worker) and `last_status` (of
    the run that changed last) are telemetry.
    """

    name = models.CharField(max_length=300)
    slug = models.SlugField(max_length=120, db_index=False)
    description = models.TextField(blank=True, max_length=20_000)
    prompt = models.TextField(max_length=1_000_000)
    primitive = models.CharField(max_length=60, default="mission")
    params = models.JSONField(default=dict, blank=True)
    project = ScopedForeignKey(
        "agent_sessions.Project", null=True, blank=True, related_name="missions"
    )
    conversation_id = models.CharField(max_length=120, blank=True)
    workspace_path = models.CharField(max_length=1000, blank=True)
    priority = models.IntegerField(default=0)
    schedule_kind = models.CharField(max_length=20, choices=ScheduleKind)
    schedule = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, default="UTC")
    overlap_policy = models.CharField(
        max_length=20, choices=OverlapPolicy, default=OverlapPolicy.SKIP
    )
    catchup_seconds = models.PositiveIntegerField(default=3600)
    jitter_seconds = models.PositiveIntegerField(default=0)
    timeout_minutes = models.PositiveIntegerField(
        default=60, validators=[MinValueValidator(1), MaxValueValidator(10_080)]
    )
    max_attempts = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    max_runs_per_day = models.PositiveIntegerField(null=True, blank=True)
    pause_after_failures = models.PositiveIntegerField(default=5)
    enabled = models.BooleanField(default=True)
    pause_reason = models.CharField(max_length=500, blank=True)
    next_run_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_run_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_status = models.CharField(max_length=20, blank=True, editable=False)
    consecutive_failures = models.PositiveIntegerField(default=0, editable=False)

    class Meta(SourcedRow.Meta):
        constraints = [
            unique_external_id("scheduledmission_external_id_unique"),
            # the look-up by slug
            models.UniqueConstraint(
                fields=["workspace", "slug"], name="scheduledmission_slug_unique"
            ),
        ]
        indexes = [
            # what is due
            models.Index(
                fields=["workspace", "next_run_at"],
                condition=models.Q(enabled=True, next_run_at__isnull=False),
                name="scheduledmission_due",
            ),
            # the list, newest first, and the enabled or paused ones
            models.Index(fields=["workspace", "-created_at", "-id"], name="scheduledmission_list"),
            models.Index(
                fields=["workspace", "enabled", "-created_at", "-id"],
                name="scheduledmission_enabled",
            ),
            # a project's missions, and nulling it when the project goes
            models.Index(
                fields=["workspace", "project", "-created_at", "-id"],
                condition=models.Q(project__isnull=False),
                name="scheduledmission_project",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Mission(VersionedRow):
    """One execution. `worker` is the piece of work it became; its attempts are the worker's.

    `scheduled_for` is unique with the scheduled mission, so that two schedulers make one.
    """

    scheduled_mission = ScopedForeignKey(ScheduledMission, cascade=True, related_name="missions")
    scheduled_for = models.DateTimeField()
    trigger = models.CharField(max_length=20, choices=Trigger, default=Trigger.SCHEDULE)
    status = models.CharField(max_length=20, choices=MissionStatus, default=MissionStatus.PENDING)
    worker = ScopedForeignKey(
        "agent_sessions.Worker", null=True, blank=True, related_name="missions"
    )
    session = ScopedForeignKey(
        "agent_sessions.Session", null=True, blank=True, related_name="missions"
    )
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    output_summary = models.TextField(blank=True, max_length=10_000)
    error = models.TextField(blank=True, max_length=20_000)

    class Meta(VersionedRow.Meta):
        constraints = [
            # a mission's history, newest first when read backwards, and the cascade from it
            models.UniqueConstraint(
                fields=["workspace", "scheduled_mission", "scheduled_for"],
                name="mission_scheduled_for_unique",
            ),
        ]
        indexes = [
            # all executions, newest first, and under the filter by status
            models.Index(fields=["workspace", "-scheduled_for", "-id"], name="mission_list"),
            models.Index(
                fields=["workspace", "status", "-scheduled_for", "-id"], name="mission_status"
            ),
            # one mission's history, newest first
            models.Index(
                fields=["workspace", "scheduled_mission", "-scheduled_for", "-id"],
                name="mission_history",
            ),
            # those that went wrong
            models.Index(
                fields=["workspace", "-scheduled_for", "-id"],
                condition=models.Q(status__in=["failed", "timeout"]),
                name="mission_failed",
            ),
            # the execution that a worker or a session is, and nulling it when that goes
            models.Index(
                fields=["workspace", "worker"],
                condition=models.Q(worker__isnull=False),
                name="mission_worker",
            ),
            models.Index(
                fields=["workspace", "session"],
                condition=models.Q(session__isnull=False),
                name="mission_session",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scheduled_for:%Y-%m-%d %H:%M} {self.status}"
