"""Revision: who changed what, and the seals that chain batches of them.

Not for telemetry, nor for append-only rows.
"""

from django.db import models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import WorkspaceRow


class RevisionSeal(WorkspaceRow):
    """A batch of Revisions made tamper-evident. Append-only for the runtime role.

    `position` counts from 1 without gaps in the workspace. `digest` covers the seal before it and
    the members' digests (contacts/services/digests.py says how). Which Revisions are members is
    written on them.
    """

    position = models.PositiveBigIntegerField()
    previous = models.BinaryField(max_length=32)
    digest = models.BinaryField(max_length=32)
    count = models.PositiveIntegerField()
    sealed_at = models.DateTimeField()

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # the chain, both ways; of two jobs at once, one makes the next seal
            models.UniqueConstraint(
                fields=["workspace", "position"], name="revisionseal_position_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"Seal {self.position}"


class Revision(WorkspaceRow):
    """One change of one row, written in the change's own transaction and never altered.

    `before` and `after` hold only the changed fields, as JSON values. Creation has an empty
    `before`, deletion an empty `after`.

    `digest` is the salted SHA-256 of all this (contacts/services/digests.py); null only where a
    release that knew no digests wrote the row, and then until it is sealed. The runtime role may
    set `seal`, and until it has done so the digest; nothing else, and nothing afterwards. Where
    `erased_at` is set, the owner's role has emptied the body and the salt: the digest stays, so
    that the chain still holds.
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
    salt = models.BinaryField(max_length=16, null=True, editable=False)
    digest = models.BinaryField(max_length=32, null=True, editable=False)
    seal = ScopedForeignKey(
        RevisionSeal, null=True, blank=True, editable=False, related_name="revisions"
    )
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(WorkspaceRow.Meta):
        indexes = [
            # an object's history, newest first
            models.Index(fields=["workspace", "object_id", "-id"], name="revision_object"),
            # what one key, person or run did
            models.Index(fields=["workspace", "actor_id", "-id"], name="revision_actor"),
            # what is to be sealed, oldest first
            models.Index(
                fields=["workspace", "id"],
                condition=models.Q(seal__isnull=True),
                name="revision_unsealed",
            ),
            # a seal's members in the order of its digest
            models.Index(
                fields=["workspace", "seal", "id"],
                condition=models.Q(seal__isnull=False),
                name="revision_seal",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.model} by {self.actor_label}"
