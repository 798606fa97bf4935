"""One change taken back, and what was deleted brought back: by the Revisions that say what was.

Each model's own service does the writing, so that its rules hold for a value of yesterday as for
one of today; which service that is, its app says at its start (`undoable`). What follows from an
action of its own (a worker's status, a merge, a key's end) is not taken back here.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import IntegrityError, models, transaction

from config.lib.actor import Actor
from config.lib.db.models import VersionedRow, WorkspaceRow
from config.lib.errors import Conflict, Invalid, NotFound
from contacts.models import Revision
from contacts.services import funnel

# Rows that lost their key to a deleted row were recorded with it, in the same transaction.
UNLINKED_WITHIN, MOST_UNLINKED = timedelta(minutes=10), 10_000
# Follows from the other fields each time they are written.
DERIVED = frozenset({"content_hash", "sort_name"})

Parts = Callable[[Any, Mapping[str, Any]], Sequence[funnel.Part]]


@dataclass(frozen=True, slots=True)
class Way:
    """How rows of a model are changed: `update(actor=, {row_id}=, changes=, reason=)`, by which
    fields; `scope` is what a key needs for it, without `:read` and `:write`.

    `parts` are written with a row that is brought back; None where a row is not all there was (a
    session's messages are gone). `read` makes a part's value of what its Revisions keep, `held` is
    what they would keep of a row's parts now. `follows` are fields that the service sets by itself
    when another one of the same change is set. `may_restore(actor, row, deletion)` raises where
    this one may not bring a row back.
    """

    update: Callable[..., Any]
    row_id: str
    editable: frozenset[str]
    scope: str
    parts: Parts | None = None
    read: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    held: Callable[[Any], Mapping[str, Any]] | None = None
    follows: frozenset[str] = frozenset()
    may_restore: Callable[[Actor, Any, Revision], None] | None = None


_ways: dict[str, Way] = {}


def undoable(model: Any, way: Way) -> None:
    """Said once for each model, when its app starts."""
    _ways[model._meta.label_lower] = way


def way_of(model: str) -> Way | None:
    """How rows of a model are changed and brought back, if they are."""
    return _ways.get(model)


def scope_of(model: str) -> str | None:
    """What a key needs to read (`:read`) or write (`:write`) changes of a model, if agents may."""
    way = _ways.get(model)
    return None if way is None else way.scope


def no_parts(row: Any, before: Mapping[str, Any]) -> Sequence[funnel.Part]:
    """For a model whose rows are all there is of them."""
    return ()


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
    way = _ways.get(revision.model)
    if revision.erased_at is not None:
        return Plan(revision, gone, "What it was has been erased.")
    if way is None:
        return Plan(revision, gone, f"Changes of a {_named(revision)} are not taken back.")
    return _plan_restore(revision, way) if gone else _plan_revert(revision, way)


def _plan_restore(revision: Revision, way: Way) -> Plan:
    if way.parts is None:
        return Plan(revision, True, f"What belonged to the {_named(revision)} went with it.")
    if _row(revision) is not None:
        return Plan(revision, True, f"The {_named(revision)} is there again.")
    return Plan(revision, True, changes=revision.before)


def _plan_revert(revision: Revision, way: Way) -> Plan:
    if not revision.before:
        return Plan(revision, False, "Nothing was there before; delete it instead.")
    row = _row(revision)
    if row is None:
        return Plan(revision, False, f"The {_named(revision)} is gone; restore it first.")
    derived = DERIVED | way.follows
    names = [name for name in revision.before if _attname(row, name) not in derived]
    fixed = [name for name in names if not _editable(row, way, name)]
    if fixed or not names:
        fields = ", ".join(name.replace("_", " ") for name in fixed) or "This"
        return Plan(revision, False, f"{fields.capitalize()} follows from an action of its own.")
    now = _values(row, way, names)
    since = {name: now[name] for name in names if now[name] != revision.after.get(name)}
    changes = {name: revision.before[name] for name in names}
    if all(now[name] == changes[name] for name in names):
        return Plan(revision, False, "It is as it was before already.")
    return Plan(revision, False, changes=changes, since=since)


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
        return _restore(revision, actor=actor, reason=reason)
    way = _ways[revision.model]
    row = _row(revision)
    changes = {_attname(row, name): _read(row, way, name, v) for name, v in planned.changes.items()}
    return way.update(
        actor=actor, **{way.row_id: revision.object_id}, changes=changes, reason=reason
    )


def _restore(revision: Revision, *, actor: Actor, reason: str) -> VersionedRow:
    way = _ways[revision.model]
    row = remade(apps.get_model(revision.model), revision.before, pk=revision.object_id)
    # Nobody who read it before it went may take what is there now for what they read.
    row.version = Revision.objects.filter(object_id=row.pk).count() + 1
    if way.may_restore is not None:
        way.may_restore(actor, row, revision)
    assert way.parts is not None
    try:
        with transaction.atomic():
            parts = way.parts(row, revision.before)
            funnel.create(row, actor=actor, action="restore", reason=reason, parts=parts)
    except IntegrityError:
        raise Conflict(
            f"Another {_named(revision)} has taken its place (its name or its external id).",
            code="place_taken",
        ) from None
    _link_again(revision, actor=actor)
    return row


def remade(model: Any, values: Mapping[str, Any], **given: Any) -> Any:
    """A row, not saved, of what a Revision kept of one. Keys to rows that are gone are let go of;
    Conflict where the row cannot be without."""
    row = model(**given)
    errors: dict[str, str] = {}
    for name, value in values.items():
        found = _field(model, name)
        if found is None:
            continue
        try:
            setattr(row, found.attname, _python(found, value))
        except ValidationError as error:
            errors[name] = " ".join(error.messages)
    if errors:
        raise Invalid(errors)
    _let_go_of_what_is_gone(row)
    return row


def _let_go_of_what_is_gone(row: Any) -> None:
    """Keys to rows that went meanwhile: emptied, or Conflict where the row cannot be without."""
    for one in row._meta.concrete_fields:
        key = getattr(row, one.attname)
        target = one.related_model if isinstance(one, models.ForeignKey) else None
        if key is None or target is None or not issubclass(target, WorkspaceRow):
            continue
        if target.objects.filter(pk=key).exists():
            continue
        if not one.null:
            raise Conflict(
                f"Its {one.verbose_name} is gone; restore that first.", code="cannot_undo"
            )
        setattr(row, one.attname, None)


def _link_again(revision: Revision, *, actor: Actor) -> None:
    """What pointed at the row when it was deleted does so again, unless it points elsewhere."""
    lost = Revision.objects.filter(
        id__gt=revision.id,
        created_at__lte=revision.created_at + UNLINKED_WITHIN,
        action="unlink",
        request_id=revision.request_id,
    ).order_by("id")[:MOST_UNLINKED]
    for one in lost:
        names = [n for n, v in one.before.items() if v == str(revision.object_id)]
        row = _row(one)
        if row is None:
            continue
        changes = {n: revision.object_id for n in names if getattr(row, _attname(row, n)) is None}
        if changes:
            keyed = {_attname(row, name): value for name, value in changes.items()}
            funnel.update(row, keyed, actor=actor, action="relink", reason="restored")


# --- The object as it was ---------------------------------------------------------------------


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
    row = _row_of(model, object_id)
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


# --- Names and values -------------------------------------------------------------------------


def _named(revision: Revision) -> str:
    try:
        return str(apps.get_model(revision.model)._meta.verbose_name)
    except (LookupError, ValueError):
        return revision.model.split(".")[-1]


def _row(revision: Revision) -> Any:
    return _row_of(revision.model, revision.object_id)


def _row_of(label: str, object_id: uuid.UUID) -> Any:
    try:
        model: Any = apps.get_model(label)
    except (LookupError, ValueError):
        return None
    return model.objects.filter(pk=object_id).first() if issubclass(model, WorkspaceRow) else None


def _field(model: type[models.Model], name: str) -> Any:
    try:
        found = model._meta.get_field(name.removesuffix("_id") if _is_key(model, name) else name)
    except FieldDoesNotExist:
        return None
    return found if found.concrete else None


def _is_key(model: type[models.Model], name: str) -> bool:
    keys = {f.attname for f in model._meta.concrete_fields if isinstance(f, models.ForeignKey)}
    return name in keys


def _attname(row: Any, name: str) -> str:
    """As services name it: Revisions of a creation keep `project`, of a change `project_id`."""
    found = _field(type(row), name)
    return found.attname if found is not None else name


def _editable(row: Any, way: Way, name: str) -> bool:
    attname = _attname(row, name)
    return name in way.read or (attname in way.editable and _field(type(row), name) is not None)


def _values(row: Any, way: Way, names: Sequence[str]) -> dict[str, Any]:
    """What a row has now, as its Revisions would keep it."""
    held = way.held(row) if way.held is not None else {}
    return {
        name: held.get(name, [])
        if name in way.read
        else funnel.plain(getattr(row, _attname(row, name)))
        for name in names
    }


def _read(row: Any, way: Way, name: str, value: Any) -> Any:
    if name in way.read:
        return way.read[name](value)
    found = _field(type(row), name)
    try:
        return _python(found, value)
    except ValidationError as error:
        raise Invalid({name: " ".join(error.messages)}) from None


def _python(found: Any, value: Any) -> Any:
    """A recorded JSON value as its field has it."""
    if isinstance(value, str) and isinstance(found, models.BinaryField):
        return bytes.fromhex(value)
    return found.to_python(value)
