"""Worker: one piece of work that an agent pulls from the queue."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import SourcedRow, WorkspaceRow, unique_external_id


class WorkerStatus(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    AWAITING_CLARIFICATION = "awaiting_clarification"
    SNOOZED = "snoozed"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


# Written while it runs, many times a minute; neither `version` nor a Revision follows from them.
TELEMETRY = frozenset({"lease_until", "heartbeat_at", "progress_percent", "progress_text"})


# Begins the dedupe_key of a worker that runs a mission; callers' own keys may not begin so.
MISSION_KEY = "mission:"


class Worker(SourcedRow):
    """`primitive` is the kind of work, which says who may claim it; `params` is its JSON object.

    A claim sets `lease_id` and `lease_until`: only who holds the lease may beat, report and
    complete, and a lease that ran out puts the worker back. `attempts` counts claims; after
    `max_attempts` it is failed, which is the end until somebody retries it. `priority`: higher is
    claimed first. `run_after` is when it may be claimed at the earliest (snoozed, retried later).
    `trace_id` is the same over all attempts and what they caused.
    """

    session = ScopedForeignKey(
        "agent_sessions.Session", null=True, blank=True, related_name="spawned_workers"
    )
    run_session = ScopedForeignKey(
        "agent_sessions.Session", null=True, blank=True, related_name="executed_workers"
    )
    task = ScopedForeignKey("agent_sessions.Task", null=True, blank=True, related_name="workers")
    conversation_id = models.CharField(max_length=120, blank=True)
    name = models.CharField(max_length=300, blank=True)
    primitive = models.CharField(max_length=60)
    status = models.CharField(max_length=30, choices=WorkerStatus, default=WorkerStatus.PENDING)
    instructions = models.TextField(blank=True, max_length=1_000_000)
    params = models.JSONField(default=dict, blank=True)
    workspace_path = models.CharField(max_length=1000, blank=True)
    priority = models.IntegerField(default=0)
    run_after = models.DateTimeField(null=True, blank=True)
    timeout_seconds = models.PositiveIntegerField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0, editable=False)
    max_attempts = models.PositiveIntegerField(default=3)
    dedupe_key = models.CharField(max_length=200, blank=True)
    trace_id = models.CharField(max_length=64, blank=True)
    lease_id = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    heartbeat_at = models.DateTimeField(null=True, blank=True, editable=False)
    claimed_by = ScopedForeignKey(
        "contacts.Agent", null=True, blank=True, related_name="claimed_workers"
    )
    cancel_requested_at = models.DateTimeField(null=True, blank=True, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    progress_percent = models.FloatField(null=True, blank=True, editable=False)
    progress_text = models.CharField(max_length=500, blank=True, editable=False)
    report = models.TextField(blank=True, max_length=1_000_000)
    report_summary = models.TextField(blank=True, max_length=10_000)
    error = models.TextField(blank=True, max_length=20_000)
    exit_code = models.IntegerField(null=True, blank=True, editable=False)
    clarification_question = models.TextField(blank=True, max_length=20_000)
    clarification_options = ArrayField(
        models.CharField(max_length=500), default=list, blank=True, editable=False
    )
    clarification_asked_at = models.DateTimeField(null=True, blank=True, editable=False)
    clarification_answer = models.TextField(blank=True, max_length=20_000)
    clarification_answered_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(SourcedRow.Meta):
        constraints = [
            unique_external_id("worker_external_id_unique"),
            # spawned twice, there once
            models.UniqueConstraint(
                fields=["workspace", "dedupe_key"],
                condition=~models.Q(dedupe_key=""),
                name="worker_dedupe_unique",
            ),
        ]
        indexes = [
            # the next to claim: highest priority, then oldest
            models.Index(
                fields=["workspace", "-priority", "id"],
                condition=models.Q(status="pending"),
                name="worker_queue",
            ),
            # the same for a runner that takes some kinds only
            models.Index(
                fields=["workspace", "primitive", "-priority", "id"],
                condition=models.Q(status="pending"),
                name="worker_queue_primitive",
            ),
            # leases that ran out
            models.Index(
                fields=["workspace", "lease_until"],
                condition=models.Q(status="running"),
                name="worker_lease",
            ),
            # the list, newest first, and under each of its filters
            models.Index(fields=["workspace", "-created_at", "-id"], name="worker_list"),
            models.Index(
                fields=["workspace", "status", "-created_at", "-id"], name="worker_status"
            ),
            # those that failed for good, without the missions' own
            models.Index(
                fields=["workspace", "-created_at", "-id"],
                condition=models.Q(status="failed") & ~models.Q(dedupe_key__startswith=MISSION_KEY),
                name="worker_failed",
            ),
            models.Index(
                fields=["workspace", "primitive", "-created_at", "-id"], name="worker_primitive"
            ),
            models.Index(
                fields=["workspace", "conversation_id", "-created_at", "-id"],
                name="worker_conversation",
            ),
            # what a session spawned, and nulling it when the session goes
            models.Index(
                fields=["workspace", "session", "-created_at", "-id"], name="worker_session"
            ),
            models.Index(
                fields=["workspace", "run_session"],
                condition=models.Q(run_session__isnull=False),
                name="worker_run_session",
            ),
            # a task's workers, and nulling it when the task goes
            models.Index(
                fields=["workspace", "task", "-created_at", "-id"],
                condition=models.Q(task__isnull=False),
                name="worker_task",
            ),
            # everything of one trace
            models.Index(
                fields=["workspace", "trace_id"],
                condition=~models.Q(trace_id=""),
                name="worker_trace",
            ),
            # what an agent has claimed
            models.Index(
                fields=["workspace", "claimed_by", "-created_at", "-id"],
                condition=models.Q(claimed_by__isnull=False),
                name="worker_claimed_by",
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.primitive} {self.short_id}"


class WorkerDependency(WorkspaceRow):
    """`worker` may not be claimed before `needs` is complete."""

    worker = ScopedForeignKey(Worker, cascade=True, related_name="dependencies")
    needs = ScopedForeignKey(Worker, cascade=True, related_name="dependents")

    class Meta(WorkspaceRow.Meta):
        verbose_name_plural = "worker dependencies"
        constraints = [
            # what a worker waits for, and the cascade from it
            models.UniqueConstraint(
                fields=["workspace", "worker", "needs"], name="workerdependency_unique"
            ),
        ]
        indexes = [
            # what waits for a worker, and the cascade from it
            models.Index(fields=["workspace", "needs"], name="workerdependency_needs"),
        ]

    def __str__(self) -> str:
        return f"{self.worker_id} needs {self.needs_id}"


class OutputStream(models.TextChoices):
    STDOUT = "stdout"
    STDERR = "stderr"


class WorkerOutput(WorkspaceRow):
    """Append-only: a piece of what a worker printed. `seq` counts from 1 without gaps."""

    worker = ScopedForeignKey(Worker, cascade=True, related_name="output")
    seq = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    stream = models.CharField(max_length=10, choices=OutputStream, default=OutputStream.STDOUT)
    text = models.TextField(max_length=100_000)

    class Meta(WorkspaceRow.Meta):
        verbose_name_plural = "worker output"
        constraints = [
            # a worker's output in order, and the cascade from it
            models.UniqueConstraint(
                fields=["workspace", "worker", "seq"], name="workeroutput_seq_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.stream}"
