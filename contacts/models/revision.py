"""Revision: who changed what. Not for telemetry, nor for append-only rows."""

from django.db import models

from config.lib.db.models import WorkspaceRow


class Revision(WorkspaceRow):
    """One change of one row, written in the change's own transaction and never altered.

    `before` and `after` hold only the changed fields, as JSON values. Creation has an empty
    `before`, deletion an empty `after`.
    """

    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=200)
    channel = models.CharField(max_length=10)
    request_id = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=60)
    object_id = models.UUIDField()
    action = models.CharField(max_length=40)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    reason = models.CharField(max_length=500, blank=True)

    class Meta(WorkspaceRow.Meta):
        indexes = [
            # an object's history, newest first
            models.Index(fields=["workspace", "object_id", "-id"], name="revision_object"),
            # what one key, person or run did
            models.Index(fields=["workspace", "actor_id", "-id"], name="revision_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.model} by {self.actor_label}"
