"""IdempotencyKey: the answer to a request that may be sent twice."""

from django.db import models

from config.lib.db.models import WorkspaceRow


class IdempotencyKey(WorkspaceRow):
    """Written in the request's own transaction: the answer exists if and only if the effect does.

    `status` is null only inside the transaction that is still working on it.
    """

    api_key_id = models.UUIDField()
    key = models.CharField(max_length=255)
    digest = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=b"")

    class Meta(WorkspaceRow.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "api_key_id", "key"], name="idempotencykey_unique"
            ),
        ]
        indexes = [
            # the job that forgets answers after their day
            models.Index(fields=["workspace", "created_at"], name="idempotencykey_age"),
        ]
