"""Receipt and SearchFeedback: which searches were made, what they gave, and what askers say of it.

A receipt keeps the query's own text and the ids of rows, never their texts, so that what is
deleted or erased is not kept alive here.
"""

from django.db import models

from config.lib import clock
from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import WorkspaceRow


class Receipt(WorkspaceRow):
    """One search. Telemetry: written once, without a Revision, and deleted after some weeks.

    `request` is what was asked with, defaults left out; `filters` the same with names as ids.
    `hits` is a list of {kind, id, chunk, rank, score} and each leg's figures (schemas.Explanation).
    `weights` names the version of the ranking, `took_ms` is without the query's embedding.
    """

    q = models.TextField(blank=True)
    request = models.JSONField(default=dict)
    filters = models.JSONField(default=dict)
    mode = models.CharField(max_length=20)
    legs = models.JSONField(default=list)
    hits = models.JSONField(default=list)
    hit_count = models.PositiveIntegerField(default=0)
    space = models.CharField(max_length=300, blank=True, default="")
    weights = models.CharField(max_length=20)
    took_ms = models.FloatField()
    agent = ScopedForeignKey("contacts.Agent", null=True, related_name="searches")
    api_key_id = models.UUIDField(null=True)
    asker = models.CharField(max_length=200)

    class Meta(WorkspaceRow.Meta):
        # What people made; the paper is ours.
        verbose_name = "search"
        verbose_name_plural = "searches"
        indexes = [
            # the list, and the oldest ones when they are deleted
            models.Index(fields=["workspace", "-created_at", "-id"], name="receipt_list"),
            # those of one mode
            models.Index(fields=["workspace", "mode", "-created_at", "-id"], name="receipt_mode"),
            # those that found nothing
            models.Index(
                fields=["workspace", "-created_at", "-id"],
                condition=models.Q(hit_count=0),
                name="receipt_empty",
            ),
            # one agent's, and nulling when it goes
            models.Index(fields=["workspace", "agent", "-created_at", "-id"], name="receipt_agent"),
        ]

    def __str__(self) -> str:
        return self.q[:80] or "(no words)"


class Verdict(models.TextChoices):
    USEFUL = "useful"
    WRONG = "wrong"
    OUTDATED = "outdated"


class SearchFeedback(WorkspaceRow):
    """What one asker says of one hit. Recorded for people to read; it never changes ranking.

    `asker` is the actor's kind and id: who says it again changes what was said.
    """

    receipt = ScopedForeignKey(Receipt, cascade=True, related_name="feedback")
    kind = models.CharField(max_length=20)
    hit_id = models.UUIDField()
    verdict = models.CharField(max_length=20, choices=Verdict)
    note = models.TextField(blank=True, default="", max_length=2000)
    asker = models.CharField(max_length=100)
    asker_label = models.CharField(max_length=200)
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(WorkspaceRow.Meta):
        verbose_name_plural = "search feedback"
        constraints = [
            # one per hit and asker; also a receipt's feedback, and the cascade from it
            models.UniqueConstraint(
                fields=["workspace", "receipt", "kind", "hit_id", "asker"],
                name="searchfeedback_unique",
            ),
        ]
        indexes = [
            # the list of one verdict
            models.Index(fields=["workspace", "verdict", "-id"], name="searchfeedback_verdict"),
            # what was said of one hit
            models.Index(fields=["workspace", "hit_id", "-id"], name="searchfeedback_hit"),
        ]

    def __str__(self) -> str:
        return self.verdict
