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
from contacts.services.digests import content_digest, new_salt
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
    revisions = []
    for row in rows:
        after = snapshot(row)
        held = {part.name: part.after for part in (parts or {}).get(row.pk, ()) if part.after}
        if held:
            after |= redaction.cleaned(held, row)
        revisions.append(told(row, action, actor=actor, before={}, after=after, reason=reason))
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
    salt = new_salt()
    values: dict[str, Any] = {
        "id": new_id(),
        "workspace_id": current_workspace_id(),
        "created_at": clock.now(),
        "actor_kind": actor.kind,
        "actor_id": actor.id[:64],
        "actor_label": redact_text(actor.label)[:200],
        "channel": actor.channel,
        "request_id": actor.request_id[:64],
        "model": row._meta.label_lower,
        "object_id": row.pk,
        "action": action,
        "before": dict(before),
        "after": dict(after),
        "reason": redact_text(reason, personal=True),
        "salt": salt,
        "seal_id": None,
        "erased_at": None,
    }
    values["digest"] = content_digest(values, salt)
    return values
