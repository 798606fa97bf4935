"""How much keys do, and how much a workspace holds: what the limits are measured by.

Telemetry and derived: nothing is lost when it is gone, and nobody's history has it.
"""

from django.db import models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import WorkspaceRow
from contacts.models.agent import ApiKey


class UsageDay(WorkspaceRow):
    """What one key did on one day, UTC: its requests, the rows that they wrote (not what the
    server derived from them), and the bytes of the bodies that those rows came in."""

    api_key = ScopedForeignKey(ApiKey, cascade=True, related_name="usage")
    day = models.DateField()
    requests = models.PositiveBigIntegerField(default=0)
    rows = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # also all keys of a day, and the cascade from a key through its second index
            models.UniqueConstraint(fields=["workspace", "day", "api_key"], name="usageday_unique"),
        ]
        indexes = [
            # a key's last days, and the cascade from it
            models.Index(fields=["workspace", "api_key", "-day"], name="usageday_key"),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.rows:,} rows"


class StorageCount(WorkspaceRow):
    """What the rows of a workspace take on disk, without indexes, as a job measured it.

    `tables` is a JSON object: table to {"rows", "bytes"}. `added` is what keys have sent since;
    `seconds` is how long measuring took.
    """

    tables = models.JSONField(default=dict)
    bytes = models.PositiveBigIntegerField(default=0)
    added = models.PositiveBigIntegerField(default=0)
    measured_at = models.DateTimeField()
    seconds = models.FloatField(default=0)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            models.UniqueConstraint(fields=["workspace"], name="storagecount_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.bytes:,} bytes at {self.measured_at:%Y-%m-%d %H:%M}"
