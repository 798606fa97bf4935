"""One change taken back: by the Revision that says what was, as the row's own service writes, so
that its rules hold for a value of yesterday as for one of today.

What follows from an action of its own (a worker's status, a merge, a key's end) is not taken back
here. What was deleted is brought back (restoring.py).
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError

from config.lib.actor import Actor
from config.lib.db.models import VersionedRow
from config.lib.errors import Conflict, Invalid, NotFound
from contacts.models import Revision
from contacts.services import funnel
from contacts.services.restoring import restore
from contacts.services.undoable import (
    Way,
    attname_of,
    field_of,
    name_of,
    python_value,
    row_of,
    taken_back_whole,
    way_of,
)

# Follows from the other fields each time they are written.
DERIVED = frozenset({"content_hash", "sort_name"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What taking a Revision back would do. `why_not` says why it cannot; otherwise `changes` is
    what would be written, and `since` names those of its fields that were changed once more since,
    with what they are now."""

    revision: Revision
    restores: bool
    why_not: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    since: Mapping[str, Any] = field(default_factory=dict)


def is_deletion(revision: Revision) -> bool:
    return bool(revision.before) and not revision.after


def plan(revision: Revision) -> Plan:
    """What can be done about a change. Reads the row as it is."""
    gone = is_deletion(revision)
    way = way_of(revision.model)
    if revision.erased_at is not None:
        return Plan(revision, gone, "What it was has been erased.")
    if way is None:
        return Plan(revision, gone, f"Changes of a {name_of(revision)} are not taken back.")
    return _plan_restore(revision, way) if gone else _plan_revert(revision, way)


def _plan_restore(revision: Revision, way: Way) -> Plan:
    if way.parts is None:
        return Plan(revision, True, f"What belonged to the {name_of(revision)} went with it.")
    if _row(revision) is not None:
        return Plan(revision, True, f"The {name_of(revision)} is there again.")
    return Plan(revision, True, changes=revision.before)


def _plan_revert(revision: Revision, way: Way) -> Plan:
    if not revision.before:
        return Plan(revision, False, "Nothing was there before; delete it instead.")
    row = _row(revision)
    if row is None:
        return Plan(revision, False, f"The {name_of(revision)} is gone; restore it first.")
    if taken_back_whole(revision):
        return _plan_action(revision, row)
    derived = DERIVED | way.follows
    names = [name for name in revision.before if attname_of(row, name) not in derived]
    fixed = [name for name in names if not _editable(row, way, name)]
    if fixed or not names:
        fields = ", ".join(name.replace("_", " ") for name in fixed) or "This"
        return Plan(revision, False, f"{fields.capitalize()} follows from an action of its own.")
    now = values_of(row, way, names)
    since = {name: now[name] for name in names if now[name] != revision.after.get(name)}
    changes = {name: revision.before[name] for name in names}
    if all(now[name] == changes[name] for name in names):
        return Plan(revision, False, "It is as it was before already.")
    return Plan(revision, False, changes=changes, since=since)


def _plan_action(revision: Revision, row: Any) -> Plan:
    """It is taken back as a whole, while the row is as it left it."""
    now = {name: funnel.plain(getattr(row, attname_of(row, name))) for name in revision.before}
    if now == revision.before:
        return Plan(revision, False, "It is as it was before already.")
    if any(now[name] != revision.after.get(name) for name in now):
        return Plan(revision, False, f"The {name_of(revision)} was changed since.")
    return Plan(revision, False, changes=revision.before)


def undo(
    *, actor: Actor, revision_id: uuid.UUID, over: bool = False, reason: str = ""
) -> VersionedRow:
    """Take a change back, or bring back what was deleted; the row as it is then.

    Conflict where that cannot be, or where a field was changed once more since and `over` does not
    say that this is to be overwritten.
    """
    revision = funnel.get_row(Revision, revision_id, what="change")
    planned = plan(revision)
    if planned.why_not:
        raise Conflict(planned.why_not, code="cannot_undo")
    if planned.since and not over:
        names = ", ".join(name.replace("_", " ") for name in planned.since)
        raise Conflict(
            f"Changed once more since: {names}. Send over=true to overwrite that.",
            code="changed_since",
        )
    reason = reason or f"took back a change of {revision.created_at:%Y-%m-%d %H:%M} UTC"
    if planned.restores:
        return restore(revision, actor=actor, reason=reason)
    if whole := taken_back_whole(revision):
        row: VersionedRow = whole(actor, revision, reason)
        return row
    way = way_of(revision.model)
    assert way is not None
    row = _row(revision)
    changes = {
        attname_of(row, name): read_value(row, way, name, v) for name, v in planned.changes.items()
    }
    return way.update(
        actor=actor, **{way.row_id: revision.object_id}, changes=changes, reason=reason
    )


def as_of(model: str, object_id: uuid.UUID, moment: datetime) -> dict[str, Any] | None:
    """An object's recorded fields at a moment, as JSON values; None where it was not there.

    From what is recorded alone: telemetry is in no Revision. Of what has none from its beginning,
    as some imports left it, the beginning is what the later ones say it was. NotFound where there
    was never such an object, Conflict (erased) where what it was then has been erased. Index
    revision_object.
    """
    rows = list(
        Revision.objects.filter(object_id=object_id, model=model).order_by("id").defer("salt")
    )
    row = row_of(model, object_id)
    if not rows and row is None:
        raise NotFound(model.split(".")[-1], object_id)
    erased = [number for number, one in enumerate(rows) if one.erased_at is not None]
    if erased:
        if moment < rows[erased[-1]].created_at:
            raise Conflict("What it was then has been erased.", code="erased")
        rows = rows[erased[-1] + 1 :]
        if not rows and row is None:
            return None
    values: dict[str, Any] | None = None
    if erased or not rows or rows[0].before:
        values = {} if row is None else funnel.snapshot(row)
        for one in reversed(rows):
            values = {**values, **one.before}
        if row is not None and row.created_at > moment:
            return None
    for one in rows:
        if one.created_at > moment:
            break
        values = {**(values or {}), **one.after} if one.after or not one.before else None
    if values is None:
        return None
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}


def _row(revision: Revision) -> Any:
    return row_of(revision.model, revision.object_id)


def _editable(row: Any, way: Way, name: str) -> bool:
    attname = attname_of(row, name)
    return name in way.read or (attname in way.editable and field_of(type(row), name) is not None)


def values_of(row: Any, way: Way, names: Sequence[str]) -> dict[str, Any]:
    """What a row has now, as its Revisions would keep it."""
    held = way.held([row.pk])[row.pk] if way.held is not None else {}
    return {
        name: held.get(name, [])
        if name in way.read
        else funnel.plain(getattr(row, attname_of(row, name)))
        for name in names
    }


def read_value(row: Any, way: Way, name: str, value: Any) -> Any:
    if name in way.read:
        return way.read[name](value)
    found = field_of(type(row), name)
    try:
        return python_value(found, value)
    except ValidationError as error:
        raise Invalid({name: " ".join(error.messages)}) from None
