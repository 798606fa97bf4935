"""Task: a piece of work in a project, done by a person or an agent."""

from django.db import models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import SourcedRow, unique_external_id


class TaskStatus(models.TextChoices):
    TODO = "todo"
    DOING = "doing"
    REVIEW = "review"
    DONE = "done"


class Urgency(models.TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Task(SourcedRow):
    """`order` is its place among the tasks of its project and status, from the top.

    `sources` and `code_examples` are JSON lists of objects, kept as the caller had them.
    """

    project = ScopedForeignKey(
        "agent_sessions.Project", cascade=True, null=True, blank=True, related_name="tasks"
    )
    parent = ScopedForeignKey("self", cascade=True, null=True, blank=True, related_name="subtasks")
    title = models.CharField(max_length=500)
    description = models.TextField(blank=True, max_length=1_000_000)
    status = models.CharField(max_length=20, choices=TaskStatus, default=TaskStatus.TODO)
    assignee = models.CharField(max_length=120, blank=True, default="User")
    order = models.IntegerField(default=0)
    priority = models.CharField(max_length=20, choices=Urgency, default=Urgency.MEDIUM)
    feature = models.CharField(max_length=200, blank=True)
    sources = models.JSONField(default=list, blank=True)
    code_examples = models.JSONField(default=list, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    archived_by = models.CharField(max_length=120, blank=True, editable=False)

    class Meta(SourcedRow.Meta):
        constraints = [unique_external_id("task_external_id_unique")]
        indexes = [
            # all open tasks, newest first, and under each of the filters
            models.Index(
                fields=["workspace", "-created_at", "-id"],
                condition=models.Q(archived_at=None),
                name="task_list",
            ),
            models.Index(
                fields=["workspace", "status", "-created_at", "-id"],
                condition=models.Q(archived_at=None),
                name="task_status",
            ),
            models.Index(
                fields=["workspace", "assignee", "-created_at", "-id"],
                condition=models.Q(archived_at=None),
                name="task_assignee",
            ),
            # a project's board: by status, in order; its counts by status; the cascade from it
            models.Index(
                fields=["workspace", "project", "status", "order", "id"], name="task_board"
            ),
            # a project's tasks, newest first
            models.Index(
                fields=["workspace", "project", "-created_at", "-id"],
                condition=models.Q(archived_at=None),
                name="task_project",
            ),
            # what was archived, newest first
            models.Index(
                fields=["workspace", "-archived_at", "-id"],
                condition=models.Q(archived_at__isnull=False),
                name="task_archived",
            ),
            # a task's subtasks in order, and the cascade from it
            models.Index(
                fields=["workspace", "parent", "order", "id"],
                condition=models.Q(parent__isnull=False),
                name="task_parent",
            ),
        ]

    def __str__(self) -> str:
        return self.title
