"""What was deleted, brought back by the Revisions that say what it was; and what had pointed at it.

Each row by the rules of its model: what belongs to it comes along (undoable.py), keys to rows that
are gone are let go of. Not for changes (undo.py).
"""

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from config.lib.actor import Actor
from config.lib.db.models import VersionedRow, WorkspaceRow
from config.lib.errors import Conflict, DomainError, Invalid
from contacts.models import Revision
from contacts.services import funnel
from contacts.services.undoable import attname_of, field_of, name_of, python_value, way_of

# Rows that lost their key to a deleted row were recorded with it, in the same transaction.
UNLINKED_WITHIN, MOST_UNLINKED = timedelta(minutes=10), 10_000


def restore(revision: Revision, *, actor: Actor, reason: str) -> VersionedRow:
    """The row that a deletion took, with what pointed at it. Conflict, Invalid."""
    (row,) = _put_back([revision], actor=actor, reason=reason)
    lost = Revision.objects.filter(
        id__gt=revision.id,
        created_at__lte=revision.created_at + UNLINKED_WITHIN,
        action="unlink",
        request_id=revision.request_id,
    ).order_by("id")[:MOST_UNLINKED]
    key = str(revision.object_id)
    relink([one for one in lost if key in one.before.values()], actor=actor, reason="restored")
    return row


def restore_many(
    revisions: Sequence[Revision], *, actor: Actor, reason: str
) -> dict[uuid.UUID, str]:
    """The rows of one model that deletions took, where nothing takes their place: why not, by the
    ids of those that stay away. What pointed at them is for the caller (`relink`)."""
    model: Any = apps.get_model(revisions[0].model)
    keys = [one.object_id for one in revisions]
    there = set(model.objects.filter(pk__any_of=keys).values_list("pk", flat=True))
    refused = {pk: f"the {name_of(revisions[0])} is there again" for pk in there}
    revisions = [one for one in revisions if one.object_id not in there]
    if not revisions:
        return refused
    try:
        _put_back(revisions, actor=actor, reason=reason)
    except DomainError as error:
        if len(revisions) == 1:
            return refused | {revisions[0].object_id: error.detail}
        for one in revisions:
            refused |= restore_many([one], actor=actor, reason=reason)
    return refused


def relink(revisions: Sequence[Revision], *, actor: Actor, reason: str) -> None:
    """Have rows point again at what they lost (`unlink`), unless they point elsewhere or it is
    still gone."""
    of_model: dict[str, list[Revision]] = defaultdict(list)
    for one in revisions:
        of_model[one.model].append(one)
    for label, lost in of_model.items():
        model: Any = apps.get_model(label)
        rows = {
            row.pk: row
            for row in model.objects.select_for_update(no_key=True).filter(
                pk__any_of=[one.object_id for one in lost]
            )
        }
        changes: dict[uuid.UUID, dict[str, Any]] = defaultdict(dict)
        for one in lost:
            row = rows.get(one.object_id)
            for name, value in one.before.items() if row is not None else ():
                attname = attname_of(row, name)
                if getattr(row, attname) is None:
                    changes[one.object_id][attname] = uuid.UUID(value)
        there = _there(model, changes.values())
        wanted = {
            row_id: {name: value for name, value in found.items() if value in there[name]}
            for row_id, found in changes.items()
        }
        linked = [rows[row_id] for row_id in wanted]
        funnel.update_many(linked, wanted, actor=actor, action="relink", reason=reason)


def remade(model: Any, values: Mapping[str, Any], **given: Any) -> Any:
    """A row, not saved, of what a Revision kept of one. Keys to rows that are gone are let go of;
    Conflict where the row cannot be without."""
    row = _read(model, values, **given)
    _let_go_of_what_is_gone([row])
    return row


def _put_back(revisions: Sequence[Revision], *, actor: Actor, reason: str) -> list[Any]:
    """All of one model, or none."""
    label = revisions[0].model
    way, model = way_of(label), apps.get_model(label)
    rows = [_read(model, one.before, pk=one.object_id) for one in revisions]
    _let_go_of_what_is_gone(rows)
    if issubclass(model, VersionedRow):
        # Nobody who read it before it went may take what is there now for what they read.
        ids = Revision.objects.filter(object_id__any_of=[row.pk for row in rows])
        changes = Counter(ids.values_list("object_id", flat=True))
        for row in rows:
            row.version = changes[row.pk] + 1
    try:
        with transaction.atomic():
            parts = {}
            for row, one in zip(rows, revisions, strict=True):
                if way and way.may_restore is not None:
                    way.may_restore(actor, row, one)
                funnel.check(row)
                held = way.parts(row, one.before) if way and way.parts else ()
                if held:
                    parts[row.pk] = held
            funnel.create_many(rows, actor=actor, action="restore", reason=reason, parts=parts)
    except IntegrityError:
        raise Conflict(
            f"Another {name_of(revisions[0])} has taken its place (its name or its external id).",
            code="place_taken",
        ) from None
    return rows


def _read(model: Any, values: Mapping[str, Any], **given: Any) -> Any:
    row = model(**given)
    errors: dict[str, str] = {}
    for name, value in values.items():
        found = field_of(model, name)
        if found is None:
            continue
        try:
            setattr(row, found.attname, python_value(found, value))
        except ValidationError as error:
            errors[name] = " ".join(error.messages)
    if errors:
        raise Invalid(errors)
    return row


def _let_go_of_what_is_gone(rows: Sequence[Any]) -> None:
    """Keys to rows that went meanwhile: emptied, or Conflict where a row cannot be without."""
    model = type(rows[0])
    keys = _keys(model)
    held = [{name: getattr(row, name) for name in keys} for row in rows]
    there = _there(model, held, among={row.pk for row in rows})
    for row, wanted in zip(rows, held, strict=True):
        for name, value in wanted.items():
            if value is None or value in there[name]:
                continue
            if not keys[name].null:
                raise Conflict(
                    f"Its {keys[name].verbose_name} is gone; restore that first.",
                    code="cannot_undo",
                )
            setattr(row, name, None)


def _keys(model: Any) -> dict[str, Any]:
    return {
        one.attname: one
        for one in model._meta.concrete_fields
        if isinstance(one, models.ForeignKey) and issubclass(one.related_model, WorkspaceRow)
    }


def _there(
    model: Any, wanted: Collection[Mapping[str, Any]], among: Collection[uuid.UUID] = ()
) -> dict[str, set[Any]]:
    """Which of the rows that keys name exist, by the key's attribute. `among` are of the model
    itself and come at once."""
    found: dict[str, set[Any]] = {}
    for name, key in _keys(model).items():
        ids = {one[name] for one in wanted if one.get(name) is not None}
        here = set(among) & ids if key.related_model is model else set()
        if rest := ids - here:
            rows = key.related_model.objects.filter(pk__any_of=list(rest))
            here |= set(rows.values_list("pk", flat=True))
        found[name] = here
    return found
