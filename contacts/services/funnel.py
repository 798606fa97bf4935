"""The one way rows are written: checked, versioned, recorded, announced.

Services call these functions and nothing else writes rows that people or agents change. Each
leaves one Revision in the same transaction. Not for telemetry and append-only rows: `touch` and
`append` below write those, without version and Revision, but through the same checks.
"""

import contextlib
import datetime
import decimal
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, ProhibitNullCharactersValidator
from django.db import IntegrityError, models, transaction

from config.lib import clock
from config.lib.actor import Actor
from config.lib.db.bulk import insert_rows, insert_values, pipelined, update_values
from config.lib.db.models import VersionedRow, WorkspaceRow
from config.lib.errors import Conflict, Invalid, NotFound, Stale
from config.lib.ids import new_id
from config.lib.redact import redact_text
from config.lib.scope import current_workspace_id
from config.lib.signals import changed, deleting
from config.lib.text import json_problem, text_problem
from config.lib.writing import admit
from contacts.models import Revision
from contacts.services import redaction, tombstones
from contacts.services.digests import content_digest, new_salt

R = TypeVar("R", bound=WorkspaceRow)
V = TypeVar("V", bound=VersionedRow)

# Neither says anything to a person who reads a Revision.
_UNRECORDED = frozenset(
    {
        "id", "workspace_id", "created_at", "updated_at", "version", "repeat_key",
        "bucket_tokens", "bucket_at", "bucket_granted",
    }
)  # fmt: skip
# A secret's digest is no secret, but it is nobody's business either; what is to be erased
# (`wanted`) would be kept by the record of its erasure.
HIDDEN = frozenset({"digest", "secret", "wanted"})
EMPTY = "must not be empty"
# Values that are JSON as they are.
_JSON = frozenset({str, int, float, bool, dict, list, type(None)})


@dataclass(frozen=True, slots=True)
class Part:
    """What belongs to a row and lies in rows of its own (a contact's emails), as JSON values.

    It is written after its row and before the announcement, and recorded in the row's Revision.
    """

    name: str
    before: Any
    after: Any
    write: Callable[[], None]


def get_row(model: type[R], row_id: uuid.UUID, *, lock: bool = False, what: str = "") -> R:
    """The row of this workspace, locked for the rest of the transaction if asked. Or NotFound."""
    rows = model.objects.select_for_update(no_key=True) if lock else model.objects
    try:
        return rows.get(pk=row_id)
    except model.DoesNotExist:
        raise NotFound(what or str(model._meta.verbose_name), row_id) from None


def create(
    row: R,
    *,
    actor: Actor,
    action: str = "create",
    reason: str = "",
    parts: Sequence[Part] = (),
) -> R:
    """Insert a new row and record it. Raises Invalid naming the fields, Conflict on a duplicate
    and for what was erased."""
    check(row)
    admit()
    tombstones.guard([row], actor=actor, parts={row.pk: [part.after for part in parts]})
    row.save(force_insert=True)
    after = snapshot(row)
    for part in parts:
        part.write()
        if part.after:
            after[part.name] = part.after
    record(row, action, actor=actor, before={}, after=after, reason=reason)
    changed([row], actor)
    return row


def update(
    row: V,
    changes: Mapping[str, Any],
    *,
    actor: Actor,
    expected_version: int | None = None,
    action: str = "update",
    reason: str = "",
    parts: Sequence[Part] = (),
    note: Mapping[str, Any] | None = None,
) -> V:
    """Write `changes` and `parts` over a row, if nobody did so since it was read.

    `expected_version` is the caller's If-Match; without it the row's own version stands, so that
    two writers never both win. Returns the row at its new version; unchanged when nothing differs.
    The Revision keeps `note` beside what the row is now.
    """
    if expected_version is not None and expected_version != row.version:
        raise Stale(_name(row), expected=expected_version, actual=row.version)
    before = {name: plain(getattr(row, _attname(row, name))) for name in changes}
    for name, value in changes.items():
        setattr(row, name, value)
    check(row, only=changes.keys())
    after = {name: plain(getattr(row, _attname(row, name))) for name in changes}
    differing = [name for name in changes if before[name] != after[name]]
    parts = [part for part in parts if part.before != part.after]
    if not differing and not parts:
        return row
    admit()
    tombstones.guard_changes(row, {n: after[n] for n in differing}, [p.after for p in parts])
    version, row.updated_at = row.version, clock.now()
    written = (
        type(row)
        .objects.filter(pk=row.pk, version=version)
        .update(
            **{_attname(row, n): getattr(row, _attname(row, n)) for n in differing},
            version=version + 1,
            updated_at=row.updated_at,
        )
    )
    if written != 1:
        raise Conflict(
            f"This {_name(row)} was changed while you were changing it; read it again.",
            code="concurrent_change",
        )
    row.version = version + 1
    for part in parts:
        part.write()
    record(
        row,
        action,
        actor=actor,
        before={n: _shown(n, before[n]) for n in differing} | {p.name: p.before for p in parts},
        after={n: _shown(n, after[n]) for n in differing}
        | {p.name: p.after for p in parts}
        | dict(note or {}),
        reason=reason,
    )
    changed([row], actor)
    return row


def update_many(
    rows: Sequence[V],
    changes: Mapping[uuid.UUID, Mapping[str, Any]],
    *,
    actor: Actor,
    action: str = "update",
) -> None:
    """`update` for many rows of one model, `changes` by the row's id: all or none, in the caller's
    savepoint. A statement for each set of fields that differ."""
    differing: dict[tuple[str, ...], list[V]] = {}
    revisions = []
    for row in rows:
        wanted = changes[row.pk]
        before = {name: plain(getattr(row, _attname(row, name))) for name in wanted}
        for name, value in wanted.items():
            setattr(row, name, value)
        check(row, only=wanted.keys())
        after = {name: plain(getattr(row, _attname(row, name))) for name in wanted}
        names = [name for name in wanted if before[name] != after[name]]
        if not names:
            continue
        tombstones.guard_changes(row, {name: after[name] for name in names}, [])
        row.updated_at = clock.now()
        differing.setdefault(tuple(_attname(row, name) for name in names), []).append(row)
        was = {name: _shown(name, before[name]) for name in names}
        now = {name: _shown(name, after[name]) for name in names}
        revisions.append(_told(row, action, actor=actor, before=was, after=now))
    if revisions:
        admit(len(revisions))
    for attnames, group in differing.items():
        values = [row.__dict__ for row in group]
        model = type(group[0])
        if update_values(model, [*attnames, "updated_at"], values, versioned=True) != len(group):
            raise Conflict(
                f"One of these {model._meta.verbose_name_plural} was changed meanwhile.",
                code="concurrent_change",
            )
        for row in group:
            row.version += 1
    insert_values(Revision, revisions)
    changed([row for group in differing.values() for row in group], actor)


def delete(
    row: VersionedRow,
    *,
    actor: Actor,
    expected_version: int | None = None,
    reason: str = "",
    note: Mapping[str, Any] | None = None,
) -> None:
    """Remove a row and what cascades from it; the Revision keeps the row, and `note` beside it."""
    if expected_version is not None and expected_version != row.version:
        raise Stale(_name(row), expected=expected_version, actual=row.version)
    before = _last(row) | dict(note or {})
    deleting([row], actor)
    record(row, "delete", actor=actor, before=before, after={}, reason=reason)
    _record_unlinked([row], actor=actor)
    row.delete()


def _record_unlinked(gone: Sequence[WorkspaceRow], *, actor: Actor) -> None:
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
            reason=f"the {_name(gone[0])} was deleted",
        )


def once(find: Callable[[], R | None], make: Callable[[], R]) -> tuple[R, bool]:
    """The row that `find` gives, or the one that `make` does; (row, whether it is new).

    Of two that make the same row at once, the second finds the first one's: a unique key stops
    it, in a savepoint of its own.
    """
    found = find()
    if found is not None:
        return found, False
    try:
        with transaction.atomic():
            return make(), True
    except (IntegrityError, Conflict):
        found = find()
        if found is None:
            raise
        return found, False


def delete_many(rows: Sequence[R], *, actor: Actor, reason: str = "") -> None:
    """Remove locked rows of one model, a Revision for each, and for each row that loses its key to
    one of them. What cascades from them is not looked at: children of the same model go first, by a
    call of their own."""
    if not rows:
        return
    deleting(rows, actor)
    Revision.objects.bulk_create(
        [
            _revision(row, "delete", actor=actor, before=_last(row), after={}, reason=reason)
            for row in rows
        ],
        batch_size=500,
    )
    _record_unlinked(rows, actor=actor)
    type(rows[0]).objects.filter(pk__in=[row.pk for row in rows]).delete()


def erase(rows: Sequence[R], *, actor: Actor) -> None:
    """Remove rows of one model for good: their Revisions say that it was done, and nothing of what
    they were. For the owner's login, which empties the earlier ones."""
    if not rows:
        return
    deleting(rows, actor)
    if isinstance(rows[0], VersionedRow):
        record_changes([(row, {}, {}) for row in rows], "erase", actor=actor)
    _record_unlinked(rows, actor=actor)
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


def append(
    rows: Sequence[R], *, actor: Actor, checked: bool = False, prefixes: Sequence[str] = ()
) -> None:
    """Insert append-only rows of one model and announce them. They are their own history.

    `prefixes`, one for each row, go before the names of fields in an Invalid: `events[3].`.
    """
    if not checked:
        for index, row in enumerate(rows):
            check(row, prefix=prefixes[index] if prefixes else "")
    if rows:
        admit(len(rows))
        if actor.channel == "import":
            # Others append what is said now, and nothing of it has a name by which it was erased.
            tombstones.guard(rows, actor=actor)
        insert_rows(rows)
        changed(rows, actor)


def put_back(rows: Sequence[R], *, actor: Actor, recorded: bool) -> None:
    """Insert rows of one model as another database of ours had them, which `check` has passed.
    Conflict for what was erased.

    Nothing is announced: what followed from them there comes along. `recorded` leaves a Revision
    for each; without, they bring their history themselves.
    """
    admit(len(rows))
    tombstones.guard(rows, actor=actor)
    with pipelined():
        insert_rows(rows)
        if recorded:
            record_many(rows, "import", actor=actor)


def append_once(row: R, *, actor: Actor) -> bool:
    """Insert an append-only row unless a unique key of it is taken; whether it went in.

    Of two writers at once the second waits for the first, and then finds the key taken.
    """
    check(row)
    admit()
    type(row).objects.bulk_create([row], ignore_conflicts=True)
    if not type(row).objects.filter(pk=row.pk).exists():
        return False
    changed([row], actor)
    return True


def touch(row: R, **telemetry: Any) -> None:
    """Write telemetry columns: no version, no Revision, no announcement."""
    for name, value in telemetry.items():
        setattr(row, name, value)
    check(row, only=telemetry.keys())
    type(row).objects.filter(pk=row.pk).update(**{n: getattr(row, n) for n in telemetry})


def touch_all(rows: Sequence[R], **telemetry: Any) -> None:
    """`touch` for several rows of one model, each given the same values. One statement."""
    for row in rows:
        for name, value in telemetry.items():
            setattr(row, name, value)
        check(row, only=telemetry.keys())
    if rows:
        wanted = type(rows[0]).objects.filter(pk__in=[row.pk for row in rows])
        wanted.update(**{name: getattr(rows[0], name) for name in telemetry})


def touch_each(telemetry: Sequence[tuple[WorkspaceRow, Mapping[str, Any]]]) -> None:
    """`touch` for several rows of one model, each with values of its own for the same columns. One
    statement."""
    for row, values in telemetry:
        for name, value in values.items():
            setattr(row, name, value)
        check(row, only=values.keys())
    if telemetry:
        # As the check left them.
        rows = [
            {"id": row.pk, **{name: getattr(row, name) for name in values}}
            for row, values in telemetry
        ]
        update_values(type(telemetry[0][0]), list(telemetry[0][1]), rows)


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
    _revision(row, action, actor=actor, before=before, after=after, reason=reason).save(
        force_insert=True
    )


def record_changes(
    changes: Sequence[tuple[WorkspaceRow, Mapping[str, Any], Mapping[str, Any]]],
    action: str,
    *,
    actor: Actor,
    reason: str = "",
) -> None:
    """A Revision for each (row, before, after) that follows from a change of another row."""
    insert_rows(
        [
            _revision(
                row,
                action,
                actor=actor,
                before=redaction.cleaned(before, row),
                after=redaction.cleaned(after, row),
                reason=reason,
            )
            for row, before, after in changes
        ]
    )


def create_many(
    rows: Sequence[R],
    *,
    actor: Actor,
    action: str = "create",
    parts: Mapping[uuid.UUID, Sequence[Part]] | None = None,
    write_parts: Callable[[], None] | None = None,
) -> None:
    """`create` for many new rows of one model, which `check` has passed; a statement for each
    thousand. `parts` are by their row's id; `write_parts` writes those of all rows at once."""
    if not rows:
        return
    admit(len(rows))
    of_row = parts or {}
    held = {pk: [part.after for part in those] for pk, those in of_row.items()}
    tombstones.guard(rows, actor=actor, parts=held)
    with contextlib.nullcontext() if of_row else pipelined():
        insert_rows(rows)
        if write_parts is not None:
            write_parts()
        else:
            for row in rows:
                for part in of_row.get(row.pk, ()):
                    part.write()
        record_many(rows, action, actor=actor, parts=of_row)
    changed(rows, actor)


def record_many(
    rows: Sequence[WorkspaceRow],
    action: str,
    *,
    actor: Actor,
    parts: Mapping[uuid.UUID, Sequence[Part]] | None = None,
) -> None:
    """A Revision for each new row, in one statement (an import, a batch)."""
    revisions = []
    for row in rows:
        after = snapshot(row)
        held = {part.name: part.after for part in (parts or {}).get(row.pk, ()) if part.after}
        if held:
            after |= redaction.cleaned(held, row)
        revisions.append(_told(row, action, actor=actor, before={}, after=after))
    insert_values(Revision, revisions)


def _revision(
    row: models.Model,
    action: str,
    *,
    actor: Actor,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    reason: str = "",
) -> Revision:
    return Revision(**_told(row, action, actor=actor, before=before, after=after, reason=reason))


def _told(
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


def check(row: models.Model, *, only: Iterable[str] | None = None, prefix: str = "") -> None:
    """Take the secrets out of a row, in place, and raise Invalid naming every field that cannot be
    stored as it is. No row is written without it."""
    names = None if only is None else set(only)
    redaction.clean(row, only=names)
    errors: dict[str, str] = {}
    for rule in _rules(type(row)):
        field = rule.field
        if names is not None and field.name not in names and field.attname not in names:
            continue
        value = getattr(row, field.attname)
        if value is None and rule.nullable:
            continue
        path, problem = _field_problem(rule, value)
        if problem:
            errors[f"{prefix}{field.name}{path}"] = problem
    if errors:
        raise Invalid(errors)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What one field's values must satisfy, worked out once: a batch checks thousands of rows."""

    field: Any
    nullable: bool
    is_json: bool
    may_be_empty: bool
    choices: frozenset[Any]
    validators: tuple[Any, ...]
    items: "_Rule | None"


@cache
def _rules(model: type[models.Model]) -> list[_Rule]:
    fields = model._meta.concrete_fields
    return [_rule(field) for field in fields if not isinstance(field, models.GeneratedField)]


def _rule(field: Any) -> _Rule:
    base = getattr(field, "base_field", None)
    checked_here = (MaxLengthValidator, ProhibitNullCharactersValidator)
    unneeded = isinstance(field, (models.ForeignKey, models.BinaryField)) or base is not None
    validators = () if unneeded else field.validators
    return _Rule(
        field=field,
        nullable=field.null,
        is_json=isinstance(field, models.JSONField),
        may_be_empty=field.blank or field.has_default(),
        choices=frozenset(value for value, _ in field.flatchoices or ()),
        validators=tuple(v for v in validators if not isinstance(v, checked_here)),
        items=None if base is None else _rule(base),
    )


def _field_problem(rule: _Rule, value: Any) -> tuple[str, str]:
    """(path below the field, what is wrong), both empty where nothing is."""
    field = rule.field
    if value is None:
        return "", "" if rule.nullable else "is required"
    if rule.is_json:
        return json_problem(value) or ("", "")
    if isinstance(value, str):
        problem = _text_problem(rule, value)
        if problem:
            return "", problem
    if rule.items is not None:
        for index, item in enumerate(value):
            path, problem = _field_problem(rule.items, item)
            if problem:
                return f"[{index}]{path}", problem
        return "", ""
    if rule.choices and value not in rule.choices:
        return "", f"must be one of {', '.join(str(choice) for choice, _ in field.flatchoices)}"
    if isinstance(value, float) and value != value:
        return "", "must be a number"
    if rule.validators and value not in field.empty_values:
        try:
            for validate in rule.validators:
                validate(value)
        except ValidationError as error:
            return "", " ".join(error.messages)
    return "", ""


def _text_problem(rule: _Rule, value: str) -> str:
    if not value:
        return "" if rule.may_be_empty else EMPTY
    problem = text_problem(value)
    if problem:
        return problem
    longest = rule.field.max_length
    if longest is not None and len(value) > longest:
        return f"has {len(value):,} characters; at most {longest:,} are kept"
    return ""


def snapshot(row: models.Model) -> dict[str, Any]:
    """A row's recorded fields as JSON values; what is still at its default is left out."""
    values: dict[str, Any] = {}
    for attname, name in _recorded(type(row)):
        value = getattr(row, attname)
        if not value and value in (None, "", [], {}):
            continue
        values[name] = plain(value)
    return values


@cache
def _recorded(model: type[models.Model]) -> list[tuple[str, str]]:
    """The attributes and names of a model's recorded fields."""
    return [
        (field.attname, field.name)
        for field in model._meta.concrete_fields
        if field.attname not in _UNRECORDED
        and field.name not in HIDDEN
        and not isinstance(field, models.GeneratedField)
    ]


def _last(row: WorkspaceRow) -> dict[str, Any]:
    """A row that goes: also since when it was there, which nothing else will know."""
    return snapshot(row) | {"created_at": plain(row.created_at)}


def _shown(name: str, value: Any) -> Any:
    return "(hidden)" if name in HIDDEN and value else value


def plain(value: Any) -> Any:
    """A field's value as JSON has it, and a Revision keeps it."""
    if type(value) in _JSON:
        return value
    if isinstance(value, models.Model):
        return str(value.pk)
    if isinstance(value, (uuid.UUID, decimal.Decimal)):
        return str(value)
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    return value


def _attname(row: models.Model, name: str) -> str:
    return str(row._meta.get_field(name).attname)  # type: ignore[union-attr]


def _name(row: models.Model) -> str:
    return str(row._meta.verbose_name)
