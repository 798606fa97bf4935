"""Backup: one copy of the whole database, and whether it was tried."""

from django.db import models

from config.lib import clock
from config.lib.ids import new_id


class Backup(models.Model):
    """Of every workspace, so of none. A row is written once the file is whole, and again when that
    was tried, or where it came to neither: the copy itself does not hold it.

    `path` is the file on the machine that made it; gone once rotation removed it, which `kept`
    says. `verified_at` is when it was restored into a server of its own and found whole; without
    it `error` says why not.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    path = models.CharField(max_length=2000, blank=True)
    bytes = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    kept = models.BooleanField(default=True)
    error = models.TextField(blank=True, max_length=20_000)
    # The moment whose rows it has, and when its making ended.
    started_at = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(default=clock.now)
    verified_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["-started_at"], name="backup_list")]

    def __str__(self) -> str:
        return self.path or "a backup that failed"
