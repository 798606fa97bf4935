"""GoldenQuery and its runs: what a search must return, and whether it did."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import VersionedRow, WorkspaceRow


class GoldenQuery(VersionedRow):
    """A search, and the rows that must be among its first `within`.

    `request` is the body of a search; `expected` the ids of rows. The last_ columns are telemetry
    of the newest run; recall is the share of the expected rows that came back, 0 to 1.
    """

    name = models.CharField(max_length=200)
    request = models.JSONField(default=dict)
    expected = ArrayField(models.CharField(max_length=36))
    within = models.PositiveIntegerField(
        default=10, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    enabled = models.BooleanField(default=True)
    last_recall = models.FloatField(null=True, blank=True, editable=False)
    last_run_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(VersionedRow.Meta):
        verbose_name_plural = "golden queries"

    def __str__(self) -> str:
        return self.name


class GoldenRun(WorkspaceRow):
    """All golden queries of the workspace, asked once. `recall` is their mean."""

    reason = models.CharField(max_length=60)
    space = models.CharField(max_length=300, blank=True, default="")
    weights = models.CharField(max_length=20)
    queries = models.PositiveIntegerField()
    recall = models.FloatField()
    took_ms = models.FloatField()

    class Meta(WorkspaceRow.Meta):
        pass

    def __str__(self) -> str:
        return f"{self.reason}: {self.recall:.2f} of {self.queries}"


class GoldenResult(WorkspaceRow):
    """One golden query in one run. `ranks` has each expected id that came back, with its place;
    `missing` the others; `lost` and `regained` what differs from the query's run before."""

    run = ScopedForeignKey(GoldenRun, cascade=True, related_name="results")
    golden = ScopedForeignKey(GoldenQuery, cascade=True, related_name="results")
    recall = models.FloatField()
    recall_before = models.FloatField(null=True)
    ranks = models.JSONField(default=dict)
    missing = models.JSONField(default=list)
    lost = models.JSONField(default=list)
    regained = models.JSONField(default=list)
    problem = models.CharField(max_length=300, blank=True, default="")

    class Meta(WorkspaceRow.Meta):
        indexes = [
            # a run's results, and the cascade from it
            models.Index(fields=["workspace", "run", "id"], name="goldenresult_run"),
            # a query's runs, the newest first, and the cascade from it
            models.Index(fields=["workspace", "golden", "-id"], name="goldenresult_golden"),
        ]

    def __str__(self) -> str:
        return f"{self.recall:.2f}"
