"""Workspace, the wall between tenants, and the people who may enter it."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from config.lib import clock
from config.lib.db.models import ScopedManager, VersionedRow
from config.lib.ids import new_id


class Workspace(models.Model):
    """Everything belongs to one. Its own row is the only one without a workspace.

    `settings` is a JSON object: {"timezone": IANA name, "context_thresholds": [percent, ...],
    "orphan_minutes": minutes, "region": ISO 3166 country, "redaction": {"patterns": {name: RE2},
    "personal": ["email", "phone"]}, "retention": {kind: days or null}, ...};
    contacts/preferences.py reads these, other keys are free.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    settings = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name


# An account is called by its address, and Django keeps no longer names.
MAX_EMAIL = 150


class Role(models.TextChoices):
    """What a person may do in a workspace; each includes the ones before it."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    OWNER = "owner"

    def includes(self, other: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(other)


class Membership(VersionedRow):
    """A person in a workspace. The user table is Django's, shared by all workspaces.

    `by_group` says that no person gave it: it follows the groups that single sign-on names.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="memberships",
    )
    role = models.CharField(max_length=20, choices=Role, default=Role.VIEWER)
    by_group = models.BooleanField(default=False, db_default=False, editable=False)

    objects: ClassVar[ScopedManager] = ScopedManager()
    # For the one question asked before a workspace is chosen; its policy shows a person's own.
    all_workspaces: ClassVar[models.Manager["Membership"]] = models.Manager()

    class Meta(VersionedRow.Meta):
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="membership_user_unique"),
        ]
        indexes = [
            # "which workspaces may this person enter", before a workspace is known
            models.Index(fields=["user"], name="membership_user"),
        ]

    def __str__(self) -> str:
        return f"{self.user} as {self.role}"


class Invitation(VersionedRow):
    """A link that lets one person set a password and join, once, until it expires.

    Only the SHA-256 of the link's secret is kept.
    """

    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=20, choices=Role, default=Role.VIEWER)
    digest = models.BinaryField(max_length=32, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(VersionedRow.Meta):
        indexes = [
            # the admin's list, newest first
            models.Index(fields=["workspace", "-created_at"], name="invitation_newest"),
        ]

    def __str__(self) -> str:
        return self.email
