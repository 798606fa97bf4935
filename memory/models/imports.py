"""ImportRun: one import of another system's data, and how it went."""

from django.db import models

from config.lib import clock
from config.lib.db.models import VersionedRow


class ImportState(models.TextChoices):
    # of the Import page alone, up to where one is begun
    RECEIVING = "receiving"
    UNPACKING = "unpacking"
    PROPOSED = "proposed"
    TRYING = "trying"
    TRIED = "tried"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    PREVIEWING = "previewing"
    UNDOING = "undoing"
    UNDONE = "undone"


# While a job works on it, if the Import page began it.
ACTIVE = (
    ImportState.UNPACKING,
    ImportState.TRYING,
    ImportState.RUNNING,
    ImportState.PREVIEWING,
    ImportState.UNDOING,
)


class ImportRun(VersionedRow):
    """`source` is the importer's name, `path` where it read from, `options` what was asked for.

    `counts` is {table: {total, read, created, updated, unchanged, skipped, older}} by the source's
    tables, `problem_counts` {code: n} and `problems` the first ones, each {table, id, code, level,
    reason, action}. `redacted` counts secrets taken out. `checked` is what verification found:
    {ok, tables, compared, differences}. `undone` is {removed, kept, reverted} by model and the
    `unlearning_id` of the unit by which it is brought back. These,
    `state`, `error` and `beat_at`, the last sign of life, are telemetry. Each Revision of the run
    has its id as actor_id.

    Of one that was asked for on the Import page (`by_page`): `files` is what was uploaded, each
    {name, size}, `found` what of it looks like something, each {path, what, source}, `actor_id` who
    began what is done now, `job` the process that does it, `progress` a line of it. `tried` is the
    report of the dry run, `preview` what taking it back would do, each as `counts` and the others
    are, or as `undone`.
    """

    source = models.CharField(max_length=60, blank=True)
    path = models.CharField(max_length=2000, blank=True)
    options = models.JSONField(default=dict, blank=True)
    actor_id = models.CharField(max_length=64, blank=True)
    actor_label = models.CharField(max_length=200, blank=True)
    by_page = models.BooleanField(default=False, editable=False)
    files = models.JSONField(default=list, blank=True, editable=False)
    found = models.JSONField(default=list, blank=True, editable=False)
    job = models.CharField(max_length=40, blank=True, editable=False)
    progress = models.CharField(max_length=200, blank=True, editable=False)
    tried = models.JSONField(default=dict, blank=True, editable=False)
    preview = models.JSONField(default=dict, blank=True, editable=False)
    state = models.CharField(max_length=20, choices=ImportState, default=ImportState.RUNNING)
    counts = models.JSONField(default=dict, blank=True, editable=False)
    problem_counts = models.JSONField(default=dict, blank=True, editable=False)
    problems = models.JSONField(default=list, blank=True, editable=False)
    redacted = models.PositiveIntegerField(default=0, editable=False)
    checked = models.JSONField(default=dict, blank=True, editable=False)
    undone = models.JSONField(default=dict, blank=True, editable=False)
    error = models.TextField(blank=True, max_length=20_000, editable=False)
    started_at = models.DateTimeField(default=clock.now, editable=False)
    beat_at = models.DateTimeField(default=clock.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    undone_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(VersionedRow.Meta):
        indexes = [
            # the list, newest first
            models.Index(fields=["workspace", "-created_at", "-id"], name="importrun_list"),
            # those of one source, and those that a kill left running
            models.Index(
                fields=["workspace", "source", "-created_at", "-id"], name="importrun_source"
            ),
            # those that a job should be working on
            models.Index(
                fields=["workspace", "beat_at"],
                condition=models.Q(state__in=ACTIVE, by_page=True),
                name="importrun_active",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source or 'import'} {self.started_at:%Y-%m-%d %H:%M}"
