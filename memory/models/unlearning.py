"""Unlearning: what one session, worker, key, run or import wrote, taken back as one unit."""

from django.db import models

from config.lib.db.models import VersionedRow


class UnlearningKind(models.TextChoices):
    SESSION = "session"
    WORKER = "worker"
    KEY = "key"
    RUN = "run"
    # all that it brought, by its own undo
    IMPORT = "import"


# An import is taken back where it was begun.
ASKED_FOR = tuple(kind for kind in UnlearningKind if kind is not UnlearningKind.IMPORT)


class UnlearningState(models.TextChoices):
    PROPOSED = "proposed"
    # of an import alone, which is taken back in many transactions
    RUNNING = "running"
    DONE = "done"
    UNDONE = "undone"


class Unlearning(VersionedRow):
    """`target_id` is the session's, worker's, key's, run's (of an import, of bulk work, of a
    consolidation) or import's id; `since` leaves out what was written before.

    `preview`, `report` and `undone` are {archived, removed, reverted, losing, staying: rows by
    table; kept: the first that stay, each {model, id, why}}. Each Revision of it has its id as
    request_id, those of its undo `undo-` and it.
    """

    kind = models.CharField(max_length=20, choices=UnlearningKind)
    target_id = models.UUIDField(editable=False)
    since = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    state = models.CharField(
        max_length=20, choices=UnlearningState, default=UnlearningState.PROPOSED, editable=False
    )
    actor_label = models.CharField(max_length=200, editable=False)
    preview = models.JSONField(default=dict, blank=True, editable=False)
    report = models.JSONField(default=dict, blank=True, editable=False)
    undone = models.JSONField(default=dict, blank=True, editable=False)
    done_at = models.DateTimeField(null=True, blank=True, editable=False)
    undone_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(VersionedRow.Meta):
        indexes = [
            # the list, newest first
            models.Index(fields=["workspace", "-created_at", "-id"], name="unlearning_list"),
        ]

    def __str__(self) -> str:
        return f"What a {self.get_kind_display().lower()} wrote"
