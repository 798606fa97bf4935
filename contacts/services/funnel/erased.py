"""Rows removed for good, and texts struck out of those that stay, whose Revisions keep nothing of
what they were. For the owner's login."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models

from config.lib import clock
from config.lib.actor import Actor
from config.lib.db.models import VersionedRow
from config.lib.signals import deleting
from contacts.services.funnel.revisions import record_changes, record_unlinked
from contacts.services.funnel.values import R


def erase(rows: Sequence[R], *, actor: Actor) -> None:
    """Remove rows of one model for good: their Revisions say that it was done, and nothing of what
    they were. For the owner's login, which empties the earlier ones."""
    if not rows:
        return
    deleting(rows, actor)
    if isinstance(rows[0], VersionedRow):
        record_changes([(row, {}, {}) for row in rows], "erase", actor=actor)
    record_unlinked(rows, actor=actor)
    type(rows[0]).objects.filter(pk__in=[row.pk for row in rows]).delete()


def strike(
    rows: Sequence[R], values: Mapping[str, Any], *, actor: Actor, action: str = "erase"
) -> None:
    """Write `values` over fields of rows in whose place something is erased; recorded are the
    fields' names. For the owner's login, which may on append-only rows too."""
    changes = dict(values)
    if isinstance(rows[0], VersionedRow):
        changes |= {"version": models.F("version") + 1, "updated_at": clock.now()}
        told = {"erased": sorted(values)}
        record_changes([(row, {}, told) for row in rows], action, actor=actor)
    type(rows[0]).objects.filter(pk__in=[row.pk for row in rows]).update(**changes)
