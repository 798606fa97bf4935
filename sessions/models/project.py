"""Project: what sessions and tasks are for."""

from django.db import models

from config.lib.db.models import SourcedRow, unique_external_id


class Project(SourcedRow):
    """A body of work, usually a repository.

    `docs`, `features` and `data` are JSON lists of objects, kept as the source had them.
    """

    title = models.CharField(max_length=300)
    description = models.TextField(blank=True, max_length=1_000_000)
    repo_url = models.CharField(max_length=500, blank=True)
    pinned = models.BooleanField(default=False)
    archived_at = models.DateTimeField(null=True, blank=True)
    docs = models.JSONField(default=list, blank=True)
    features = models.JSONField(default=list, blank=True)
    data = models.JSONField(default=list, blank=True)

    class Meta(SourcedRow.Meta):
        constraints = [unique_external_id("project_external_id_unique")]
        indexes = [
            # the list: pinned first, then newest
            models.Index(
                fields=["workspace", "-pinned", "-created_at", "-id"], name="project_list"
            ),
            # the look-up of a project by its title when a session names one
            models.Index(fields=["workspace", "title"], name="project_title"),
        ]

    def __str__(self) -> str:
        return self.title
