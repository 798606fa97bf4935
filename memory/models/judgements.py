"""Pairs of memories that a language model is asked about: whether they contradict each other."""

from django.db import models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import WorkspaceRow


class Answer(models.TextChoices):
    WAITING = "waiting"
    CONTRADICTS = "contradicts"
    COMPATIBLE = "compatible"
    GIVEN_UP = "given_up", "Given up"


class Judgement(WorkspaceRow):
    """One pair, asked about once. Telemetry: it can be deleted, and the pair may be asked anew.

    What contradicts is a link of the two, for a person to decide; this only says that the model was
    asked. `due_at` is when it is, null when it was. `method` names the model, `problem` says why
    it gave no verdict the last time, without a word of the memories.
    """

    older = ScopedForeignKey("memory.Memory", cascade=True, related_name="judged_newer")
    newer = ScopedForeignKey("memory.Memory", cascade=True, related_name="judged_older")
    answer = models.CharField(max_length=20, choices=Answer, default=Answer.WAITING)
    due_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    method = models.CharField(max_length=60, blank=True)
    problem = models.CharField(max_length=300, blank=True)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # each pair once; the cascade from the newer
            models.UniqueConstraint(
                fields=["workspace", "newer", "older"], name="judgement_pair_unique"
            ),
        ]
        indexes = [
            # the cascade from the older
            models.Index(fields=["workspace", "older"], name="judgement_older"),
            # what waits, longest first
            models.Index(
                fields=["workspace", "due_at"],
                condition=models.Q(due_at__isnull=False),
                name="judgement_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.newer_id} {self.older_id}"
