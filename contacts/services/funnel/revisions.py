"""The Revisions that changes leave, in the transaction of the change."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models

from config.lib import clock
from config.lib.actor import Actor
from config.lib.db.bulk import insert_values
from config.lib.db.models import VersionedRow, WorkspaceRow
from config.lib.ids import new_id
from config.lib.redact import redact_text
from config.lib.scope import current_workspace_id
from contacts.models import Revision
from contacts.services import redaction
from contacts.services.digests import content_digest, new_salt, told_of
from contacts.services.funnel.values import Part, name_of, snapshot, whole


def record(
    row: models.Model,
    action: str,
    *,
    actor: Actor,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    reason: str = "",
) -> None:
    """One Revision, in the transaction of the change."""
    before, after = redaction.cleaned(before, row), redaction.cleaned(after, row)
    values = told(row, action, actor=actor, before=before, after=after, reason=reason)
    Revision(**values).save(force_insert=True)


def record_changes(
    changes: Sequence[tuple[WorkspaceRow, Mapping[str, Any], Mapping[str, Any]]],
    action: str,
    *,
    actor: Actor,
    reason: str = "",
) -> None:
    """A Revision for each (row, before, after) that follows from a change of another row."""
    insert_values(
        Revision,
        [
            told(
                row,
                action,
                actor=actor,
                before=redaction.cleaned(before, row),
                after=redaction.cleaned(after, row),
                reason=reason,
            )
            for row, before, after in changes
        ],
    )


def record_many(
    rows: Sequence[WorkspaceRow],
    action: str,
    *,
    actor: Actor,
    reason: str = "",
    parts: Mapping[uuid.UUID, Sequence[Part]] | None = None,
) -> None:
    """A Revision for each new row, in one statement (an import, a batch)."""
    if not rows:
        return
    revisions = []
    common = _common(rows[0], action, actor, reason)
    alike = told_of(common)
    for row in rows:
        after = snapshot(row)
        held = (
            {part.name: part.after for part in parts.get(row.pk, ()) if part.after} if parts else {}
        )
        if held:
            after |= redaction.cleaned(held, row)
        revisions.append(_told(common, row, {}, after, alike))
    insert_values(Revision, revisions)


def record_gone(
    rows: Sequence[tuple[WorkspaceRow, Mapping[str, Any]]], actor: Actor, reason: str
) -> None:
    """A Revision for each row that goes, with what it was."""
    insert_values(
        Revision,
        [
            told(row, "delete", actor=actor, before=was, after={}, reason=reason)
            for row, was in rows
        ],
    )


def record_cascading(rows: Sequence[WorkspaceRow], *, actor: Actor, reason: str) -> None:
    """A Revision for each append-only row that goes with the row that it is of, whole: nothing
    else keeps what it was."""
    record_gone([(row, whole(row)) for row in rows], actor, reason)


def record_unlinked(gone: Sequence[WorkspaceRow], *, actor: Actor) -> None:
    """A Revision for each row that loses its key to one of `gone`, all of one model: deleting it
    nulls them."""
    keys = [row.pk for row in gone]
    for relation in gone[0]._meta.related_objects:
        related: Any = relation.related_model
        if relation.on_delete is not models.SET_NULL or not issubclass(related, VersionedRow):
            continue
        name = relation.field.name
        rows = related.objects.filter(**{f"{name}__in": keys}).order_by("pk")
        record_changes(
            [
                (related(pk=pk), {name: str(key)}, {name: None})
                for pk, key in rows.values_list("pk", name)
            ],
            "unlink",
            actor=actor,
            reason=f"the {name_of(gone[0])} was deleted",
        )


def told(
    row: models.Model,
    action: str,
    *,
    actor: Actor,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    reason: str = "",
) -> dict[str, Any]:
    """A Revision's values. Thousands are written at once, and an object of each is never used."""
    return _told(_common(row, action, actor, reason), row, dict(before), dict(after))


def _common(row: models.Model, action: str, actor: Actor, reason: str) -> dict[str, Any]:
    """What Revisions of rows of one model say alike."""
    return {
        "workspace_id": current_workspace_id(),
        "created_at": clock.now(),
        "actor_kind": actor.kind,
        "actor_id": actor.id[:64],
        "actor_label": redact_text(actor.label)[:200],
        "channel": actor.channel,
        "request_id": actor.request_id[:64],
        "model": row._meta.label_lower,
        "action": action,
        "reason": redact_text(reason, personal=True),
        "seal_id": None,
        "erased_at": None,
    }


def _told(
    common: Mapping[str, Any],
    row: models.Model,
    before: dict[str, Any],
    after: dict[str, Any],
    alike: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """`alike` is `told_of` what is common, where there are many."""
    salt = new_salt()
    values: dict[str, Any] = {
        **common,
        "id": new_id(),
        "object_id": row.pk,
        "before": before,
        "after": after,
        "salt": salt,
    }
    values["digest"] = content_digest(values, salt, alike)
    return values
